"""Workers on an engine, Ray or Slurm, which places and restarts them; the storage alone knows the study."""

from __future__ import annotations

from enum import StrEnum


class EngineName(StrEnum):
    """The engines that can be asked."""

    RAY = "ray"
    SLURM = "slurm"
