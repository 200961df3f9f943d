import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_test_images
from mnist_tune.jobs.mnist.evaluation import CPU_BATCH_SIZE, evaluate, predict
from mnist_tune.jobs.mnist.network import ConvNet

FP32 = Runtime("cpu", "a CPU", "fp32", 1)


class SaysFirstPixel(nn.Module):
    """A model that answers with the digit in an image's first pixel, so that its answers are known."""

    def forward(self, images: Tensor) -> Tensor:
        digits = ((images[:, 0, 0, 0] + 1) / 2 * 255).round().long()
        return 100 * nn.functional.one_hot(digits, 10).float()


def labeled(pairs: list[tuple[int, int]]) -> LabeledImages:
    """An image for each (true digit, digit the model will answer)."""
    pixels = torch.zeros(len(pairs), 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor([answer for _, answer in pairs])
    return LabeledImages(pixels, torch.tensor([true for true, _ in pairs]))


def test_the_confusion_matrix_counts_true_digits_in_rows_and_answers_in_columns() -> None:
    result = evaluate(
        SaysFirstPixel(), labeled([(digit, digit) for digit in range(9)] + [(3, 8), (3, 8), (0, 1)]), FP32
    )
    assert result.n_cases == 12
    assert result.classes is not None
    assert result.classes.confusion_matrix[3] == [0, 0, 0, 1, 0, 0, 0, 0, 2, 0]
    assert result.classes.confusion_matrix[0] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert result.classes.confusion_matrix[9] == [0] * 10
    assert result.metrics["accuracy"] == pytest.approx(75)
    assert result.metrics["loss"] == pytest.approx(3 * 100 / 12)
    assert result.classes.accuracies[:4] == pytest.approx((50, 100, 100, 100 / 3))
    assert math.isnan(result.classes.accuracies[9])


def test_it_agrees_with_a_plain_pass_over_real_images(mnist_directory: Path) -> None:
    every = load_test_images(mnist_directory)
    images = every.take(torch.arange(0, 10_000, 20))
    model = ConvNet()
    result = evaluate(model, images, FP32)
    with torch.no_grad():
        logits = model(images.images)
    loss = nn.functional.cross_entropy(logits, images.labels).item()
    assert result.metrics["loss"] == pytest.approx(loss, rel=1e-4)
    accuracy = 100 * (logits.argmax(1) == images.labels).float().mean().item()
    assert result.metrics["accuracy"] == pytest.approx(accuracy, abs=0.4)
    assert result.classes is not None
    assert sum(map(sum, result.classes.confusion_matrix)) == result.n_cases == 500
    assert [sum(row) for row in result.classes.confusion_matrix] == torch.bincount(
        images.labels, minlength=10
    ).tolist()


def test_the_last_smaller_batch_is_not_lost() -> None:
    pairs = [(n % 10, n % 10) for n in range(2 * CPU_BATCH_SIZE + 1)]
    assert predict(SaysFirstPixel(), labeled(pairs)).shape == (2 * CPU_BATCH_SIZE + 1, 10)
    assert evaluate(SaysFirstPixel(), labeled(pairs), FP32).metrics["accuracy"] == 100


def test_the_callers_model_stays_as_it_is() -> None:
    model = ConvNet().train()
    evaluate(model, labeled([(1, 1)]), FP32)
    assert model.training
    assert model.conv2.weight.is_contiguous()


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        evaluate(ConvNet(), labeled([(1, 1)]).take(torch.tensor([], dtype=torch.int64)), FP32)


def test_it_keeps_what_was_read_wrong_with_the_pixels_as_stored() -> None:
    result = evaluate(SaysFirstPixel(), labeled([(1, 1), (3, 8), (0, 0), (4, 9)]), FP32)
    assert [(each.index, each.label, each.predicted) for each in result.mistakes] == [
        (1, 3, 8),
        (3, 4, 9),
    ]
    assert all(each.confidence == pytest.approx(100) for each in result.mistakes)
    image = result.mistakes[0].image
    assert image is not None
    assert (image.width, len(image.pixels), image.pixels[0], sum(image.pixels)) == (28, 784, 8, 8)
    assert all("image" not in each for each in result.as_json()["mistakes"])


def test_the_confidence_is_the_share_of_the_answer_given(mnist_directory: Path) -> None:
    images = load_test_images(mnist_directory).take(torch.arange(100))
    model = ConvNet()
    wrong = evaluate(model, images, FP32).mistakes
    with torch.no_grad():
        shares = model(images.images).softmax(1)
    assert wrong
    for each in wrong:
        assert each.label == images.labels[each.index]
        assert each.confidence == pytest.approx(100 * shares[each.index, each.predicted].item(), rel=1e-3)
