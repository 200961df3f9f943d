"""Whether a raw file is what it is called: by its checksum, or its form if none is known. Without torch."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from mnist_tune.jobs.mnist.image_sets import BYTES, MNIST, SIZES, RawFile

MISSING, ZIPPED = "missing", "missing, with its .gz beside it"
COMPRESSED = b"\x1f\x8b"
"""The first bytes of a gzip file."""


@dataclass(frozen=True)
class FileCheck:
    """A row of `mnist-tune data check`: `bytes` and `sha256` of the file found, None if unreadable."""

    path: Path
    bytes: int | None
    sha256: str | None
    status: str

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def is_missing(self) -> bool:
        """Whether there is no file, so that it is made at first use."""
        return self.status in (MISSING, ZIPPED)


def check_file(path: Path, file: RawFile) -> FileCheck:
    """Look at the file at `path`, which should be `file`; what is wrong is reported, not raised."""
    try:
        stat = path.stat()
        digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
        status = _status(path, file, stat.st_size, digest)
    except FileNotFoundError:
        has_zip = file.sha256 is None and zipped(path, file).exists()
        return FileCheck(path, None, None, ZIPPED if has_zip else MISSING)
    except OSError as error:
        return FileCheck(path, None, None, f"unreadable ({error.strerror or error})")
    return FileCheck(path, stat.st_size, digest, status)


def _status(path: Path, file: RawFile, size: int, digest: str) -> str:
    if digest == file.sha256:
        return "ok"
    if file.sha256 is None:
        return _form(path, file, size, digest)
    if size < file.size:
        return f"truncated: {size:,} of {file.size:,} bytes"
    return f"not {file.set}'s file (SHA-256 {digest[:12]}..., expected {file.sha256[:12]}...)"


@functools.cache
def _form(path: Path, file: RawFile, size: int, digest: str) -> str:
    """Whether a file of which no checksum is known can be what it is called."""
    if digest in {own.sha256 for own in MNIST.files}:
        return f"MNIST's file, not {file.set}'s"
    with path.open("rb") as stream:
        header = stream.read(len(file.header))
        if header[:2] == COMPRESSED:
            return f"compressed: its name should be {file.name}.gz"
        if not file.header.startswith(header):
            return f"not {file.set}'s file (begins with {header.hex()}, expected {file.header.hex()})"
        if size != file.size:
            return f"{'truncated' if size < file.size else 'too long'}: {size:,} of {file.size:,} bytes"
        if "labels" in file.name and (largest := _largest_label(stream.read(), file)) > 9:
            return f"not {file.set}'s file (has the label {largest}, and there are 0 to 9)"
    return "ok"


def _largest_label(content: bytes, file: RawFile) -> int:
    if file.values == BYTES:
        return max(content)
    # Of each image's numbers the first is its class, in four bytes.
    size = SIZES[file.values]
    starts = range(0, len(content), size * file.shape[1])
    return max(int.from_bytes(content[start : start + size], "big") for start in starts)


def zipped(path: Path, file: RawFile) -> Path:
    """The .gz from which a file is unpacked as torchvision does, which there is for other sets than MNIST."""
    return path.with_name(f"{file.name}.gz")


@functools.cache
def _sha256(path: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001 - a changed file is a new key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
