"""Which of a pool's workers computes where. Torch is asked only where there may be a GPU."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mnist_tune.hardware.cores import usable_cores

WORKERS_PER_GPU = 1
"""Not measured yet: one that replays whole steps should leave a GPU little to do."""


@dataclass(frozen=True)
class Placement:
    """A device by name and, on the CPU, the one core to keep to; None: any."""

    device: str
    core: int | None = None


def check_device(device: str) -> None:
    """See that this machine has the device.

    Raises:
        UserError: it has not.
    """
    if device not in ("auto", "cpu"):  # these need no look, which would wait for torch
        from mnist_tune.hardware.devices import resolve_runtime

        resolve_runtime(device)


def local_places(
    n_cells: int, device: str, workers: int | None, per_gpu: int = WORKERS_PER_GPU, threads: int | None = None
) -> list[Placement]:
    """A place for each worker to start, no more by default than there are cells.

    By default `per_gpu` on every GPU, or on the one that is named; without any, one on every core that this
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
    """Each core, if the workers fill them all.

    Fewer are not kept to any: another pool's may be there. Nor those of a container that has less of the
    machine's time than cores, since its neighbours choose the same ones.
    """
    if not hasattr(os, "sched_setaffinity") or threads not in (None, 1):
        return [None]
    cores = sorted(os.sched_getaffinity(0))
    return cores if workers >= len(cores) == usable_cores() else [None]


def _gpus() -> list[str]:
    # Torch takes seconds to import: only ask it where there may be something to find.
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or sys.platform != "linux"):
        return []
    from mnist_tune.hardware.devices import available_devices

    return [device for device in available_devices() if device != "cpu"]
