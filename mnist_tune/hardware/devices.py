"""What a process computes on: its device, precision and threads."""

import ctypes
import functools
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from mnist_tune.errors import UserError

Precision = Literal["fp32", "bf16"]

CPU_THREADS = 1  # one thread a worker and more workers beats more threads, by far on a busy machine
CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # Intel and AMD, Intel, ARM
CUDA_BF16_CAPABILITY = (8, 0)
KEPT_BYTES = 1 << 30  # far more than a step needs
MOST_OF_OLD_GLIBC = 32 << 20  # the largest block that older versions of glibc keep

TORCH_VERSION = str(torch.__version__)  # plain: reading back its own type would import torch
CUDA_VERSION: str | None = torch.version.cuda
"""The version of CUDA that torch was built for; None without CUDA."""


@dataclass(frozen=True)
class Runtime:
    """What a process computes on.

    `device` is "cpu", "cuda:0" or "mps"; `device_name` is its maker's name for it; `threads` are on the CPU.
    """

    device: str
    device_name: str
    precision: Precision
    threads: int

    def apply(self) -> None:
        """Set this process up, which is cheap and may be repeated; equal Runtimes give equal numbers."""
        _keep_freed_memory()
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.is_cuda:
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = False  # would choose kernels by measured time, so by chance
            torch.backends.cudnn.deterministic = True

    @property
    def dtype(self) -> torch.dtype:
        """The number type in which matrix products are computed."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def is_cpu(self) -> bool:
        """Whether data are in the machine's own memory, which other workers use too."""
        return torch.device(self.device).type == "cpu"

    @property
    def is_cuda(self) -> bool:
        """Whether the device is an NVIDIA GPU, where steps can be recorded as a CUDA graph."""
        return torch.device(self.device).type == "cuda"

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Within the block the device's own generator, from which dropout draws, starts from `seed`."""
        with torch.random.fork_rng(devices=[self.device] if self.is_cuda else []):
            torch.default_generator.manual_seed(seed)
            if self.is_cuda:
                torch.cuda.manual_seed(seed)
            elif not self.is_cpu:
                torch.mps.manual_seed(seed)
            yield

    def autocast(self) -> torch.autocast:
        """The context of a forward pass: matrix products in bf16, or no change in fp32."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == "bf16")


def resolve_runtime(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Runtime:
    """Choose what "auto" means on this machine: cuda, else mps, else cpu; bf16 where the hardware has it.

    Raises:
        UserError: the device is not there, or a value has no meaning.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise UserError(f"precision {precision!r}: write auto, fp32 or bf16")
    if threads is not None and threads < 1:
        raise UserError(f"threads {threads}: write 1 or more")
    present = available_devices()
    chosen = {"auto": present[0], "cuda": "cuda:0"}.get(device, device)
    if chosen not in present:
        raise UserError(f"device {device!r} is not there; write auto or one of: {', '.join(present)}")
    chosen_precision: Precision = "fp32"
    if precision == "bf16" or (precision == "auto" and _has_native_bf16(chosen)):
        chosen_precision = "bf16"
    return Runtime(chosen, _device_name(chosen), chosen_precision, threads or CPU_THREADS)


def available_devices() -> list[str]:
    """This machine's devices; the first one is what "auto" takes."""
    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def _has_native_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= CUDA_BF16_CAPABILITY
    if device == "cpu":
        # Not mkldnn's own answer: it is also yes where bf16 is emulated, which is slower than fp32.
        flags = _cpu_field("flags") or _cpu_field("Features") or ""
        has_mkldnn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return has_mkldnn and not CPU_BF16_FLAGS.isdisjoint(flags.split())
    return False


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    if device == "mps":
        return f"Apple GPU ({platform.machine()})"
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_field(name: str) -> str | None:
    """The first value of a field of Linux's /proc/cpuinfo; None on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return None


@functools.cache
def _keep_freed_memory() -> None:
    """Have glibc keep the memory that a step frees, which else must be mapped anew in some 10,000 pages.

    That cost a third of a step. See mallopt(3); other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    trim_threshold, mmap_threshold = -1, -3
    # In this order: either call ends glibc's own adaptation, and the first alone would be slower than none.
    if mallopt is not None and any(mallopt(mmap_threshold, most) for most in (KEPT_BYTES, MOST_OF_OLD_GLIBC)):
        mallopt(trim_threshold, KEPT_BYTES)


def cuda_memory(device: str) -> tuple[int, int]:
    """The free and the total bytes of a GPU's memory."""
    return torch.cuda.mem_get_info(device)
