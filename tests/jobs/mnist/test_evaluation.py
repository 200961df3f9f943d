import base64
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mnist_tune.errors import UserError
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.dataset import LabeledImages, load_test_images
from mnist_tune.jobs.mnist.evaluation import CPU_BATCH_SIZE, evaluate, predict
from mnist_tune.jobs.mnist.network import ConvNet
from mnist_tune.jobs.model_folder import CONFIGURATION_FILE, EVALUATION_FILE, METRICS_FILE, MODEL_FILE
from mnist_tune.models.evaluation_file import Measured, read_evaluated, sha256_of

FP32 = Runtime("cpu", "a CPU", "fp32", 1)


class SaysFirstPixel(nn.Module):
    """A model that answers with the digit in an image's first pixel, so that its answers are known."""

    def forward(self, images: Tensor) -> Tensor:
        digits = ((images[:, 0, 0, 0] + 1) / 2 * 255).round().long()
        return 100 * nn.functional.one_hot(digits, 10).float()


def labeled(pairs: list[tuple[int, int]]) -> LabeledImages:
    """An image for each (true digit, digit the model will answer)."""
    pixels = torch.zeros(len(pairs), 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor([answer for _, answer in pairs])
    return LabeledImages(pixels, torch.tensor([true for true, _ in pairs]))


def test_the_confusion_matrix_counts_true_digits_in_rows_and_answers_in_columns() -> None:
    result = evaluate(
        SaysFirstPixel(), labeled([(digit, digit) for digit in range(9)] + [(3, 8), (3, 8), (0, 1)]), FP32
    )
    assert result.n_images == 12
    assert result.confusion_matrix[3] == (0, 0, 0, 1, 0, 0, 0, 0, 2, 0)
    assert result.confusion_matrix[0] == (1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert result.confusion_matrix[9] == (0,) * 10
    assert result.accuracy == pytest.approx(75)
    assert result.loss == pytest.approx(3 * 100 / 12)
    assert result.per_class_accuracy[:4] == pytest.approx((50, 100, 100, 100 / 3))
    assert math.isnan(result.per_class_accuracy[9])


def test_it_agrees_with_a_plain_pass_over_real_images(mnist_directory: Path) -> None:
    every = load_test_images(mnist_directory)
    images = every.take(torch.arange(0, 10_000, 20))
    model = ConvNet()
    result = evaluate(model, images, FP32)
    with torch.no_grad():
        logits = model(images.images)
    assert result.loss == pytest.approx(nn.functional.cross_entropy(logits, images.labels).item(), rel=1e-4)
    answers = logits.argmax(1)
    assert result.accuracy == pytest.approx(100 * (answers == images.labels).float().mean().item(), abs=0.4)
    assert sum(map(sum, result.confusion_matrix)) == result.n_images == 500
    assert [sum(row) for row in result.confusion_matrix] == torch.bincount(
        images.labels, minlength=10
    ).tolist()


def test_the_last_smaller_batch_is_not_lost() -> None:
    pairs = [(n % 10, n % 10) for n in range(2 * CPU_BATCH_SIZE + 1)]
    assert predict(SaysFirstPixel(), labeled(pairs)).shape == (2 * CPU_BATCH_SIZE + 1, 10)
    assert evaluate(SaysFirstPixel(), labeled(pairs), FP32).accuracy == 100


def test_the_callers_model_stays_as_it_is() -> None:
    model = ConvNet().train()
    evaluate(model, labeled([(1, 1)]), FP32)
    assert model.training
    assert model.conv2.weight.is_contiguous()


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        evaluate(ConvNet(), labeled([(1, 1)]).take(torch.tensor([], dtype=torch.int64)), FP32)


def test_it_keeps_what_was_read_wrong_with_the_pixels_as_stored() -> None:
    result = evaluate(SaysFirstPixel(), labeled([(1, 1), (3, 8), (0, 0), (4, 9)]), FP32)
    assert [(each.index, each.label, each.predicted) for each in result.misclassified] == [
        (1, 3, 8),
        (3, 4, 9),
    ]
    assert all(each.confidence == pytest.approx(100) for each in result.misclassified)
    pixels = base64.b64decode(result.misclassified[0].pixels)
    assert (len(pixels), pixels[0], sum(pixels)) == (784, 8, 8)
    assert all("pixels" not in each for each in result.as_json()["misclassified"])


def test_an_evaluation_is_kept_only_beside_the_model_it_is_of(tmp_path: Path) -> None:
    result = evaluate(SaysFirstPixel(), labeled([(1, 1), (3, 8)]), FP32)
    for name in (MODEL_FILE, "other.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / CONFIGURATION_FILE).write_text("[training]\n")
    (tmp_path / METRICS_FILE).write_text('{"images": 60000}')
    assert Measured(result, tmp_path / "other.safetensors", "0").keep() is None
    file = tmp_path / MODEL_FILE
    assert Measured(result, file, sha256_of(file)).keep() == tmp_path / EVALUATION_FILE
    kept = read_evaluated(tmp_path)
    assert (kept.evaluation.misclassified, kept.images_trained) == (result.misclassified, 60_000)
    file.write_bytes(b"trained anew")
    with pytest.raises(UserError, match=r"evaluation\.json is of another model; run: mnist-tune evaluate"):
        read_evaluated(tmp_path)


def test_the_confidence_is_the_share_of_the_answer_given(mnist_directory: Path) -> None:
    images = load_test_images(mnist_directory).take(torch.arange(100))
    model = ConvNet()
    wrong = evaluate(model, images, FP32).misclassified
    with torch.no_grad():
        shares = model(images.images).softmax(1)
    assert wrong
    for each in wrong:
        assert each.label == images.labels[each.index]
        assert each.confidence == pytest.approx(100 * shares[each.index, each.predicted].item(), rel=1e-3)
