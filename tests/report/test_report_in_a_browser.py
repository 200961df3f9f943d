"""The report in a real Chromium: what a person sees, without errors or requests to a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Dialog, Page, expect

from mnist_tune.failures import Failure
from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.contents import Report, contents
from mnist_tune.report.files import write_page
from mnist_tune.report.png import write_pngs
from mnist_tune.report.theme import DARK, LIGHT
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.browser import NARROW, WIDE, chromium, opened, overflow
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.made_studies.models import made_model
from tests.support.studies import new_study

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=http://a.invalid/x onerror=alert(1)><b>bold</b>"
FIGURES = {
    "curves",
    "grid",
    "parallel",
    "slices",
    "importance",
    "timeline",
    "throughput",
    "confusion",
    "classes",
}
DRAWN = "html[data-drawn]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def study(folder: Path) -> OpenStudy:
    """A finished study in which something failed; all that workers store is hostile."""
    study = new_study(folder)
    fail_cell(study, Failure("exception", HOSTILE), 50.0, worker=HOSTILE)
    for number in range(8):
        complete_cell(
            study, 80.0 + number, 90.0 + number, worker=f"{HOSTILE}{number % 2}", device_name=HOSTILE
        )
    return study


@pytest.fixture(scope="module")
def model(study: OpenStudy, folder: Path) -> Evaluated:
    return made_model(study, folder / "model", accuracy=99.0)


@pytest.fixture(scope="module")
def report(study: OpenStudy, model: Evaluated) -> Report:
    return contents(read_results(study), [model], "sqlite:///studies.db", datetime.now(UTC))


@pytest.fixture(scope="module")
def url(report: Report, folder: Path) -> str:
    write_page(report, folder / "report.html")
    return (folder / "report.html").as_uri()


def drawn(page: Page) -> dict[str, list[dict[str, Any]]]:
    """The traces that Plotly has drawn, by the figure's key."""
    page.wait_for_selector(DRAWN, state="attached")
    script = """JSON.stringify(Object.fromEntries([...document.querySelectorAll("[data-figure]")].map(
        (plot) => [plot.dataset.figure, plot.data])))"""
    figures: dict[str, list[dict[str, Any]]] = json.loads(page.evaluate(script))
    return figures


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_fits_and_nothing_goes_wrong_or_out(
    browser: Browser, url: str, width: int, dark: bool
) -> None:
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    with opened(browser, url, width=width, dark=dark) as (page, complaints):
        page.on("dialog", dismiss)
        assert drawn(page).keys() == FIGURES
        assert overflow(page) == 0
        # A figure that is wider than its place would be cut.
        for plot in page.locator("[data-figure]").all():
            box, inner = plot.bounding_box(), plot.locator(".svg-container").bounding_box()
            assert box is not None
            assert inner is not None
            assert inner["width"] <= box["width"] + 1
        assert not complaints, complaints
    assert asked == []


def test_every_figure_has_the_studys_numbers(browser: Browser, url: str, report: Report) -> None:
    with opened(browser, url) as (page, _):
        figures = drawn(page)
        shapes = page.evaluate(
            """Object.fromEntries([...document.querySelectorAll("[data-figure]")].map((plot) =>
                [plot.dataset.figure, plot.querySelectorAll(".trace, .hm image").length]))"""
        )
    assert all(count > 0 for count in shapes.values()), shapes
    for picture in report.pictures:
        if picture.figure is not None:
            stored = json.loads(picture.figure.to_json())["data"]
            for ours, theirs in zip(stored, figures[picture.key], strict=True):
                for key in ("x", "y", "z", "text", "base", "name"):
                    assert theirs.get(key) == ours.get(key)
    winner = [trace for trace in figures["curves"] if trace["name"].startswith("best")]
    assert winner[2]["y"] == [87.0, 97.0]
    assert figures["confusion"][0]["z"][4][9] == 10


def test_stored_text_is_shown_as_it_is(browser: Browser, url: str) -> None:
    with opened(browser, url) as (page, complaints):
        drawn(page)
        assert page.locator("img:not(.examples img)").count() == 0
        expect(page.locator("#failures td", has_text=HOSTILE).first).to_be_visible()
        assert page.get_by_text(HOSTILE).count() >= 2
        labels = page.locator("[data-figure=timeline] .ytick text").all_text_contents()
        assert len(labels) == 3
        assert all(label.startswith("</") for label in labels), labels
        assert not complaints


def test_what_a_figure_answers_is_said_to_who_cannot_see_it(browser: Browser, url: str) -> None:
    with opened(browser, url) as (page, _):
        drawn(page)
        assert page.title() == "tiny \N{EN DASH} mnist-tune report"
        assert page.locator("h1").count() == 1
        for section in page.locator("section").all():
            assert section.locator("h2").count() == 1
        for plot in page.locator("[data-figure]").all():
            assert plot.get_attribute("role") == "img"
            assert len(plot.get_attribute("aria-label") or "") > 40
        for image in page.locator("img").all():
            assert (image.get_attribute("alt") or "").startswith("test image ")
        for table in page.locator("table").all():
            assert table.locator("th[scope=col]").count() > 0


def test_a_keyboard_reaches_all_of_the_report(browser: Browser, url: str) -> None:
    wanted = "a[href], summary, button:not([hidden]), pre, .scroll"
    with opened(browser, url) as (page, _):
        drawn(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "winner"
        for summary in page.locator("summary").all():
            summary.focus()
            page.keyboard.press("Enter")
        n_wanted = page.evaluate(f"document.querySelectorAll('main :is({wanted})').length")
        page.locator(".skip").focus()
        page.keyboard.press("Enter")
        reached: set[int] = set()
        for _ in range(3 * n_wanted):
            page.keyboard.press("Tab")
            place = page.evaluate(
                f"[...document.querySelectorAll('main :is({wanted})')].indexOf(document.activeElement)"
            )
            if place < 0 and reached:
                break
            reached.add(place)
        assert reached == set(range(n_wanted))


def test_figures_follow_the_theme(browser: Browser, url: str) -> None:
    with opened(browser, url) as (page, _):
        for is_dark, palette in ((False, LIGHT), (True, DARK)):
            page.emulate_media(color_scheme="dark" if is_dark else "light")
            page.wait_for_function(
                """(paper) => [...document.querySelectorAll("[data-figure]")].every(
                    (plot) => plot._fullLayout?.paper_bgcolor === paper)""",
                arg=palette["paper"],
            )


def test_the_configuration_can_be_copied(browser: Browser, url: str, report: Report) -> None:
    with opened(browser, url) as (page, _):
        page.get_by_role("button", name="Copy the configuration").click()
        expect(page.get_by_text("copied", exact=True)).to_be_visible()
        assert page.evaluate("getSelection().toString()").strip() == report.headline.configuration.strip()


def test_without_scripts_the_numbers_are_there(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    expect(page.get_by_text("The figures need JavaScript")).to_be_visible()
    page.locator("#curves summary").click()
    expect(page.locator("#curves td", has_text="97.00 %")).to_be_visible()
    context.close()


def test_figures_are_written_as_images(report: Report, folder: Path) -> None:
    written = write_pngs(report, folder / "figures")
    assert {path.stem for path in written} == FIGURES
    for path in written:
        with Image.open(path) as image:
            assert image.size[0] == 2_400
            assert len(image.convert("L").getcolors(256) or []) > 5
