import dataclasses
from pathlib import Path

import pytest
import torch

from mnist_tune.devices import Runtime, available_devices, resolve_runtime
from mnist_tune.errors import UserError


def test_auto_takes_the_first_device_there_is_and_names_it() -> None:
    runtime = resolve_runtime()
    assert runtime.device == available_devices()[0]
    assert runtime.device_name
    assert runtime.precision in ("fp32", "bf16")


def test_the_cpu_is_always_there_and_gets_one_thread() -> None:
    assert available_devices()[-1] == "cpu"
    assert resolve_runtime("cpu").threads == 1
    assert resolve_runtime("cpu", threads=3).threads == 3


def test_bf16_is_chosen_only_where_the_cpu_has_it() -> None:
    assert resolve_runtime("cpu", "fp32").precision == "fp32"
    assert resolve_runtime("cpu", "bf16").precision == "bf16"
    capabilities = torch.cpu.get_capabilities()  # torch asks the processor, mnist-tune reads /proc/cpuinfo
    if capabilities["architecture"] != "x86_64" or not Path("/proc/cpuinfo").exists():
        pytest.skip("torch names these capabilities on x86 only")
    native = capabilities["avx512_bf16"] or capabilities["amx_bf16"]
    assert resolve_runtime("cpu").precision == ("bf16" if native else "fp32")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cpu:1", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(UserError, match=rf"^device '{device}' is not there; write auto or one of: .*cpu$"):
        resolve_runtime(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_cuda_is_refused_where_there_is_none() -> None:
    with pytest.raises(UserError, match="device 'cuda' is not there"):
        resolve_runtime("cuda")


def test_values_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="precision 'fp16': write auto, fp32 or bf16"):
        resolve_runtime(precision="fp16")
    with pytest.raises(UserError, match="threads 0: write 1 or more"):
        resolve_runtime(threads=0)


def test_applying_a_runtime_sets_the_threads_of_the_process() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            resolve_runtime("cpu", threads=threads).apply()
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_autocast_computes_in_the_runtimes_precision() -> None:
    fp32 = Runtime("cpu", "a CPU", "fp32", 1)
    for runtime, dtype in (
        (fp32, torch.float32),
        (dataclasses.replace(fp32, precision="bf16"), torch.bfloat16),
    ):
        with runtime.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
