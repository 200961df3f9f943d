"""The four raw files of a set: where they are, how they get there, whether they are right. Without torch."""

import contextlib
import fcntl
import gzip
import hashlib
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.atomic_write import whole_file
from mnist_tune.files.home import expanded, user_folder
from mnist_tune.jobs.mnist.file_checks import ZIPPED, FileCheck, check_file, zipped
from mnist_tune.jobs.mnist.image_sets import MNIST, ImageSet, RawFile

ENVIRONMENT_VARIABLE = "MNIST_TUNE_DATA"
MOVE = (
    f"name another folder with --data-dir or ${ENVIRONMENT_VARIABLE}, which is filled at first use, "
    "or move this file elsewhere"
)
"""The remedy for a wrong file in the place of MNIST's: it may be somebody's, so it is not deleted."""
PACKED = Path(__file__).parent / "raw"


def data_directory(override: Path | None = None) -> Path:
    """The folder with the sets' folders: `override`, else $MNIST_TUNE_DATA, else the user's cache."""
    if override is not None:
        return expanded(override)
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return expanded(Path(named))
    return user_folder("cache", f"--data-dir or ${ENVIRONMENT_VARIABLE}")


def raw_path(directory: Path, file: RawFile) -> Path:
    """The path of `file` below `directory`, where torchvision looks for it."""
    return directory / file.set / "raw" / file.name


def remedy(images: ImageSet) -> str:
    """What to do about a wrong file of a set. It may be somebody's, so nobody is told to delete it."""
    return MOVE if images is MNIST else "put the published file there, or name another folder with --data-dir"


def at_first_use(missing: list[FileCheck], images: ImageSet, packed: Path = PACKED) -> str:
    """What will be done to have the files that are missing."""
    if images is MNIST:
        is_packed = all((packed / f"{row.path.name}.xz").exists() for row in missing)
        return "unpacked from the package" if is_packed else "downloaded"
    return "unpacked" if all(row.status == ZIPPED for row in missing) else "unpacked or downloaded"


def provide(
    directory: Path,
    download: Callable[[Path], None] | None = None,
    packed: Path = PACKED,
    images: ImageSet = MNIST,
) -> None:
    """Make sure that the four files are below `directory` and are those of the set.

    An existing file is only read, never overwritten. A missing one is unpacked: MNIST's from the package
    (folder `packed`), those of other sets from a .gz beside it. If there is none, `download(folder)` fetches
    it, and must fill `folder` as torchvision does. Any number of processes may call this at once: a file
    appears whole or not at all.

    Raises:
        UserError: a file is wrong, the folder cannot be written, or there is no way to get a file of another
            set than MNIST.
        MnistTuneError: there is no way to get one of MNIST's.
    """
    try:
        if not all(raw_path(directory, file).exists() for file in images.files):
            with _one_at_a_time(raw_path(directory, images.files[0]).parent):
                _fill(directory, images, download, packed)
        rows = check(directory, images)
    except OSError as error:
        raise UserError(
            f"{error.filename or directory}: cannot keep the {images.name} files here "
            f"({error.strerror or error}); set {ENVIRONMENT_VARIABLE} to a folder that can be written"
        ) from error
    for row in rows:
        if not row.ok:
            raise UserError(f"{row.path}: {row.status}; {remedy(images)}")


def check(directory: Path, images: ImageSet = MNIST) -> list[FileCheck]:
    """Check each of the four files below `directory`; what is wrong is reported, not raised."""
    return [check_file(raw_path(directory, file), file) for file in images.files]


def data_fingerprint(directory: Path, images: ImageSet = MNIST) -> str:
    """SHA-256 (hex) over the checksums of the four raw files below `directory`; it is equal for equal data.

    Raises:
        UserError: one of the files cannot be read.
    """
    rows = check(directory, images)
    for row in rows:
        if row.sha256 is None:
            raise UserError(f"{row.path}: {row.status}; run: mnist-tune data check {images.name}")
    sums = "".join(f"{row.sha256}  {row.path.name}\n" for row in rows)
    return hashlib.sha256(sums.encode()).hexdigest()


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


def _fill(directory: Path, images: ImageSet, download: Callable[[Path], None] | None, packed: Path) -> None:
    missing = [file for file in images.files if not raw_path(directory, file).exists()]
    for file in missing:
        target = raw_path(directory, file)
        archive = packed / f"{file.name}.xz" if images is MNIST else zipped(target, file)
        if archive.exists():
            _unpack(archive, target, images, file)
    missing = [file for file in missing if not raw_path(directory, file).exists()]
    if not missing:
        return
    if download is None:
        raise _cannot_be_had(directory, images, missing, packed)
    # In the target's folder, so that the move is a rename, but below it, so that no file there is touched.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as folder:
        try:
            download(Path(folder))
        except MnistTuneError as error:
            raise _cannot_be_had(directory, images, missing, packed, str(error)) from error
        for file in missing:
            raw_path(Path(folder), file).replace(raw_path(directory, file))


def _cannot_be_had(
    directory: Path, images: ImageSet, missing: list[RawFile], packed: Path, reason: str = ""
) -> MnistTuneError:
    """The error for files that are missing; `reason` says why they cannot be downloaded."""
    if images is not MNIST:
        names = ", ".join(f"{file.name}.gz" for file in missing)
        tried = f", and cannot be downloaded ({reason})" if reason else ""
        return UserError(
            f"{raw_path(directory, missing[0]).parent}: {images.name} is not here whole{tried}; put "
            f"{names} into this folder, unpacked or not, or name another one with --data-dir or "
            f"${ENVIRONMENT_VARIABLE} that has {images.name}/raw/"
        )
    if not reason:
        return MnistTuneError(
            f"{packed}: the installation carries no {missing[0].name}.xz; reinstall mnist-tune"
        )
    return MnistTuneError(
        f"this installation carries no MNIST files and they cannot be downloaded ({reason}); put them into "
        f"MNIST/raw/ of the folder named by {ENVIRONMENT_VARIABLE}, or reinstall mnist-tune"
    )


def _unpack(archive: Path, target: Path, images: ImageSet, file: RawFile) -> None:
    unpacked = lzma.open if archive.suffix == ".xz" else gzip.open
    try:
        with unpacked(archive) as source, whole_file(target) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            found = check_file(Path(sink.name), file)
            if not found.ok:
                raise lzma.LZMAError(f"unpacks to something that is {found.status}")
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        if images is not MNIST:
            raise UserError(f"{archive}: damaged ({error}); {remedy(images)}") from error
        raise MnistTuneError(f"{archive}: damaged ({error}); reinstall mnist-tune") from error
