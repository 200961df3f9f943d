"""What pyproject.toml says of the package is so."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from mnist_tune.spec.shipped import shipped_specs
from tests.support.specs import STUDIES

ROOT = STUDIES.parent
CHECKS = ROOT / ".ci" / "run"


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_a_wheel_carries_every_study_that_lies_in_the_sources(project: dict[str, Any]) -> None:
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert carried == {
        f"studies/{name}.toml": f"mnist_tune/shipped_studies/{name}.toml" for name in shipped_specs()
    }
    assert {path.parent for path in shipped_specs().values()} == {STUDIES}


def test_the_classifiers_name_the_pythons_and_systems_that_are_tested(project: dict[str, Any]) -> None:
    classifiers = project["project"]["classifiers"]
    pythons = [each.rpartition(" ")[2] for each in classifiers if "Programming Language :: Python ::" in each]
    oldest = project["project"]["requires-python"].removeprefix(">=")
    (newer,) = re.findall(r"^ *for version in ([0-9. ]+); do$", CHECKS.read_text(), re.MULTILINE)
    assert sorted(pythons) == sorted([oldest, *newer.split()])
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert [each for each in classifiers if each.startswith("Operating System")] == [
        "Operating System :: POSIX :: Linux"
    ]
