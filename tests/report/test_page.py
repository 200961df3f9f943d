"""The report's page at every stage of a study, without markup from stored text."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from mnist_tune.failures import Failure
from mnist_tune.report.page import page
from mnist_tune.report.theme import DARK, LIGHT
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_all_cells, complete_cell, fail_cell
from tests.support.report_contents import picture_of, report_of, traces_of
from tests.support.specs import ONE_CELL, SAMPLED_SPEC, SEEDS_SPEC
from tests.support.studies import new_study

HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.mark.parametrize(
    "spec", [ONE_CELL, SEEDS_SPEC, SAMPLED_SPEC.format(n_trials=3)], ids=["one cell", "seeds", "sampled"]
)
@pytest.mark.parametrize("done", ["nothing", "one running", "one failed", "one", "all"])
def test_every_study_at_every_stage_has_a_page(tmp_path: Path, spec: str, done: str) -> None:
    study = new_study(tmp_path, spec)
    if done == "one running":
        study.queue().claim("machine:1")
    elif done == "one failed":
        fail_cell(study, Failure("non_finite", "loss is nan"))
    elif done != "nothing":
        for number in range(1 if done == "one" else study.spec.n_cells):
            complete_cell(study, 50.0, 90.0 + number)
    text = page(report_of(study))
    assert "<h1>Study tiny</h1>" in text
    words = text.split("</header>")[1].split("</main>")[0].replace("loss is nan", "")
    assert not re.search(r"\b(nan|None)\b", words)


def test_what_is_stored_cannot_become_markup(study: OpenStudy) -> None:
    complete_cell(study, 90.0, worker=HOSTILE, device_name=HOSTILE)
    fail_cell(study, Failure("exception", HOSTILE), worker=HOSTILE)
    text = page(report_of(study))
    assert "<img src=x" not in text
    assert "<b>bold" not in text
    assert text.count("</script>") == text.count("<script")
    # Plotly reads tags in a figure's text: there it must be escaped twice.
    timeline = traces_of(picture_of(report_of(study), "timeline"))
    assert "<img" not in json.dumps(timeline)
    assert "&lt;img" in json.dumps(timeline)


def test_differing_environments_are_warned_of_and_counted(study: OpenStudy) -> None:
    complete_cell(study, 90.0)
    complete_cell(study, 90.0, precision="bf16")
    report = report_of(study)
    assert report.provenance.warnings == ["cells differ in precision (bf16, fp32): not like for like"]
    assert ["precision", "fp32 (1 attempts); bf16 (1 attempts)"] in report.provenance.facts.rows


@pytest.mark.slow
def test_tables_of_large_studies_end_and_say_so(tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=120))
    complete_all_cells(study, epochs=1)
    (table,) = picture_of(report_of(study), "parallel").tables
    assert len(table.rows) == 100
    assert table.note == "The best 100 of 120 rows."


def luminance(hexadecimal: str) -> float:
    """Relative luminance as WCAG has it, but for its straight piece near black."""
    parts = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (math.pow((part + 0.055) / 1.055, 2.4) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(palette: dict[str, str]) -> None:
    for paper in ("paper", "raised"):
        for text in ("ink", "muted", "link"):
            assert contrast(palette[text], palette[paper]) >= 4.5, text
    for line in ("winner", "tied", "others", *(f"series{number}" for number in range(1, 7))):
        assert contrast(palette[line], palette["paper"]) >= 3, line
    levels = [contrast(palette[f"level{number}"], palette["paper"]) for number in range(1, 6)]
    assert levels == sorted(levels)
