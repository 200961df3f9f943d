"""The house: imports go down the list of wings, in no circle, and private parts stay in their rooms."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mnist_tune

PACKAGE = Path(mnist_tune.__file__).parent
WINGS = re.findall(r"^    ([a-z_]+)/? +\S", mnist_tune.__doc__ or "", re.MULTILINE)
"""From top to bottom, as the package's docstring has them."""
TORCH = ("jobs.", "hardware.", "worker.child_main")
"""Where something is computed."""
BY_NAME = {
    "": "public names, when they are first asked for",
    "jobs.loading": "jobs: installed ones, and the file that a person has named",
    "jobs.mnist.torchvision_import": "torchvision, with one line for an installation that is broken",
    "processes.new_process": "what a process was started for",
    "processes.preload": "what a fork server loads",
}
"""The modules that import others by name, and what."""
PRIVATE = {
    "storage.optuna_internals": "Optuna's",
    "storage.optuna_sampling": "those of its samplers and pruners",
    "dashboard.internals": "optuna-dashboard's",
    "processes.fork_server": "multiprocessing's",
    "launch.slurm_engine": "submitit's",
    "jobs.mnist.fast_network": "torch's functions on lists of tensors",
}
"""The rooms that may touch private parts of a library, and of which one."""
OF_ITS_DATA = {"cli.data": "the command `data`", "doctor.machine": "the data's line of `doctor`"}
"""The modules that know the built-in job's images, and why. All others know jobs by their descriptions."""
VERSION = "mnist_tune.__version__"
PUBLIC = {"_asdict", "_replace", "_mapping", "_exit", "_typeshed"}
"""Names with an underscore that are documented."""


@functools.cache
def modules() -> dict[str, ast.Module]:
    """The package's modules by their names within it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        *folders, name = path.relative_to(PACKAGE).with_suffix("").parts
        parts = folders if name == "__init__" else (*folders, name)
        found[".".join(parts)] = ast.parse(path.read_text("utf-8"))
    return found


def imported(module: ast.Module) -> Iterator[str]:
    """The full names of all that a module imports, wherever it does."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def of_the_package(module: ast.Module) -> set[str]:
    """The modules of the package that one imports."""
    names = {name for name in imported(module) if name.startswith((".", "mnist_tune"))} - {VERSION}
    within = {name.removeprefix("mnist_tune.") for name in names}
    return {name if name in modules() else name.rpartition(".")[0] for name in within}


def upward(name: str, module: ast.Module) -> list[str]:
    """What a module imports from above it, from the package as a whole, or by a relative name."""
    floor = {wing: number for number, wing in enumerate(["__main__", *WINGS])}
    here = floor[name.partition(".")[0]]
    above = [other for other in of_the_package(module) if floor.get(other.partition(".")[0], -1) < here]
    return [f"{name} imports {other or 'the package'}" for other in above]


def by_name(module: ast.Module) -> bool:
    """Whether a module imports others by names that are no part of its text."""
    calls = {ast.unparse(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)}
    loaders = {name for name in imported(module) if re.match(r"importlib(\.(import_module|util)\b|$)", name)}
    return bool(loaders) or "__import__" in calls


def loads_torch(module: ast.Module) -> bool:
    """Whether a module imports torch, or what imports torch."""
    return any({"torch", "torchvision"} & set(name.split(".")) for name in imported(module))


def knows_images(module: ast.Module) -> bool:
    """Whether a module imports the built-in job, which all but itself know by its name only."""
    return any(name.startswith("mnist_tune.jobs.mnist") for name in imported(module))


def private_parts(module: ast.Module) -> set[str]:
    """The names with an underscore that a module takes from others."""
    nodes = list(ast.walk(module))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if ast.unparse(node.value) not in ("self", "cls")}
    used |= {part for name in imported(module) for part in name.split(".")}
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr"]
    used |= {str(node.args[1].value) for node in calls if isinstance(node.args[1], ast.Constant)}
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name for name in used - own - PUBLIC if re.match("_[A-Za-z]", name)}


def test_the_map_names_every_wing() -> None:
    wings = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert set(WINGS) == wings | modules


def test_imports_go_down_the_list_only() -> None:
    assert [fault for name, module in modules().items() if name for fault in upward(name, module)] == []


def test_imports_make_no_circle() -> None:
    graph = {name: of_the_package(module) - {name} for name, module in modules().items()}
    assert set(TopologicalSorter(graph).static_order()) == set(modules())


def test_modules_are_imported_by_name_in_a_few_places_only() -> None:
    assert {name for name, module in modules().items() if by_name(module)} == set(BY_NAME)


def test_torch_is_imported_where_something_is_computed_only() -> None:
    assert [
        name for name, module in modules().items() if loads_torch(module) and not name.startswith(TORCH)
    ] == []


def test_the_built_in_job_is_known_by_its_name_only() -> None:
    others = {name: module for name, module in modules().items() if not name.startswith("jobs.mnist")}
    assert {name for name, module in others.items() if knows_images(module)} == OF_ITS_DATA.keys()


def test_private_parts_of_libraries_are_touched_in_their_rooms_only() -> None:
    assert {name for name, module in modules().items() if private_parts(module)} == PRIVATE.keys()


@pytest.mark.parametrize(
    "line",
    [
        "from mnist_tune.cli import status",
        "from mnist_tune import create_study",
        "import mnist_tune",
        "from ..cli import status",
        "from . import guarded",
        "def late(): from mnist_tune.worker.loop import Worker",
    ],
)
def test_an_import_upward_is_found(line: str) -> None:
    assert upward("storage.engine", ast.parse(line)) != []


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (by_name, "from importlib import import_module"),
        (by_name, "import importlib"),
        (by_name, "status = __import__('mnist_tune.cli.status')"),
        (loads_torch, "import torch.nn"),
        (loads_torch, "import torchvision"),
        (loads_torch, "from safetensors.torch import save"),
        (knows_images, "def late(): from mnist_tune.jobs.mnist.network import ConvNet"),
        (private_parts, "from optuna.storages import _CachedStorage"),
        (private_parts, "from optuna.storages._rdb import models"),
        (private_parts, "local = getattr(study, '_thread_local')"),
        (private_parts, "def show(self, study): self._storage = study._storage"),
    ],
)
def test_what_is_to_stay_in_its_room_is_found(rule: Callable[[ast.Module], object], line: str) -> None:
    assert rule(ast.parse(line))


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    files = [path for folder in (PACKAGE, Path(__file__).parent) for path in sorted(folder.rglob("*.py"))]
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 260} == {}
