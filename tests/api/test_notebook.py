"""A study as a notebook shows it: whole behind JupyterLab's sanitizer, whatever is stored."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import insert

import mnist_tune
from mnist_tune.api.notebook import notebook_html
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import ENVIRONMENT, WORKER
from mnist_tune.storage.optuna_internals import parameters, studies
from mnist_tune.storage.statements import put
from tests.support.clean_text import is_clean
from tests.support.made_studies.cells import complete_cell
from tests.support.made_studies.epochs import made_epochs
from tests.support.specs import SEEDS_SPEC, TINY_SPEC, TWO_CELLS
from tests.support.studies import new_study, take

HOSTILE = (
    "</td><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\x1b]52;c;ZXZpbA==\x07\u202e\u200b"
)
ELEMENTS = {"div", "p", "strong", "progress", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
"""The elements that we write, all of which JupyterLab's sanitizer allows."""
ATTRIBUTES = {"value", "max", "style"}
STYLES = {"text-align: left", "text-align: right"}


class Parsed(HTMLParser):
    """Collects the elements and texts of a page, and checks that all elements are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        for name, value in attributes:
            assert name in ATTRIBUTES
            assert value in STYLES if name == "style" else str(value).isdigit()
        self.elements.append(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, text: str) -> None:
        assert is_clean(text)
        self.texts.append(text)

    def handle_comment(self, text: str) -> None:
        raise AssertionError(text)


def shown(folder: Path, name: str = "tiny") -> Parsed:
    return Parsed(mnist_tune.open_study(name, folder / "studies.db")._repr_html_())


@pytest.mark.slow
def test_a_running_study_shows_its_progress_and_what_is_known_by_now(tmp_path: Path) -> None:
    opened = new_study(tmp_path, SEEDS_SPEC)
    for accuracy in (98.0, 98.2, 96.0, 96.1):
        complete_cell(opened, accuracy)
    study = mnist_tune.open_study("tiny", tmp_path / "studies.db")
    html, best = study._repr_html_(), study.best
    assert best is not None
    assert '<progress value="4" max="8"></progress>' in html
    texts = Parsed(html).texts
    mean = f"{best.mean:.2f} ± {best.standard_error:.2f} % (2 seeds)"
    assert texts[:3] == ["tiny", " ", f" 4/8 cells, 4 waiting, best so far {mean}"]
    assert {place.verdict for place in study.ranking} <= set(texts)


def test_a_fresh_study_shows_that_nothing_has_been_done(tmp_path: Path) -> None:
    new_study(tmp_path, TWO_CELLS)
    fresh = shown(tmp_path)
    assert fresh.texts == ["tiny", " ", " 0/2 cells, 2 waiting"]
    assert "table" not in fresh.elements


@pytest.mark.slow
def test_of_many_configurations_the_best_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    rates = [rate / 10_000 for rate in range(1, 26)]
    opened = new_study(
        tmp_path, TINY_SPEC.replace("[0.001, 0.0001]", str(rates)).replace("[64, 128]", "[64]")
    )
    for _ in range(50):
        complete_cell(opened, 90.0)
    many = shown(tmp_path)
    assert many.elements.count("tr") == 1 + 20
    assert "... and 30 more configurations" in many.texts


@pytest.fixture
def hostile(tmp_path: Path) -> mnist_tune.Study:
    """A study with such a name, and trials with such parameters, workers and failures."""
    opened = new_study(tmp_path, TWO_CELLS)
    queue = opened.queue()
    claims = take(queue), take(queue)
    queue.complete(claims[0], 90.0, user={ENVIRONMENT: {"device_name": HOSTILE}}, epochs=made_epochs([90.0]))
    assert queue.give_back(claims[1], Failure("exception", HOSTILE))
    axis = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [HOSTILE]}})
    with opened.storage.transaction() as session:
        for claim in claims:
            row = {"param_name": HOSTILE, "param_value": 0.0, "distribution_json": axis}
            session.execute(insert(parameters).values(row | {"trial_id": claim.trial_id}))
            put(session, claim.trial_id, user={WORKER: HOSTILE})
        session.execute(studies.update().values(study_name=HOSTILE))
    return mnist_tune.open_study(HOSTILE, tmp_path / "studies.db")


def test_stored_text_is_text_and_nothing_else(hostile: mnist_tune.Study) -> None:
    html = hostile._repr_html_()
    assert "alert(1)" in html
    parsed = Parsed(html)
    assert "script" not in parsed.elements
    assert is_clean(html)
    assert is_clean(repr(hostile))


def test_a_value_that_is_searched_is_text_too(tmp_path: Path) -> None:
    opened = new_study(tmp_path, TWO_CELLS)
    complete_cell(opened, 90.0)
    complete_cell(opened, 10.0)
    results = read_results(opened)
    for number, attempt in enumerate(results.attempts):
        attempt.parameters["learning_rate"] = f"{HOSTILE}{number}"
    parsed = Parsed(notebook_html(results))
    assert len([text for text in parsed.texts if text.startswith("</td><script>")]) == 2
    assert parsed.elements.count("td") == 2 * 6


def test_stored_text_is_seen_in_tables_and_errors_as_it_is(hostile: mnist_tune.Study, tmp_path: Path) -> None:
    frame = hostile.trials_dataframe()
    texts = [
        *frame.columns,
        *frame.worker.dropna(),
        *frame.device_name.dropna(),
        *frame.failure_reason.dropna(),
    ]
    assert len([text for text in texts if "<script>" in text]) == 4
    assert is_clean("".join(texts))
    with pytest.raises(mnist_tune.UserError) as raised:
        mnist_tune.open_study(f"{HOSTILE}?", tmp_path / "studies.db")
    assert is_clean(str(raised.value))
