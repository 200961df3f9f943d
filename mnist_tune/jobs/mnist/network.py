"""The network that every trial trains, and its file: safetensors, whose loading cannot run code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation uses
from torch import Tensor, nn

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.image_sets import IMAGE_SETS, MNIST, ImageSet

MODEL_FILE = "model.safetensors"
"""The name under which the weights are kept with a trial."""
TRAINED_ON = "dataset"
"""The key under which a model's file names the images on which it was trained, unless they are MNIST."""


class ConvNet(nn.Module):
    """Two convolutions, two linear layers, 1,625,866 parameters: images (n, 1, 28, 28) to logits (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, stride=1, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, stride=1, padding=1)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.fc1 = nn.Linear(64 * 14 * 14, 128)
        self.dropout = nn.Dropout(0.0)  # the recipe sets its rate
        self.fc2 = nn.Linear(128, 10)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A model with these tensors, by name, as its weights; they are not copied."""
        with torch.device("meta"):
            model = cls()
        model.load_state_dict(tensors, assign=True)
        return model

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.conv1(images))
        # ReLU and maximum commute: this equals conv, ReLU, pool, with ReLU on a quarter of the values.
        x = F.relu(self.pool(self.conv2(x)))
        x = F.relu(self.fc1(self.flatten(x)))
        logits: Tensor = self.fc2(self.dropout(x))
        return logits

    def flatten(self, pooled: Tensor) -> Tensor:
        """Pooled values (n, 64, 14, 14) to (n, 12544), in the order of fc1's columns."""
        return pooled.flatten(1)


def model_bytes(model: nn.Module, images: ImageSet = MNIST) -> bytes:
    """The weights as the content of a safetensors file, contiguous in ConvNet's layout.

    The file says on which images it was trained, unless on MNIST.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(tensors, None if images is MNIST else {TRAINED_ON: images.name})


def load_model(path: Path) -> ConvNet:
    """The model in the file `path`, or in `model.safetensors` in the folder `path`; on the CPU, in float32.

    Raises:
        UserError: see `load_trained`.
    """
    return load_trained(path)[0]


def load_trained(path: Path) -> tuple[ConvNet, ImageSet]:
    """The model in a file or a folder, see `load_model`, and the images on which it was trained.

    Raises:
        UserError: the file is missing, is not safetensors (a pickle is recognised, never loaded), holds
            another model's tensors, or was trained on images that are not known here.
    """
    if path.is_dir():
        path = path / MODEL_FILE
    try:
        tensors = safetensors.torch.load_file(path)
        with safetensors.safe_open(path, "pt") as content:
            name = (content.metadata() or {}).get(TRAINED_ON, MNIST.name)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; name a {MODEL_FILE} or the folder that holds one") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: {_what_it_is(path)}; only safetensors files are loaded") from error
    with torch.device("meta"):
        _require_same_tensors(path, tensors, ConvNet().state_dict())
    if name not in IMAGE_SETS:
        known = ", ".join(IMAGE_SETS)
        raise UserError(f"{path}: was trained on {name!r:.60}; this version knows {known}")
    return ConvNet.of(tensors), IMAGE_SETS[name]


def _what_it_is(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == b"PK\x03\x04" or start[:1] == b"\x80":
        return "a pickle, as torch.save writes it, which can run any code when loaded"
    return "not a safetensors file, or a damaged one"


def _require_same_tensors(path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name, tensor in wanted.items():
        if name not in found:
            raise UserError(f"{path}: not this model: it has no tensor {name}")
        if (have := _form(found[name])) != (want := _form(tensor)):
            raise UserError(f"{path}: not this model: tensor {name} is {have}, not {want}")
    if unknown := sorted(found.keys() - wanted.keys()):
        raise UserError(f"{path}: not this model: it has a tensor {unknown[0]} besides")


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
