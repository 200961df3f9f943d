"""The test images that were read wrong, as images in the page."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.measured import Misclassified
from mnist_tune.models.evaluation_file import Evaluated

SIDE = 28
MOST_SHOWN = 200


@dataclass(frozen=True)
class Digit:
    """One image; `source` is a data URI."""

    source: str
    alt: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Gallery:
    """The digits that were read wrong, the most confident mistakes first."""

    digits: Sequence[Digit]
    answer: str


def gallery(model: Evaluated, whose: str) -> Gallery:
    """The misclassified images of a model.

    Raises:
        UserError: an image is damaged.
    """
    wrong = sorted(model.evaluation.misclassified, key=lambda one: (-one.confidence, one.index))
    try:
        digits = [_digit(one, model.images.class_names) for one in wrong[:MOST_SHOWN]]
    except (ValueError, TypeError, IndexError, binascii.Error):
        raise UserError(
            f"{model.folder}: an image of its evaluation is damaged; run: mnist-tune evaluate {model.folder}"
        ) from None
    return Gallery(digits, _answer(len(wrong), whose))


def _answer(n_wrong: int, whose: str) -> str:
    if not n_wrong:
        return f"No image was read wrong ({whose})."
    if n_wrong > MOST_SHOWN:
        return f"The {MOST_SHOWN} most confident mistakes of {n_wrong:,} ({whose})."
    return f"All {n_wrong:,} images that were read wrong, the most confident mistakes first ({whose})."


def _digit(one: Misclassified, names: Sequence[str]) -> Digit:
    pixels = base64.b64decode(one.pixels, validate=True)
    if len(pixels) != SIDE * SIDE:
        raise ValueError(len(pixels))
    label, predicted = names[one.label], names[one.predicted]
    alt = f"test image {one.index}: a {label} read as {predicted} with {one.confidence:.0f} %"
    source = "data:image/png;base64," + base64.b64encode(png(pixels, SIDE)).decode()
    return Digit(source, alt, label, predicted, one.confidence)


def png(pixels: bytes, width: int) -> bytes:
    """Encode grey pixels, row by row from 0 (black) to 255 (white), as a PNG file."""
    height = len(pixels) // width
    rows = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
