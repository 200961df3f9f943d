"""The four raw MNIST files: where they are, how they get there, whether they are right. Without torch."""

import contextlib
import fcntl
import functools
import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.atomic_write import whole_file
from mnist_tune.files.home import expanded, user_folder

ENVIRONMENT_VARIABLE = "MNIST_TUNE_DATA"
MOVE = (
    f"name another folder with --data-dir or ${ENVIRONMENT_VARIABLE}, which is filled at first use, "
    "or move this file elsewhere"
)
"""The remedy for another file in the place of one of MNIST's: it may be somebody's, so it is not deleted."""
PACKED = Path(__file__).parent / "raw"


@dataclass(frozen=True)
class MnistFile:
    """One raw file as its authors published it: name, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


FILES = (
    MnistFile(
        "train-images-idx3-ubyte",
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    MnistFile(
        "train-labels-idx1-ubyte",
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    MnistFile(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    MnistFile(
        "t10k-labels-idx1-ubyte",
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


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


def data_directory(override: Path | None = None) -> Path:
    """The folder that has, or will have, `MNIST/raw/`: `override`, else $MNIST_TUNE_DATA, else the cache."""
    if override is not None:
        return expanded(override)
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return expanded(Path(named))
    return user_folder("cache", f"--data-dir or ${ENVIRONMENT_VARIABLE}")


def raw_path(directory: Path, file: MnistFile) -> Path:
    """The path of `file` below `directory`, where torchvision looks for it."""
    return directory / "MNIST" / "raw" / file.name


def provide(
    directory: Path,
    download: Callable[[Path], None] | None = None,
    packed: Path = PACKED,
) -> None:
    """Make sure that the four files are below `directory` and are MNIST's.

    An existing file is only read, never overwritten. A missing one is unpacked from the package (folder
    `packed`). If the package has none, `download(folder)` fetches it, and must fill `folder` as torchvision
    does. Any number of processes may call this at once: a file appears whole or not at all.

    Raises:
        UserError: a file is wrong, or the folder cannot be written.
        MnistTuneError: there is no way to get a file.
    """
    try:
        if not all(raw_path(directory, file).exists() for file in FILES):
            with _one_at_a_time(raw_path(directory, FILES[0]).parent):
                _fill(directory, download, packed)
        rows = check(directory)
    except OSError as error:
        raise UserError(
            f"{error.filename or directory}: cannot keep the MNIST files here ({error.strerror or error}); "
            f"set {ENVIRONMENT_VARIABLE} to a folder that can be written"
        ) from error
    for row in rows:
        if not row.ok:
            raise UserError(f"{row.path}: {row.status}; {MOVE}")


def check(directory: Path) -> list[FileCheck]:
    """Check each of the four files below `directory`; what is wrong is reported, not raised."""
    return [_check_file(raw_path(directory, file), file) for file in FILES]


def data_fingerprint(directory: Path) -> str:
    """SHA-256 (hex) over the checksums of the four raw files below `directory`; it is equal for equal data.

    Raises:
        UserError: one of the files cannot be read.
    """
    rows = check(directory)
    for row in rows:
        if row.sha256 is None:
            raise UserError(f"{row.path}: {row.status}; run: mnist-tune data check")
    sums = "".join(f"{row.sha256}  {row.path.name}\n" for row in rows)
    return hashlib.sha256(sums.encode()).hexdigest()


def _check_file(path: Path, file: MnistFile) -> FileCheck:
    try:
        stat = path.stat()
        digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError:
        return FileCheck(path, None, None, "missing")
    except OSError as error:
        return FileCheck(path, None, None, f"unreadable ({error.strerror or error})")
    if digest == file.sha256:
        status = "ok"
    elif stat.st_size < file.size:
        status = f"truncated: {stat.st_size:,} of {file.size:,} bytes"
    else:
        status = f"not MNIST's file (SHA-256 {digest[:12]}..., expected {file.sha256[:12]}...)"
    return FileCheck(path, stat.st_size, digest, status)


@functools.cache
def _sha256(path: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001 - a changed file is a new key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that of many starting workers one unpacks and the others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        # On a file system without locks several may unpack, which is harmless: files appear by rename.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _fill(directory: Path, download: Callable[[Path], None] | None, packed: Path) -> None:
    missing = [file for file in FILES if not raw_path(directory, file).exists()]
    for file in missing:
        archive = packed / f"{file.name}.xz"
        if archive.exists():
            _unpack(archive, raw_path(directory, file), file)
    missing = [file for file in missing if not raw_path(directory, file).exists()]
    if not missing:
        return
    if download is None:
        raise MnistTuneError(
            f"{packed}: the installation carries no {missing[0].name}.xz; reinstall mnist-tune"
        )
    # In the target's folder, so that the move is a rename, but below it, so that no file there is touched.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as folder:
        download(Path(folder))
        for file in missing:
            raw_path(Path(folder), file).replace(raw_path(directory, file))


def _unpack(archive: Path, target: Path, file: MnistFile) -> None:
    try:
        with lzma.open(archive) as source, whole_file(target) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            if not _check_file(Path(sink.name), file).ok:
                raise lzma.LZMAError("unpacks to something else")
    except (lzma.LZMAError, EOFError) as error:
        raise MnistTuneError(f"{archive}: damaged ({error}); reinstall mnist-tune") from error
