"""Made-up files of image sets, in the form and the layout of the published ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from mnist_tune.jobs.mnist.image_sets import BYTES, ImageSet, RawFile
from mnist_tune.jobs.mnist.raw_files import raw_path


def write_set(directory: Path, images: ImageSet, *, zipped: bool = False) -> Path:
    """Write a whole set below `directory`, whose images show their class; returns its folder."""
    for pixels, labels in (images.files[:2], images.files[2:]):
        classes = np.random.default_rng(len(labels.shape)).integers(0, 10, labels.shape[0], np.uint8)
        shown = np.zeros(pixels.shape, np.uint8)
        shown[np.arange(len(classes)), 2 * classes + 4] = 255
        write_file(directory, pixels, shown.tobytes(), zipped=zipped)
        write_file(directory, labels, as_labels(classes, labels), zipped=zipped)
    return raw_path(directory, images.files[0]).parent


def as_labels(classes: np.ndarray, file: RawFile) -> bytes:
    """The values of a file of labels: the classes, or eight integers an image, the class first."""
    if file.values == BYTES:
        return classes.astype(np.uint8).tobytes()
    integers = np.full(file.shape, 99, ">i4")
    integers[:, 0] = classes
    return integers.tobytes()


def write_file(directory: Path, file: RawFile, values: bytes, *, zipped: bool = False) -> Path:
    """Write one file of a set, or its .gz; returns its path."""
    path = raw_path(directory, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = file.header + values
    if zipped:
        path = path.with_name(f"{path.name}.gz")
        content = gzip.compress(content, 1)
    path.write_bytes(content)
    return path


def linked_set(directory: Path, whole: Path, images: ImageSet, *, without: RawFile | None = None) -> Path:
    """A folder with links to the files of a whole set, of which one may be left out."""
    for file in images.files:
        path = raw_path(directory, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        if file is not without:
            path.symlink_to(raw_path(whole, file))
    return directory
