"""Runs workers on Ray or Slurm, which place and restart them; only the storage knows the study."""

from __future__ import annotations

from enum import StrEnum


class EngineName(StrEnum):
    """The engines that `launch` knows."""

    RAY = "ray"
    SLURM = "slurm"
