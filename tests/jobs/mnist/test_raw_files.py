import hashlib
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.jobs.mnist import dataset, raw_files
from mnist_tune.jobs.mnist.image_sets import MNIST

ROOT = Path(raw_files.__file__).parents[3]
TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS = MNIST.files


@pytest.fixture
def own_directory(mnist_directory: Path, tmp_path: Path) -> Path:
    """A copy of the four files that a test may damage."""
    shutil.copytree(mnist_directory, tmp_path / "own")
    return tmp_path / "own"


def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh Python whose first import path is PYTHONPATH, by default this project."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sums_in_the_code_are_those_in_the_package() -> None:
    lines = (raw_files.PACKED / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    for file in MNIST.files:
        packed = (raw_files.PACKED / f"{file.name}.xz").read_bytes()
        assert sums[file.name] == file.sha256
        assert sums[f"{file.name}.xz"] == hashlib.sha256(packed).hexdigest()


def test_the_directory_is_the_one_given_else_the_environments_else_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MNIST_TUNE_DATA", str(tmp_path / "named"))
    assert raw_files.data_directory(tmp_path / "given") == tmp_path / "given"
    assert raw_files.data_directory() == tmp_path / "named"
    monkeypatch.delenv("MNIST_TUNE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert raw_files.data_directory().is_relative_to(tmp_path)
    assert raw_files.data_directory().name == "mnist-tune"


@pytest.mark.slow
def test_thirty_two_processes_can_unpack_into_one_empty_directory_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from mnist_tune.jobs.mnist import raw_files; "
        "raw_files.provide(pathlib.Path(sys.argv[1]))"
    )
    directory = tmp_path / "not" / "there" / "yet"
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(directory)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(32)
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 32
    assert [process.returncode for process in processes] == [0] * 32
    assert all(row.ok for row in raw_files.check(directory))
    names = sorted(path.name for path in (directory / "MNIST" / "raw").iterdir())
    assert names == sorted(file.name for file in MNIST.files)


def test_unpacking_needs_neither_torch_nor_platformdirs(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from mnist_tune.jobs.mnist import raw_files; "
        "raw_files.provide(raw_files.data_directory(pathlib.Path(sys.argv[1]))); "
        "print(sorted({'torch', 'torchvision', 'platformdirs', 'optuna'} & set(sys.modules)))"
    )
    assert run(code, tmp_path).stdout == "[]\n"


def test_files_that_are_there_are_used_as_they_are(own_directory: Path) -> None:
    raw = own_directory / "MNIST" / "raw"
    for path in raw.iterdir():
        path.chmod(0o444)
    before = {path.name: path.stat().st_mtime_ns for path in raw.iterdir()}
    raw_files.provide(own_directory)
    assert {path.name: path.stat().st_mtime_ns for path in raw.iterdir()} == before


def test_a_missing_file_is_unpacked_beside_those_that_are_there(own_directory: Path) -> None:
    kept = raw_files.raw_path(own_directory, TRAINING_IMAGES)
    before = kept.stat().st_mtime_ns
    raw_files.raw_path(own_directory, TEST_LABELS).unlink()
    raw_files.provide(own_directory)
    assert all(row.ok for row in raw_files.check(own_directory))
    assert kept.stat().st_mtime_ns == before


def test_an_unpacked_file_gets_the_users_ordinary_permissions(tmp_path: Path) -> None:
    raw_files.provide(tmp_path / "data")
    (tmp_path / "ordinary").touch()
    mode = raw_files.raw_path(tmp_path / "data", TEST_LABELS).stat().st_mode
    assert mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "truncated: 0 of 7,840,016 bytes"),
        (b"\x00" * 7_840_016, "not MNIST's file (SHA-256 "),
        (b"\x00" * 9_000_000, "not MNIST's file (SHA-256 "),
    ],
    ids=["truncated", "corrupt", "another file"],
)
def test_a_wrong_file_is_named_in_one_line_and_left_alone(
    own_directory: Path, content: bytes, complaint: str
) -> None:
    path = raw_files.raw_path(own_directory, TEST_IMAGES)
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        dataset.load_test_images(own_directory)
    message = str(raised.value)
    assert message.startswith(f"{path}: {complaint}")
    assert message.endswith(
        "; name another folder with --data-dir or $MNIST_TUNE_DATA, which is filled at first use, "
        "or move this file elsewhere"
    )
    assert "delete" not in message
    assert "\n" not in message
    assert path.read_bytes() == content


