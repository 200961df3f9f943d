"""Which device and core each worker of a pool computes on. Torch is loaded only where there may be a GPU."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mnist_tune.hardware.cores import usable_cores

WORKERS_PER_GPU = 1
"""Not measured yet: one worker that replays whole steps should keep a GPU busy."""


@dataclass(frozen=True)
class Placement:
    """A worker's device by name and, on the CPU, the one core that it keeps to; None means any core."""

    device: str
    core: int | None = None


def check_device(device: str) -> None:
    """Check that this machine has the device.

    Raises:
        UserError: the machine does not have it.
    """
    if device not in ("auto", "cpu"):  # these always exist; looking for others would wait for torch
        from mnist_tune.hardware.devices import resolve_runtime

        resolve_runtime(device)


def local_places(
    n_cells: int, device: str, workers: int | None, per_gpu: int = WORKERS_PER_GPU, threads: int | None = None
) -> list[Placement]:
    """A place for each of `workers` workers; by default there are no more than cells.

    The default is `per_gpu` on every GPU or on the named one and, without a GPU, one on every core that this
    process may use.
    """
    gpus = _gpus() if device == "auto" else [device] if device != "cpu" else []
    if workers is None:
        workers = min(len(gpus) * per_gpu or usable_cores(), n_cells)
    if gpus:
        return [Placement(gpus[index % len(gpus)]) for index in range(workers)]
    cores = _cores_to_share(workers, threads)
    return [Placement(device, cores[index % len(cores)]) for index in range(workers)]


def _cores_to_share(workers: int, threads: int | None) -> list[int] | list[None]:
    """The cores to pin workers to: all of them if the workers fill them, else None (any core).

    Fewer workers are not pinned, since another pool may use the same cores. Nor are those in a container with
    less CPU time than cores: its neighbours would choose the same ones.
    """
    if not hasattr(os, "sched_setaffinity") or threads not in (None, 1):
        return [None]
    cores = sorted(os.sched_getaffinity(0))
    return cores if workers >= len(cores) == usable_cores() else [None]


def _gpus() -> list[str]:
    # Torch takes seconds to import: ask it only where there may be a GPU.
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or sys.platform != "linux"):
        return []
    from mnist_tune.hardware.devices import available_devices

    return [device for device in available_devices() if device != "cpu"]
