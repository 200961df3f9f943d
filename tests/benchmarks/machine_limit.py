"""The limits of the machine: matrix products in our precision and, on a GPU, bytes and launches.

It is a script of its own; as many run at once as there are workers. Each prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch

from mnist_tune.hardware.devices import resolve_runtime
from tests.benchmarks.job_task import wait_for_the_start

SECONDS = 1.5
CPU_SIZE, GPU_SIZE = 1024, 8192
"""The size of the square matrices: larger ones give no higher rate."""
BYTES = 1 << 30


def rate(call: Callable[[], object], device: str) -> float:
    """Calls per second."""
    call()
    _wait(device)
    began, calls = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        for _ in range(10):
            call()
        _wait(device)
        calls += 10
    return calls / (time.monotonic() - began)


def measure(device: str, precision: str) -> dict[str, float]:
    """flops per second; on a GPU also bytes (read and written) and launches per second."""
    runtime = resolve_runtime(device, precision)
    runtime.apply()
    # The same setting as for convolutions, for which torch allows TF32 by default.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    size = CPU_SIZE if runtime.is_cpu else GPU_SIZE
    left, right = (torch.randn(size, size, device=device).to(runtime.dtype) for _ in range(2))
    out = torch.empty_like(left)
    figures = {"flops": 2 * size**3 * rate(lambda: torch.mm(left, right, out=out), device)}
    if runtime.is_cuda:
        source = torch.empty(BYTES, dtype=torch.uint8, device=device)
        target, one = torch.empty_like(source), torch.zeros((), device=device)
        figures["bytes"] = 2 * BYTES * rate(lambda: target.copy_(source), device)
        figures["launches"] = 100 * rate(lambda: [one.add_(1) for _ in range(100)], device)
    return figures


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    wait_for_the_start()
    print(json.dumps(measure(*sys.argv[1:3])), flush=True)


if __name__ == "__main__":
    main()
