import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812

from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.network import MODEL_FILE, ConvNet, load_model, model_bytes


class Bomb:
    """An object that writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_the_model_has_the_layers_and_the_1_625_866_parameters_of_its_description() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in ConvNet().state_dict().items()}
    assert shapes == {
        "conv1.weight": (32, 1, 3, 3),
        "conv1.bias": (32,),
        "conv2.weight": (64, 32, 3, 3),
        "conv2.bias": (64,),
        "fc1.weight": (128, 12_544),
        "fc1.bias": (128,),
        "fc2.weight": (10, 128),
        "fc2.bias": (10,),
    }
    assert sum(parameter.numel() for parameter in ConvNet().parameters()) == 1_625_866


def test_the_model_computes_conv_relu_conv_relu_pool_linear_relu_linear_to_the_bit() -> None:
    model = ConvNet()
    images = torch.randn(5, 1, 28, 28)
    x = F.relu(F.conv2d(images, model.conv1.weight, model.conv1.bias, stride=1, padding=1))
    x = F.relu(F.conv2d(x, model.conv2.weight, model.conv2.bias, stride=1, padding=1))
    x = F.max_pool2d(x, kernel_size=2, stride=2).flatten(1)
    x = F.linear(F.relu(F.linear(x, model.fc1.weight, model.fc1.bias)), model.fc2.weight, model.fc2.bias)
    assert torch.equal(model(images), x)


def test_a_saved_model_loads_with_the_same_weights_from_its_file_and_its_folder(tmp_path: Path) -> None:
    model = ConvNet().to(memory_format=torch.channels_last)
    (tmp_path / MODEL_FILE).write_bytes(model_bytes(model))
    state = torch.get_rng_state()
    for path in (tmp_path, tmp_path / MODEL_FILE):
        loaded = load_model(path)
        for name, parameter in loaded.named_parameters():
            assert torch.equal(parameter, model.get_parameter(name))
            assert parameter.requires_grad
            assert parameter.is_contiguous()
            assert (parameter.device.type, parameter.dtype) == ("cpu", torch.float32)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    target = tmp_path / "the bomb went off"
    zipped, plain = tmp_path / "zipped.pt", tmp_path / "plain.pkl"
    torch.save({"model": Bomb(target)}, zipped)
    plain.write_bytes(pickle.dumps(Bomb(target)))
    for path in (zipped, plain):
        with pytest.raises(UserError, match=rf"{path.name}: a pickle, .* only safetensors files are loaded"):
            load_model(path)
    assert not target.exists()
    pickle.loads(plain.read_bytes())
    assert target.exists()  # the bomb was live


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100])
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"model\.bin: not a safetensors file, or a damaged one; only"
    ) as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / MODEL_FILE
    path.write_bytes(model_bytes(ConvNet())[:-1])
    with pytest.raises(UserError, match="not a safetensors file, or a damaged one"):
        load_model(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.safetensors"):
        with pytest.raises(
            UserError, match=r"\.safetensors: no such file; name a model\.safetensors or the folder"
        ):
            load_model(path)


def test_a_model_of_another_kind_is_refused_by_its_first_wrong_tensor(tmp_path: Path) -> None:
    right = OrderedDict(ConvNet().state_dict())
    for wrong, complaint in [
        (
            {**right, "fc1.weight": torch.zeros(64, 12_544)},
            r"fc1\.weight is \(64, 12544\) float32, not \(128, 12544\)",
        ),
        (
            {**right, "fc2.bias": torch.zeros(10, dtype=torch.int64)},
            r"fc2\.bias is \(10,\) int64, not \(10,\) float32",
        ),
        ({name: right[name] for name in right if name != "conv2.bias"}, r"it has no tensor conv2\.bias"),
        ({**right, "fc3.bias": torch.zeros(10)}, r"it has a tensor fc3\.bias besides"),
    ]:
        safetensors.torch.save_file(wrong, tmp_path / MODEL_FILE)
        with pytest.raises(UserError, match=f"not this model: .*{complaint}"):
            load_model(tmp_path)
