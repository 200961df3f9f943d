"""FashionMNIST, KMNIST and QMNIST: their files, and how they are read."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist import dataset, raw_files
from mnist_tune.jobs.mnist.image_sets import (
    FASHION_MNIST,
    IMAGE_SETS,
    KMNIST,
    MNIST,
    QMNIST,
    ImageSet,
    RawFile,
)
from mnist_tune.jobs.mnist.network import ConvNet, load_trained, model_bytes
from mnist_tune.jobs.mnist.torchvision_import import torchvision_module
from mnist_tune.jobs.saved_files import as_file
from tests.support.commands import Command
from tests.support.image_files import as_labels, linked_set, write_file, write_set
from tests.support.stored_content import files_in

TRAINING_IMAGES, TRAINING_LABELS, _, TEST_LABELS = FASHION_MNIST.files


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a made-up FashionMNIST."""
    directory = tmp_path_factory.mktemp("fashion")
    write_set(directory, FASHION_MNIST)
    return directory


@pytest.mark.parametrize("images", IMAGE_SETS.values(), ids=list(IMAGE_SETS))
def test_the_names_are_those_of_torchvision(images: ImageSet) -> None:
    theirs = getattr(torchvision_module("datasets"), images.name)
    parts = [theirs.resources["train"], theirs.resources["test"]] if images is QMNIST else [theirs.resources]
    names = [Path(url).stem for part in parts for url, _ in part]
    assert [file.name for file in images.files] == names
    # torchvision calls a digit "0 - zero".
    assert list(images.class_names) == [name.partition(" - ")[0] for name in theirs.classes]


def test_a_set_is_read_as_torchvision_reads_it(fashion: Path) -> None:
    for train, load in ((True, dataset.load_training_images), (False, dataset.load_test_images)):
        ours = load(fashion, "cpu", FASHION_MNIST)
        theirs = torchvision_module("datasets").FashionMNIST(fashion, train=train)
        assert len(ours) == (60_000 if train else 10_000)
        assert torch.equal(ours.pixels[:, 0], theirs.data)
        assert torch.equal(ours.labels, theirs.targets)


def test_the_test_images_of_qmnist_are_the_first_10_000_of_its_60_000(tmp_path: Path) -> None:
    write_set(tmp_path, QMNIST, zipped=True)
    for what, load in (("train", dataset.load_training_images), ("test10k", dataset.load_test_images)):
        ours = load(tmp_path, "cpu", QMNIST)
        theirs = torchvision_module("datasets").QMNIST(tmp_path, what=what)
        assert torch.equal(ours.pixels[:, 0], theirs.data)
        assert torch.equal(ours.labels, theirs.targets[:, 0])


def test_zipped_files_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    raw = write_set(tmp_path, KMNIST, zipped=True)
    assert [row.status for row in raw_files.check(tmp_path, KMNIST)] == [
        "missing, with its .gz beside it"
    ] * 4
    before = files_in(raw)
    raw_files.provide(tmp_path, images=KMNIST)
    assert all(row.ok for row in raw_files.check(tmp_path, KMNIST))
    assert sorted(set(files_in(raw)) - set(before)) == sorted(raw / file.name for file in KMNIST.files)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        (TEST_LABELS, TEST_LABELS.header + bytes(9_999), "truncated: 10,007 of 10,008 bytes"),
        (TEST_LABELS, TEST_LABELS.header + bytes(10_001), "too long: 10,009 of 10,008 bytes"),
        (TEST_LABELS, b"", "truncated: 0 of 10,008 bytes"),
        (
            TEST_LABELS,
            TRAINING_LABELS.header + bytes(60_000),
            "not FashionMNIST's file (begins with 000008010000ea60, expected 0000080100002710)",
        ),
        (
            TRAINING_IMAGES,
            b"\x00\x00\x0d\x03" + TRAINING_IMAGES.header[4:] + bytes(60_000 * 28 * 28),
            "not FashionMNIST's file (begins with 00000d03",
        ),
        (
            TEST_LABELS,
            TEST_LABELS.header + bytes(9_999) + b"\x0a",
            "not FashionMNIST's file (has the label 10, and there are 0 to 9)",
        ),
        (
            TEST_LABELS,
            gzip.compress(TEST_LABELS.header + bytes(10_000)),
            "compressed: its name should be t10k-labels-idx1-ubyte.gz",
        ),
    ],
    ids=["truncated", "too long", "empty", "other length", "other type", "label", "compressed"],
)
def test_a_wrong_file_is_named_in_one_line_and_left_alone(
    fashion: Path, tmp_path: Path, file: RawFile, content: bytes, complaint: str
) -> None:
    path = raw_files.raw_path(linked_set(tmp_path, fashion, FASHION_MNIST, without=file), file)
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        dataset.load_training_images(tmp_path, "cpu", FASHION_MNIST)
    assert str(raised.value).startswith(f"{path}: {complaint}")
    assert str(raised.value).endswith(
        "; put the published file there, or name another folder with --data-dir"
    )
    assert path.read_bytes() == content


def test_labels_of_qmnist_are_checked_too(tmp_path: Path) -> None:
    file = QMNIST.files[1]
    classes = np.zeros(60_000, np.int64)
    classes[7] = 256  # of which the lowest byte would pass
    path = write_file(tmp_path, file, as_labels(classes, file))
    rows = raw_files.check(tmp_path, QMNIST)
    assert rows[1].path == path
    assert rows[1].status == "not QMNIST's file (has the label 256, and there are 0 to 9)"


