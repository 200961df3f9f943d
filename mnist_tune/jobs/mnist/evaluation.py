"""A model's predictions on labelled images, and their scores."""

import copy
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.evaluation import Classes, Evaluation, GreyImage, Mistake
from mnist_tune.jobs.mnist.dataset import CLASSES, LabeledImages
from mnist_tune.jobs.mnist.image_sets import MNIST, ImageSet

CPU_BATCH_SIZE = 125  # fits the cache: twice as fast on a CPU thread as 250 and more
BATCH_SIZE = 2_500  # for accelerators: few launches


def evaluate(model: nn.Module, data: LabeledImages, runtime: Runtime, images: ImageSet = MNIST) -> Evaluation:
    """Evaluate a copy of `model` on `data`, at least one image of the set `images`, with `runtime`.

    The loss is the mean cross entropy; accuracies are in percent.

    Raises:
        ValueError: there are no images.
    """
    if len(data) == 0:
        raise ValueError("no images to evaluate on")
    runtime.apply()
    model = copy.deepcopy(model).to(runtime.device).to(memory_format=torch.channels_last).eval()
    data = data.to(runtime.device)
    with runtime.autocast():
        logits = predict(model, data)
    loss, accuracy = score(logits, data.labels)
    answers = logits.argmax(1)
    counts = torch.bincount((data.labels * CLASSES + answers).cpu(), minlength=CLASSES**2)
    return Evaluation(
        metrics={"accuracy": accuracy, "loss": loss},
        n_cases=len(data),
        cases="images",
        dataset=images.name,
        classes=Classes(
            names=images.class_names,
            one=images.one_class,
            many=images.classes,
            confusion_matrix=counts.reshape(CLASSES, CLASSES).tolist(),
        ),
        mistakes=list(_mistakes(data, logits, answers)),
    )


@torch.inference_mode()
def predict(model: Callable[[Tensor], Tensor], data: LabeledImages) -> Tensor:
    """Logits (n, 10) in float32; model and data must be on the same device."""
    rows = torch.arange(len(data), device=data.labels.device)
    batches = torch.split(rows, CPU_BATCH_SIZE if rows.device.type == "cpu" else BATCH_SIZE)
    return torch.cat([model(data.take(batch).images) for batch in batches]).float()


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """The mean cross entropy and the accuracy in percent."""
    correct = int((logits.argmax(1) == labels).sum())
    return float(F.cross_entropy(logits, labels)), 100 * correct / len(labels)


def _mistakes(data: LabeledImages, logits: Tensor, answers: Tensor) -> Iterator[Mistake]:
    wrong = (answers != data.labels).nonzero().flatten()
    pixels = data.take(wrong).pixels.cpu()
    confidences = 100 * logits.softmax(1).amax(1)
    for index, image in zip(wrong.tolist(), pixels, strict=True):
        yield Mistake(
            index=index,
            label=int(data.labels[index]),
            predicted=int(answers[index]),
            confidence=float(confidences[index]),
            image=GreyImage(width=image.shape[-1], pixels=image.contiguous().numpy().tobytes()),
        )
