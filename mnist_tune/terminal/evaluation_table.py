"""What a model got right and wrong, as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_tune.jobs.mnist.image_sets import MNIST, ImageSet
from mnist_tune.terminal.compact_table import compact_table
from mnist_tune.text.wording import percent

if TYPE_CHECKING:
    from mnist_tune.jobs.mnist.measured import Evaluation


def evaluation_tables(evaluation: Evaluation, images: ImageSet) -> RenderableType:
    """Test accuracy, accuracy per class, and the confusion matrix."""
    n = range(len(evaluation.confusion_matrix))
    table = compact_table(f"true {images.one_class}", "accuracy", *(f"read as {number}" for number in n))
    for number, counts in enumerate(evaluation.confusion_matrix):
        accuracy = percent(evaluation.per_class_accuracy[number])
        table.add_row(images.label(number), accuracy, *map(str, counts))
    of = "" if images is MNIST else f" of {images.name}"
    headline = (
        f"test accuracy {percent(evaluation.accuracy)} on {evaluation.n_images:,} images{of}, "
        f"loss {evaluation.loss:.4f}"
    )
    return Group(table, Text(headline))
