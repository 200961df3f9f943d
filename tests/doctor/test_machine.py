"""The findings of `doctor` about the machine: its packages, its GPU, its images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnist_tune.doctor import machine
from mnist_tune.doctor.machine import Severity, machine_checks
from tests.support.doctor_findings import finding_of
from tests.support.mount_namespace import ROOT


@pytest.mark.slow
def test_a_torchvision_that_does_not_fit_torch_is_a_clear_line_beside_the_others(tmp_path: Path) -> None:
    # What importing the registry's torchvision beside a CPU-only torch comes to.
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mnist_tune", "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert line.startswith("problem torch       torchvision ")
    assert "(operator torchvision::nms does not exist); run: pip install --force-reinstall torch" in line
    assert "ok      cpu " in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_torch_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    # Loaded anew: the test of another check may have loaded it, with torch.
    monkeypatch.delitem(sys.modules, "mnist_tune.hardware.devices", raising=False)
    finding = finding_of(machine_checks(None), "torch")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("torch does not load (ModuleNotFoundError: ")


def install(folder: Path, name: str, version: str, *needs: str) -> None:
    """The metadata that pip writes for an installed package, without the package."""
    record = folder / f"{name}-{version}.dist-info" / "METADATA"
    record.parent.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    record.write_text(
        "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]), encoding="utf-8"
    )


def test_packages_that_do_not_fit_each_other_are_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "torch", "2.1.0+cpu")
    install(tmp_path, "torchvision", "0.99", "torch==2.1.1", "nothing-like-it; extra == 'rare'", "no-such>=1")
    monkeypatch.syspath_prepend(tmp_path)
    said = [finding.says for finding in machine_checks(None) if finding.check == "packages"]
    assert said == [
        "mnist-tune needs torch>=2.11, and 2.1.0+cpu is installed; run: pip install 'torch>=2.11'",
        "torchvision needs torch==2.1.1, and 2.1.0+cpu is installed; run: pip install 'torch==2.1.1'",
        "torchvision needs no-such>=1, which is not installed; run: pip install 'no-such>=1'",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="here torch sees a GPU")
def test_a_driver_without_a_gpu_that_torch_sees_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path)
    finding = finding_of(machine_checks(None), "cuda")
    assert finding.verdict is Severity.WARNING
    assert finding.says.startswith("an NVIDIA driver is here, but torch sees no GPU")


@pytest.mark.gpu
def test_a_gpu_is_listed_with_its_memory() -> None:
    finding = finding_of(machine_checks(None), "cuda:0")
    assert finding.verdict is Severity.OK
    assert finding.says.startswith(f"{torch.cuda.get_device_name(0)}, precision auto is ")
    assert finding.says.endswith(" GB memory free")


def test_images_that_are_not_there_yet_are_no_problem_where_they_can_be_kept(tmp_path: Path) -> None:
    finding = finding_of(machine_checks(tmp_path / "new"), "data")
    assert finding.verdict is Severity.OK
    assert finding.says.endswith("new: 4 of 4 files are missing, and unpacked from the package at first use")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_keep_the_images_is_a_problem() -> None:
    finding = finding_of(machine_checks(Path("/proc/nothing")), "data")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("/proc/nothing: cannot keep the MNIST files here (")
    assert finding.says.endswith("); set MNIST_TUNE_DATA to a folder that can be written")
