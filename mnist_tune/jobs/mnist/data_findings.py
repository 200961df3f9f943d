"""What `doctor` says of the images on this machine. Without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mnist_tune.files.writable import refused
from mnist_tune.jobs.mnist.image_sets import IMAGE_SETS, MNIST, ImageSet
from mnist_tune.jobs.mnist.raw_files import (
    ENVIRONMENT_VARIABLE,
    at_first_use,
    check,
    data_directory,
    raw_path,
    remedy,
)

Finding = tuple[bool, str]
"""Whether all is well, and what was found; if something is wrong, it ends with the remedy."""


def data_findings(data: Path | None) -> Iterator[Finding]:
    """Look at MNIST, and at those of the other sets of which something is there; nobody need have them."""
    directory = data_directory(data)
    for images in IMAGE_SETS.values():
        if images is MNIST or raw_path(directory, images.files[0]).parent.is_dir():
            yield from _of_one_set(directory, images)


def _of_one_set(directory: Path, images: ImageSet) -> Iterator[Finding]:
    rows = check(directory, images)
    missing = [row for row in rows if row.is_missing]
    damaged = [row for row in rows if not row.ok and row not in missing]
    for row in damaged:
        yield False, f"{row.path}: {row.status}; {remedy(images)}"
    if damaged:
        return
    if not missing:
        known = "intact" if images is MNIST else "in the right form"  # of the others no checksum is known
        yield True, f"{directory}: {images.name}, {known}"
    elif refusal := refused(directory):
        yield (
            False,
            f"{directory}: cannot keep the {images.name} files here ({refusal}); "
            f"set {ENVIRONMENT_VARIABLE} to a folder that can be written",
        )
    else:
        of = "" if images is MNIST else f"{images.name}, "
        says = f"{directory}: {of}{len(missing)} of {len(rows)} files are missing, and "
        yield True, f"{says}{at_first_use(missing, images)} at first use"
