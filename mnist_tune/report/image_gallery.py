"""The cases of the test data that were read wrong, as images in the page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.jobs.evaluation import Classes, Evaluation, GreyImage, Mistake

MOST_SHOWN = 200


@dataclass(frozen=True)
class Example:
    """One image; `source` is a data URI."""

    source: str
    alt: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Gallery:
    """The images that were read wrong, the most confident mistakes first."""

    examples: Sequence[Example]
    question: str
    answer: str


def gallery(evaluation: Evaluation, classes: Classes, whose: str) -> Gallery | None:
    """The mistakes that have an image; None if none has one."""
    seen = [(one, one.image) for one in evaluation.mistakes if one.image is not None]
    if not seen:
        return None
    seen.sort(key=lambda pair: (-pair[0].confidence, pair[0].index))
    examples = [_example(one, image, classes) for one, image in seen[:MOST_SHOWN]]
    question = f"Which {evaluation.cases} were read wrong?"
    return Gallery(examples, question, _answer(len(seen), evaluation.cases, whose))


def _answer(n_wrong: int, cases: str, whose: str) -> str:
    if n_wrong > MOST_SHOWN:
        return f"The {MOST_SHOWN} most confident mistakes of {n_wrong:,} ({whose})."
    return f"All {n_wrong:,} {cases} that were read wrong, the most confident mistakes first ({whose})."


def _example(one: Mistake, image: GreyImage, classes: Classes) -> Example:
    label, predicted = classes.names[one.label], classes.names[one.predicted]
    alt = f"test image {one.index}: a {label} read as {predicted} with {one.confidence:.0f} %"
    source = "data:image/png;base64," + base64.b64encode(png(image.pixels, image.width)).decode()
    return Example(source, alt, label, predicted, one.confidence)


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
