"""Jobs that a distribution brings: its folder stands for the one into which pip installs."""

from __future__ import annotations

from pathlib import Path

from tests.support.own_jobs import FIT


def install(
    folder: Path, job: str = FIT, entry: str = "line = fitting:train", version: str = "1.2"
) -> dict[str, str]:
    """Write the distribution `fitting` into a folder; returns the environment in which it is installed."""
    information = folder / f"fitting-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: fitting\nVersion: {version}\n", "utf-8"
    )
    (information / "entry_points.txt").write_text(f"[mnist_tune.jobs]\n{entry}\n", "utf-8")
    (folder / "fitting.py").write_text(job, "utf-8")
    return {"PYTHONPATH": str(folder)}
