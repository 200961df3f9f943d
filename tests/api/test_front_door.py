"""`import mnist_tune`: the names that it offers, and the modules that it does not load."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import mnist_tune
from tests.support.commands import run_python

HEAVY = ("torch", "optuna", "sqlalchemy", "pandas", "numpy", "pydantic", "rich", "typer")


def test_the_import_loads_none_of_the_libraries_nor_the_house(tmp_path: Path) -> None:
    answer = run_python(
        f"""
import sys, mnist_tune
print([name for name in {HEAVY} if name in sys.modules])
print(sorted(name for name in sys.modules if name.startswith("mnist_tune")))
""",
        tmp_path,
    )
    assert (answer.stdout, answer.stderr) == ("[]\n['mnist_tune']\n", "")


@pytest.mark.slow
def test_looking_at_a_study_loads_no_torch_and_pandas_for_its_tables_alone(tmp_path: Path) -> None:
    answer = run_python(
        """
import sys, mnist_tune
study = mnist_tune.create_study("quickstart", "a.db")
print(study.status.cells.waiting, len(study.ranking), len(study._repr_html_()) > 100)
print([name for name in ("torch", "pandas", "plotly") if name in sys.modules])
""",
        tmp_path,
    )
    assert (answer.stdout, answer.stderr) == ("8 0 True\n[]\n", "")


@pytest.mark.slow
def test_all_names_are_listed_and_given_and_say_what_they_are(tmp_path: Path) -> None:
    assert set(mnist_tune.__all__) <= set(dir(mnist_tune))
    answer = run_python(
        "from mnist_tune import *\nimport mnist_tune\nprint(set(mnist_tune.__all__) - set(globals()))",
        tmp_path,
    )
    assert (answer.stdout, answer.stderr) == ("set()\n", "")
    for name in mnist_tune.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(mnist_tune, name)), name
    methods = [name for name in vars(mnist_tune.Study) if not name.startswith("_")]
    assert [name for name in methods if not inspect.getdoc(getattr(mnist_tune.Study, name))] == []


def test_nothing_is_listed_but_what_is_handed_out_and_what_every_module_has() -> None:
    ours = [name for name in dir(mnist_tune) if not re.fullmatch("__[a-z_]+__", name)]
    assert ours == [name for name in sorted(mnist_tune.__all__) if name != "__version__"]
    assert {"__doc__", "__file__", "__version__"} <= set(dir(mnist_tune))


def test_a_name_that_there_is_not_is_an_attribute_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mnist_tune' has no attribute 'creat_study'$"):
        mnist_tune.creat_study  # type: ignore[attr-defined]  # noqa: B018
