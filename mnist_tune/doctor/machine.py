"""Checks of this machine: Python, packages, devices, data. Each check is a line of `doctor`."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mnist_tune import __version__
from mnist_tune.errors import MnistTuneError
from mnist_tune.text.wording import first_line

PACKAGES = ("torch", "torchvision", "optuna", "sqlalchemy")
NVIDIA_DRIVER = Path("/dev/nvidiactl")


class Severity(StrEnum):
    """The result of a check; work can go on with a warning."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class CheckResult:
    """The result of a check in one line; if something is wrong, the line ends with the remedy."""

    check: str
    verdict: Severity
    says: str


Check = tuple[str, Callable[[], Iterable[CheckResult]]]


def one_line(error: Exception) -> str:
    """The message of an error, with its type if it is not one of ours."""
    text = str(error) if isinstance(error, MnistTuneError) else f"{type(error).__name__}: {error}"
    return first_line(text.strip())


def examine(*checks: Check, describe: Callable[[Exception], str] = one_line) -> Iterator[CheckResult]:
    """Run the checks one by one; a check that raises becomes a problem, and the others still run."""
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield CheckResult(name, Severity.PROBLEM, describe(error))


def machine_checks(data: Path | None) -> Iterator[CheckResult]:
    """Check this machine; `data` is the folder of the data if the user named one."""
    return examine(
        ("python", _python),
        ("packages", _packages),
        ("torch", _torch),
        ("devices", _devices),
        ("data", partial(_data, data)),
    )


def _python() -> Iterator[CheckResult]:
    version = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    yield CheckResult("python", Severity.OK, version)  # an older Python could not run this


def _packages() -> Iterator[CheckResult]:
    unmet = [line for package in ("mnist-tune", *PACKAGES) for line in _unmet(package)]
    if unmet:
        yield from (CheckResult("packages", Severity.PROBLEM, line) for line in unmet)
    else:
        versions = [f"{package} {metadata.version(package)}" for package in PACKAGES]
        yield CheckResult("packages", Severity.OK, ", ".join([f"mnist-tune {__version__}", *versions]))


def _unmet(package: str) -> Iterator[str]:
    """One line for each requirement of `package` that is not met."""
    try:
        needed = [Requirement(line) for line in metadata.requires(package) or ()]
    except metadata.PackageNotFoundError:  # mnist-tune itself may run from a folder without being installed
        return
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{package} needs {wanted}, which is not installed; run: pip install '{wanted}'"
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{package} needs {wanted}, and {found} is installed; run: pip install '{wanted}'"


def _torch() -> Iterator[CheckResult]:
    try:
        from mnist_tune.hardware.devices import CUDA_VERSION
    except (ImportError, OSError) as error:  # OSError: one of torch's own libraries
        raise MnistTuneError(
            f"torch does not load ({one_line(error)}); run: pip install --force-reinstall torch torchvision"
        ) from error
    from mnist_tune.jobs.mnist.torchvision_import import torchvision_module

    torchvision_module("datasets")
    build = f"for CUDA {CUDA_VERSION}" if CUDA_VERSION else "without CUDA"
    yield CheckResult("torch", Severity.OK, f"loads, with torchvision; built {build}")


def _devices() -> Iterator[CheckResult]:
    from mnist_tune.hardware.devices import available_devices

    with warnings.catch_warnings(record=True) as caught:  # torch warns of a driver that it cannot use
        warnings.simplefilter("always")
        present = available_devices()
    yield from examine(*((device, partial(_device, device)) for device in present))
    if NVIDIA_DRIVER.exists() and not any(device.startswith("cuda") for device in present):
        reason = f" ({first_line(str(caught[0].message))})" if caught else ""
        yield CheckResult(
            "cuda",
            Severity.WARNING,
            f"an NVIDIA driver is here, but torch sees no GPU{reason}; install the torch built for it: "
            "https://pytorch.org/get-started/locally",
        )


def _device(device: str) -> Iterator[CheckResult]:
    from mnist_tune.hardware.cores import usable_cores
    from mnist_tune.hardware.devices import cuda_memory, resolve_runtime

    runtime = resolve_runtime(device)
    parts = [runtime.device_name, f"precision auto is {runtime.precision}"]
    if device == "cpu":
        parts.append(f"{usable_cores()} usable cores")
    elif device.startswith("cuda"):
        free, total = cuda_memory(device)
        parts.append(f"{gigabytes(free)} of {gigabytes(total)} memory free")
    yield CheckResult(device, Severity.OK, ", ".join(parts))


def _data(data: Path | None) -> Iterator[CheckResult]:
    """The data of the job that comes with the package."""
    from mnist_tune.jobs.mnist.data_findings import data_findings

    for is_well, says in data_findings(data):
        yield CheckResult("data", Severity.OK if is_well else Severity.PROBLEM, says)


def gigabytes(size: int) -> str:
    """A number of bytes in GB, for people."""
    return f"{size / 1e9:,.1f} GB"
