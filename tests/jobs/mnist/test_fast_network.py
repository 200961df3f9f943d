import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.fast_network import WorkingModel, arranged, plain
from mnist_tune.jobs.mnist.network import ConvNet

FP32 = Runtime("cpu", "a CPU", "fp32", 1)
BF16 = Runtime("cpu", "a CPU", "bf16", 1)


@pytest.fixture(autouse=True)
def same_weights_every_time() -> None:
    torch.manual_seed(0)


def images(n: int) -> Tensor:
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def copy_of(model: ConvNet) -> ConvNet:
    return ConvNet.of({name: weight.clone() for name, weight in model.state_dict().items()})


def test_it_computes_what_the_plain_model_computes() -> None:
    model = ConvNet()
    expected = model(images(70))
    assert torch.allclose(WorkingModel(copy_of(model), FP32)(images(70)), expected, atol=1e-5)
    assert torch.allclose(WorkingModel(copy_of(model), BF16)(images(70)), expected, atol=0.02)


def test_its_gradients_are_the_plain_models() -> None:
    model, labels = ConvNet(), torch.arange(30) % 10
    torch.autograd.backward(F.cross_entropy(model(images(30)), labels))
    for runtime, tolerance in ((FP32, 1e-4), (BF16, 0.2)):
        working = WorkingModel(copy_of(model), runtime)
        working.backward(F.cross_entropy(working(images(30)), labels))
        for parameter, expected in zip(working.parameters, model.parameters(), strict=True):
            assert parameter.grad is not None
            assert expected.grad is not None
            difference = plain(parameter.grad) - expected.grad
            assert difference.norm() < tolerance * expected.grad.norm()


def test_in_bf16_it_computes_as_autocast_does_to_the_bit() -> None:
    model, labels = ConvNet(), torch.arange(64) % 10
    working = WorkingModel(copy_of(model), BF16)
    autocast = model.to(memory_format=torch.channels_last)
    with BF16.autocast():
        expected = autocast(images(64)).float()
    given = working(images(64))
    # fc1 adds in another order: apart from that, and from what rounding makes of it, nothing differs.
    assert (given - expected).abs().max() <= 2 * torch.finfo(torch.bfloat16).eps * expected.abs().max()
    torch.autograd.backward(F.cross_entropy(expected, labels))
    working.backward(F.cross_entropy(given, labels))
    assert all(parameter.grad is not None for parameter in working.parameters)
    assert {parameter.dtype for parameter in working.parameters} == {torch.float32}


def test_in_bf16_the_fp32_weights_keep_what_a_step_is_too_small_to_show() -> None:
    working = WorkingModel(ConvNet(), BF16)
    before = [parameter.detach().clone() for parameter in working.parameters]
    answers = working(images(5))
    with torch.no_grad():
        for parameter in working.parameters:
            parameter += 1e-6
    working.refresh()
    assert torch.allclose(working(images(5)), answers, atol=0.02)
    state = working.state_dict()
    for weight, was in zip(state.values(), before, strict=True):
        assert torch.allclose(weight, plain(was) + 1e-6, atol=1e-8)
        assert not torch.equal(weight, plain(was))


def test_its_state_is_the_plain_models_in_name_order_and_layout() -> None:
    model = ConvNet()
    for runtime in (FP32, BF16):
        state = WorkingModel(copy_of(model), runtime).state_dict()
        assert list(state) == list(model.state_dict())
        for name, weight in model.state_dict().items():
            assert torch.equal(state[name], weight)
            assert state[name].is_contiguous()


def test_a_state_is_taken_over_as_it_is() -> None:
    for runtime in (FP32, BF16):
        first, second = WorkingModel(ConvNet(), runtime), WorkingModel(ConvNet(), runtime)
        second.load_state_dict(first.state_dict())
        assert torch.equal(second(images(9)), first(images(9)))


def test_arranging_and_back_is_nothing_done() -> None:
    weight = ConvNet().fc1.weight.detach()
    assert not torch.equal(arranged(weight), weight)
    assert torch.equal(plain(arranged(weight)), weight)
    for other in (ConvNet().conv2.weight, ConvNet().fc2.weight, torch.tensor(3.0)):
        assert torch.equal(plain(arranged(other)), other)
