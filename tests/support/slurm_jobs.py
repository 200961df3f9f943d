"""The reason that a worker on Slurm gives when it is asked to stop."""

from __future__ import annotations

ASKED = "the process that started the worker asked it to stop"
