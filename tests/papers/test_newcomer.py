"""Who is new here finds in three steps from the README what they would change."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest
import sqlalchemy

from mnist_tune.jobs.mnist import optimizers
from mnist_tune.jobs.mnist.hyperparameters import Optimizer
from mnist_tune.queue.cells import claim_first
from tests.papers.papers import GUIDE, README, ROOT, Link, links, text_of, words_around
from tests.test_house import WINGS

MOST_STEPS = 3
PLACES = {
    "a claim is atomic": ("mnist_tune/queue/cells.py", "claim_first"),
    "add an optimizer": ("mnist_tune/jobs/mnist/optimizers.py", "new_optimizer"),
    "the report's heat map is drawn by": ("mnist_tune/report/heat_maps.py", "heat_maps"),
}
"""What they look for, in the words of the papers, and where it is."""


def within_steps(most: int) -> list[Link]:
    """Every link that one may follow as a step, starting from the README."""
    found: list[Link] = []
    papers, seen = [README], {README}
    for _ in range(most):
        steps = [link for paper in papers for link in links(paper)]
        found += steps
        papers = [*{link.target for link in steps if link.target.suffix == ".md"} - seen]
        seen.update(papers)
    return found


@pytest.mark.parametrize("looked_for", PLACES)
def test_a_newcomer_finds_the_place_in_three_steps(looked_for: str) -> None:
    path, name = PLACES[looked_for]
    ways = [
        link
        for link in within_steps(MOST_STEPS)
        if (link.target, link.name) == (ROOT / path, name) and looked_for in words_around(link).lower()
    ]
    assert ways, f"no link names {name} in {path} beside '{looked_for}'"


def test_the_guide_has_the_wings_in_the_order_of_their_imports() -> None:
    rows = re.findall(r"^\| (\[.*?) \|", text_of(GUIDE), re.MULTILINE)
    shown = [wing for row in rows for wing in re.findall(r"\[(\w+)(?:/|\.py)\]", row)]
    assert shown == WINGS


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+psycopg://"])
def test_the_place_of_the_claim_is_one_statement_that_takes_a_waiting_trial(url: str) -> None:
    claim = claim_first(1, sqlalchemy.true())
    assert isinstance(claim, sqlalchemy.UpdateBase)
    statement = str(claim.compile(dialect=sqlalchemy.make_url(url).get_dialect()()))
    assert statement.startswith("UPDATE trials SET state=")
    assert " RETURNING " in statement
    assert statement.count("UPDATE trials") == 1


def test_the_place_for_a_new_optimizer_makes_all_that_there_are() -> None:
    source = inspect.getsource(optimizers.new_optimizer)
    assert [name for name in get_args(Optimizer) if f"{name}(" not in source] == []


def test_no_other_file_draws_the_heat_map_of_the_grid() -> None:
    files = {path: path.read_text(encoding="utf-8") for path in (ROOT / "mnist_tune").rglob("*.py")}
    drawing = [path for path, text in files.items() if "add_heatmap(" in text and 'Picture("grid"' in text]
    assert drawing == [ROOT / "mnist_tune/report/heat_maps.py"]
