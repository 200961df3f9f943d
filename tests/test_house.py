"""The house: imports go down the list of wings, in no circle, and private parts stay in their rooms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import mnist_tune

PACKAGE = Path(mnist_tune.__file__).parent
WINGS = re.findall(r"^    ([a-z_]+)/? +\S", mnist_tune.__doc__ or "", re.MULTILINE)
"""From top to bottom, as the package's docstring has them."""
TORCH = ("jobs.", "hardware.", "worker.child_main")
"""Where something is computed."""
PRIVATE = {
    "storage.optuna_internals": "Optuna's",
    "dashboard.internals": "optuna-dashboard's",
    "processes.fork_server": "multiprocessing's",
    "launch.slurm_engine": "submitit's",
    "jobs.mnist.fast_network": "torch's functions on lists of tensors",
}
"""The rooms that may touch private parts of a library, and of which one."""
PUBLIC = {"_asdict", "_replace", "_mapping", "_exit", "_typeshed"}
"""Names with an underscore that are documented."""


def read() -> dict[str, ast.Module]:
    """The package's modules by their names within it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        *folders, name = path.relative_to(PACKAGE).with_suffix("").parts
        parts = folders if name == "__init__" else (*folders, name)
        found[".".join(parts)] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = read()


def imported(module: ast.Module) -> Iterator[str]:
    """The full names of all that a module imports, wherever it does."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_the_package(module: ast.Module) -> set[str]:
    """The modules of the package that one imports, but the package itself."""
    prefix = "mnist_tune."
    names = {name.removeprefix(prefix) for name in imported(module) if name.startswith(prefix)}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} - {""}


def private_parts(module: ast.Module) -> set[str]:
    """The names with an underscore that a module uses and does not define."""
    nodes = list(ast.walk(module))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    stored = [node for node in attributes if isinstance(node.ctx, ast.Store)]
    own = {node.attr for node in stored if ast.unparse(node.value) == "self"}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {ast.unparse(node.target) for node in nodes if isinstance(node, ast.AnnAssign)}
    used = {node.attr for node in attributes}
    used |= {part for name in imported(module) for part in name.split(".")}
    return {name for name in used - own - PUBLIC if re.match("_[a-z]", name)}


def test_the_map_names_every_wing() -> None:
    wings = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert set(WINGS) == wings | modules


def test_imports_go_down_the_list_only() -> None:
    floor = {wing: number for number, wing in enumerate(["__main__", *WINGS])}
    upward = [
        f"{name} imports {other}"
        for name, module in MODULES.items()
        for other in of_the_package(module)
        if name and floor[other.partition(".")[0]] < floor[name.partition(".")[0]]
    ]
    assert upward == []


def test_imports_make_no_circle() -> None:
    graph = {name: of_the_package(module) - {name} for name, module in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


def test_torch_is_imported_where_something_is_computed_only() -> None:
    found = [
        name
        for name, module in MODULES.items()
        if any(of.partition(".")[0] == "torch" for of in imported(module)) and not name.startswith(TORCH)
    ]
    assert found == []


def test_private_parts_of_libraries_are_touched_in_their_rooms_only() -> None:
    found = {name: private_parts(module) for name, module in MODULES.items()}
    assert {name for name, touched in found.items() if touched} == PRIVATE.keys()


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    files = [path for folder in (PACKAGE, Path(__file__).parent) for path in sorted(folder.rglob("*.py"))]
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 260} == {}
