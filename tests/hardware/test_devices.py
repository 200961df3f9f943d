import dataclasses
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mnist_tune.errors import UserError
from mnist_tune.hardware import devices
from mnist_tune.hardware.devices import Runtime, available_devices, resolve_runtime


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


@pytest.mark.slow
def test_memory_that_a_step_frees_is_there_for_the_next_without_a_page_fault(mnist_directory: Path) -> None:
    code = """
import resource, sys
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.trainer import Trainer
steps = 5
training, _ = split(load_training_images(), steps * 128, 0)
config = TrainingConfig(batch_size=128, epochs=3)
for _ in Trainer(config, Runtime("cpu", "a CPU", "bf16", 1), training).epochs():
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    print(faults / steps)
"""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    environment = os.environ | {"MNIST_TUNE_DATA": str(mnist_directory)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    _, second, third = map(float, done.stdout.split())
    assert third - second < 500  # thousands, where glibc gives it back


def test_an_old_glibc_that_keeps_no_large_block_is_asked_for_what_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def mallopt(name: int, value: int) -> int:
        asked.append((name, value))
        return int(name == -1 or value <= 32 << 20)

    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    devices._keep_freed_memory.__wrapped__()
    assert asked == [(-3, 1 << 30), (-3, 32 << 20), (-1, 1 << 30)]