def test_data_check_reports_every_file_and_raises_nothing(own_directory: Path) -> None:
    raw_files.raw_path(own_directory, TRAINING_LABELS).write_bytes(b"short")
    raw_files.raw_path(own_directory, TEST_IMAGES).unlink()
    raw_files.raw_path(own_directory, TEST_LABELS).unlink()
    raw_files.raw_path(own_directory, TEST_LABELS).mkdir()
    rows = raw_files.check(own_directory)
    assert [row.status for row in rows] == [
        "ok",
        "truncated: 5 of 60,008 bytes",
        "missing",
        "unreadable (Is a directory)",
    ]
    assert [row.bytes for row in rows] == [47_040_016, 5, None, None]
    assert rows[0].sha256 == TRAINING_IMAGES.sha256


def test_the_fingerprint_tells_one_content_from_another(mnist_directory: Path, own_directory: Path) -> None:
    fingerprint = raw_files.data_fingerprint(mnist_directory)
    assert len(fingerprint) == 64
    assert raw_files.data_fingerprint(own_directory) == fingerprint
    path = raw_files.raw_path(own_directory, TEST_LABELS)
    path.write_bytes(path.read_bytes()[::-1])
    assert raw_files.data_fingerprint(own_directory) != fingerprint
    path.unlink()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: missing; run: mnist-tune data check"):
        raw_files.data_fingerprint(own_directory)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=r"file/below.*: cannot keep the MNIST files here \(Not a directory\); set"
    ):
        dataset.load_test_images(tmp_path / "file" / "below")


def test_a_damaged_package_is_one_clear_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    shutil.copytree(raw_files.PACKED, packed)
    for content in (
        b"junk",
        (packed / "t10k-images-idx3-ubyte.xz").read_bytes()[:-99],
        lzma.compress(b"other"),
    ):
        (packed / "t10k-images-idx3-ubyte.xz").write_bytes(content)
        with pytest.raises(MnistTuneError, match=r"t10k-images-idx3-ubyte\.xz: damaged \(.*\); reinstall"):
            raw_files.provide(tmp_path / "data", packed=packed)
        left = {path.name for path in (tmp_path / "data" / "MNIST" / "raw").iterdir()}
        assert left == {TRAINING_IMAGES.name, TRAINING_LABELS.name}


def test_a_slim_installation_downloads_what_is_missing_and_only_that(
    mnist_directory: Path, own_directory: Path, tmp_path: Path
) -> None:
    raw_files.raw_path(own_directory, TEST_IMAGES).unlink()
    kept = raw_files.raw_path(own_directory, TRAINING_LABELS)
    before = kept.stat().st_mtime_ns

    def download(folder: Path) -> None:
        shutil.copytree(mnist_directory / "MNIST", folder / "MNIST")

    raw_files.provide(own_directory, download, packed=tmp_path / "nothing")
    assert all(row.ok for row in raw_files.check(own_directory))
    assert kept.stat().st_mtime_ns == before
    assert [path.name for path in own_directory.iterdir()] == ["MNIST"]


@pytest.mark.slow
def test_a_download_that_fails_is_one_clear_line(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "mnist_tune", tmp_path / "slim" / "mnist_tune", ignore=shutil.ignore_patterns("*.xz")
    )
    code = (
        "import sys, pathlib\n"
        "from mnist_tune import errors\n"
        "from mnist_tune.jobs.mnist import dataset\n"
        "try: dataset.load_test_images(pathlib.Path(sys.argv[1]))\n"
        "except errors.MnistTuneError as error: print(error)\n"
    )
    nowhere = "http://127.0.0.1:9"  # nothing listens there, so no test ever reaches out
    environment = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    done = run(code, tmp_path / "data", PYTHONPATH=str(tmp_path / "slim"), no_proxy="", **environment)
    assert done.stdout.count("\n") == 1, done.stderr
    assert "carries no MNIST files and they cannot be downloaded (Error downloading" in done.stdout
    assert "MNIST_TUNE_DATA" in done.stdout
    assert list((tmp_path / "data").glob(".download-*")) == []


@pytest.mark.slow
def test_a_torchvision_that_does_not_fit_torch_is_in_nobodys_way_until_it_is_to_download(
    mnist_directory: Path, tmp_path: Path
) -> None:
    # What importing the registry's torchvision beside a CPU-only torch comes to.
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    code = (
        "import sys, pathlib\n"
        "from mnist_tune import errors\n"
        "from mnist_tune.jobs.mnist import dataset\n"
        "print(len(dataset.load_test_images(pathlib.Path(sys.argv[1]))))\n"
        "try: dataset.download(pathlib.Path(sys.argv[1]))\n"
        "except errors.MnistTuneError as error: print(error)\n"
    )
    done = run(code, mnist_directory, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    count, line = done.stdout.splitlines()
    assert count == "10000", done.stderr
    assert f"does not fit torch {torch.__version__.split('+')[0]}" in line
    assert "(operator torchvision::nms does not exist); run: pip install --force-reinstall" in line
