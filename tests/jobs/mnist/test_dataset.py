import hashlib
import re
from pathlib import Path

import pytest
import torch

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist import dataset


def test_the_images_equal_torchvisions_own_transform_to_the_bit(mnist_directory: Path) -> None:
    from torchvision import datasets, transforms  # which takes a second

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    theirs = datasets.MNIST(mnist_directory, train=False, transform=transform)
    ours = dataset.load_test_images(mnist_directory)
    images = ours.images
    assert (images.shape, images.dtype) == ((10_000, 1, 28, 28), torch.float32)
    assert (ours.labels.shape, ours.labels.dtype) == ((10_000,), torch.int64)
    for row, (image, label) in enumerate(theirs):
        assert torch.equal(images[row], image)
        assert ours.labels[row] == label


def test_images_are_read_once_a_process(mnist_directory: Path) -> None:
    first = dataset.load_training_images(mnist_directory)
    assert len(first) == 60_000
    assert dataset.load_training_images(mnist_directory) is first


def test_the_images_are_pages_of_their_file_which_all_workers_share(mnist_directory: Path) -> None:
    every = dataset.load_training_images(mnist_directory)
    training, validation = dataset.split(every, 50_000, 10_000)
    assert (len(training.images), len(validation.images)) == (50_000, 10_000)
    assert training.stored.data_ptr() == validation.stored.data_ptr() == every.stored.data_ptr()
    pages = pages_of(every.stored.data_ptr())
    assert pages["Rss"] > 45_000  # all was read
    assert pages["Anonymous"] == pages["Private_Dirty"] == 0  # nothing was copied


def pages_of(address: int) -> dict[str, int]:
    """Linux's figures, in KiB, for the memory mapping that contains the address."""
    maps = Path("/proc/self/smaps").read_text(encoding="utf-8")
    for head, fields in re.findall(r"^(\w+-\w+) [rwxps-]{4} .*\n((?:[A-Z]\w+: .*\n)+)", maps, re.MULTILINE):
        first, end = (int(bound, 16) for bound in head.split("-"))
        if first <= address < end:
            return {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB$", fields, re.MULTILINE)}
    raise AssertionError("no such mapping")


def test_normalised_images_are_the_same_images(mnist_directory: Path) -> None:
    rows = torch.tensor([5, 3, 3, 9_999])
    part = dataset.load_test_images(mnist_directory).take(rows)
    normalized = part.normalized(torch.float32)
    assert torch.equal(normalized.images, part.images)
    assert torch.equal(normalized.take(torch.tensor([1])).images, part.images[1:2])
    assert normalized.images.data_ptr() == normalized.stored.data_ptr()
    assert part.normalized(torch.bfloat16).images.dtype == torch.bfloat16


def numbered(labels: torch.Tensor) -> dataset.LabeledImages:
    """Images whose first four pixels spell their row, so that a split shows which rows it took."""
    rows = torch.arange(len(labels))
    pixels = torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8)
    for digit in range(4):
        pixels[:, 0, 0, digit] = rows // 256**digit % 256
    return dataset.LabeledImages(pixels, labels)


def rows_of(part: dataset.LabeledImages) -> list[int]:
    digits = part.pixels[:, 0, 0, :4].long()
    return [int(row) for row in digits @ torch.tensor([1, 256, 256**2, 256**3])]


@pytest.fixture(scope="module")
def numbered_mnist(mnist_directory: Path) -> dataset.LabeledImages:
    return numbered(dataset.load_training_images(mnist_directory).labels)


@pytest.mark.parametrize(
    ("train_size", "validation_size"), [(50_000, 10_000), (1_003, 997), (59_999, 1), (7, 0)]
)
def test_a_split_is_exact_disjoint_and_stratified(
    numbered_mnist: dataset.LabeledImages, train_size: int, validation_size: int
) -> None:
    training, validation = dataset.split(numbered_mnist, train_size, validation_size)
    assert (len(training), len(validation)) == (train_size, validation_size)
    assert len({*rows_of(training), *rows_of(validation)}) == train_size + validation_size
    shares = torch.bincount(numbered_mnist.labels, minlength=10) / len(numbered_mnist)
    for part in (training, validation):
        assert torch.equal(part.labels, numbered_mnist.labels[rows_of(part)])
        counts = torch.bincount(part.labels, minlength=10)
        assert (counts - shares * len(part)).abs().max() < 2


def test_the_validation_images_are_the_same_whatever_the_train_size(
    numbered_mnist: dataset.LabeledImages,
) -> None:
    validations = [rows_of(dataset.split(numbered_mnist, size, 5_000)[1]) for size in (1, 600, 55_000)]
    assert validations[0] == validations[1] == validations[2]


def test_the_split_is_a_function_of_its_seed_and_disturbs_no_other(
    numbered_mnist: dataset.LabeledImages,
) -> None:
    state = torch.get_rng_state()
    first = [rows_of(part) for part in dataset.split(numbered_mnist, 500, 500)]
    assert [rows_of(part) for part in dataset.split(numbered_mnist, 500, 500, 0)] == first
    assert [rows_of(part) for part in dataset.split(numbered_mnist, 500, 500, 1)] != first
    assert torch.equal(torch.get_rng_state(), state)


def test_the_default_split_is_the_one_that_stored_results_were_measured_on(
    numbered_mnist: dataset.LabeledImages,
) -> None:
    _, validation = dataset.split(numbered_mnist, 50_000, 10_000)
    digest = hashlib.sha256(" ".join(map(str, rows_of(validation))).encode()).hexdigest()
    assert digest == "3443ee22d3e7837adcac418d4e4625ae9923d251a697d2bffd9d0dc24feb8f87"


@pytest.mark.parametrize(("train_size", "validation_size"), [(50_001, 10_000), (0, 10), (10, -1)])
def test_an_impossible_split_is_refused(
    numbered_mnist: dataset.LabeledImages, train_size: int, validation_size: int
) -> None:
    with pytest.raises(UserError, match=r"train_size .* and validation_size"):
        dataset.split(numbered_mnist, train_size, validation_size)