def test_the_files_of_mnist_are_not_taken_for_another_set(mnist_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "FashionMNIST").symlink_to(mnist_directory / "MNIST")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: MNIST's file, not FashionMNIST's; put"):
        raw_files.provide(tmp_path, images=FASHION_MNIST)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"other"), r"unpacks to something that is not FashionMNIST's file \(begins with .*\)"),
        (gzip.compress(TEST_LABELS.header + bytes(10_000))[:-9], "Compressed file ended before .*"),
        (b"junk", "Not a gzipped file .*"),
    ],
    ids=["other", "truncated", "junk"],
)
def test_a_damaged_zipped_file_is_one_clear_line_and_leaves_nothing_behind(
    fashion: Path, tmp_path: Path, content: bytes, why: str
) -> None:
    path = raw_files.raw_path(linked_set(tmp_path, fashion, FASHION_MNIST, without=TEST_LABELS), TEST_LABELS)
    zipped = path.with_name(f"{path.name}.gz")
    zipped.write_bytes(content)
    with pytest.raises(UserError, match=rf"{re.escape(str(zipped))}: damaged \({why}\); put the published"):
        raw_files.provide(tmp_path, images=FASHION_MNIST)
    assert not path.exists()
    assert len(list(path.parent.iterdir())) == 4


@pytest.mark.usefixtures("without_network")
def test_what_is_missing_and_cannot_be_downloaded_is_one_clear_line(fashion: Path, tmp_path: Path) -> None:
    linked_set(tmp_path, fashion, FASHION_MNIST, without=TRAINING_LABELS)
    with pytest.raises(UserError) as raised:
        dataset.load_training_images(tmp_path, "cpu", FASHION_MNIST)
    said = str(raised.value)
    assert said.startswith(f"{tmp_path}/FashionMNIST/raw: FashionMNIST is not here whole, and cannot be ")
    assert "downloaded (Error downloading train-images-idx3-ubyte.gz: Tried http://" in said
    assert said.endswith(
        "; put train-labels-idx1-ubyte.gz into this folder, unpacked or not, or name another one with "
        "--data-dir or $MNIST_TUNE_DATA that has FashionMNIST/raw/"
    )
    assert "\n" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["FashionMNIST"]


def test_a_download_fetches_what_is_missing_and_only_that(fashion: Path, tmp_path: Path) -> None:
    linked_set(tmp_path, fashion, FASHION_MNIST, without=TEST_LABELS)

    def download(folder: Path) -> None:
        write_set(folder, FASHION_MNIST)

    raw_files.provide(tmp_path, download, images=FASHION_MNIST)
    assert all(row.ok for row in raw_files.check(tmp_path, FASHION_MNIST))
    are_links = [raw_files.raw_path(tmp_path, file).is_symlink() for file in FASHION_MNIST.files]
    assert are_links == [True, True, True, False]


def test_a_model_of_mnist_is_the_file_that_it_was_and_others_name_their_set(tmp_path: Path) -> None:
    model, file = ConvNet(), tmp_path / "model.safetensors"
    assert model_bytes(model) == model_bytes(model, MNIST) == as_file(model)
    for images in IMAGE_SETS.values():
        file.write_bytes(model_bytes(model, images))
        assert load_trained(file)[1] is images
    file.write_bytes(file.read_bytes().replace(b"QMNIST", b"XMNIST"))
    with pytest.raises(UserError, match="was trained on 'XMNIST'; this version knows MNIST, FashionMNIST, "):
        load_trained(file)


def test_data_check_takes_the_name_of_a_set(command: Command, fashion: Path, tmp_path: Path) -> None:
    answer = command("data", "check", "FashionMNIST", "--data-dir", str(fashion))
    assert (answer.code, answer.err, answer.out.count(" bytes, ok, SHA-256 ")) == (0, "", 4)
    told = command("data", "check", "FashionMNIST", "--data-dir", str(fashion), "--json").json
    assert (told["dataset"], [file["status"] for file in told["files"]]) == ("FashionMNIST", ["ok"] * 4)

    answer = command("data", "check", "QMNIST", "--data-dir", str(tmp_path))
    assert (answer.code, answer.out.count(": missing, ")) == (0, 4)
    assert answer.out.splitlines()[-1] == "what is missing is unpacked or downloaded at first use"
    assert files_in(tmp_path) == []

    linked_set(tmp_path, fashion, FASHION_MNIST, without=TEST_LABELS)
    write_file(tmp_path, TEST_LABELS, b"short")
    answer = command("data", "check", "FashionMNIST", "--data-dir", str(tmp_path))
    assert answer.code == 1
    assert "t10k-labels-idx1-ubyte: 13 bytes, truncated: 13 of 10,008 bytes" in answer.out
    assert "is not as it should be: put the published file there" in answer.out

    answer = command("data", "check", "FasionMNIST")
    assert (answer.code, answer.out) == (2, "")
    assert "dataset 'FasionMNIST' is not known; did you mean 'FashionMNIST'?" in answer.err


def test_doctor_tells_of_the_sets_that_are_there(command: Command, fashion: Path) -> None:
    checks = command("doctor", "--data-dir", str(fashion), "--json").json["checks"]
    of_data = [check["says"] for check in checks if check["check"] == "data"]
    assert of_data == [
        f"{fashion}: 4 of 4 files are missing, and unpacked from the package at first use",
        f"{fashion}: FashionMNIST, in the right form",
    ]
