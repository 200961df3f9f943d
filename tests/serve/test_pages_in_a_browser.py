"""The pages of a head in a real Chromium: log in, look on while cells end, read the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.serve.roles import Role
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.browser import NARROW, WIDE, chromium, opened, overflow
from tests.support.head_pages import HOSTILE, renamed, tokens_of, visited
from tests.support.made_studies.cells import complete_cell
from tests.support.studies import folders, new_study

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """Eight cells, one complete; all that others have stored is hostile."""
    made = new_study(tmp_path)
    complete_cell(made, 80.0, 90.0, worker=HOSTILE, device_name=HOSTILE)
    direct = DirectStudy(made, folders(tmp_path))
    direct.register(WorkerFacts(new_token(), HOSTILE, HOSTILE, 1, HOSTILE))
    return renamed(made)


@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide", "narrow"])
def test_a_person_logs_in_sees_a_cell_end_reads_the_report_and_logs_out(
    browser: Browser, study: OpenStudy, tmp_path: Path, width: int, dark: bool
) -> None:
    with (
        visited(study, tmp_path, Role.VIEWER) as (client, tokens),
        opened(browser, str(client.base_url), width=width, dark=dark) as (page, complaints),
    ):
        page.get_by_label("Token").fill(tokens[Role.VIEWER])
        page.get_by_role("button", name="Log in").click()
        link = page.get_by_role("link", name=HOSTILE)
        expect(link).to_be_visible()
        expect(page.get_by_text("1/8 cells", exact=False)).to_be_visible()
        expect(page.get_by_role("cell", name=HOSTILE).first).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("Live.")
        link.focus()
        complete_cell(study, 81.0, 95.0)
        expect(page.get_by_text("2/8 cells", exact=False)).to_be_visible()
        expect(page.get_by_role("img", name="2 of 8 cells have ended")).to_be_visible()
        expect(page.get_by_role("link", name=HOSTILE)).to_be_focused()
        assert overflow(page) == 0

        page.keyboard.press("Enter")
        # A fresh process draws it, which takes seconds, and more beside busy ones.
        expect(page.get_by_role("heading", level=1)).to_contain_text("Study", timeout=300_000)
        expect(page.get_by_text("95.00 %").first).to_be_visible()
        page.wait_for_selector("html[data-drawn]")

        page.go_back()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        page.goto(str(client.base_url))
        expect(page.get_by_label("Token")).to_be_visible()
        assert not complaints, complaints


def test_without_scripts_the_page_shows_the_moment(
    browser: Browser, study: OpenStudy, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    with visited(study, tmp_path) as (client, _):
        page = context.new_page()
        page.goto(str(client.base_url))
        expect(page.get_by_text("1/8 cells", exact=False)).to_be_visible()
        expect(page.get_by_role("status")).to_contain_text("Load the page again")
        context.close()


def test_the_page_says_when_it_is_no_longer_live(browser: Browser, study: OpenStudy, tmp_path: Path) -> None:
    with (
        visited(study, tmp_path, Role.VIEWER) as (client, tokens),
        opened(browser, str(client.base_url)) as (page, _),
    ):
        page.get_by_label("Token").fill(tokens[Role.VIEWER])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("status")).to_have_text("Live.")
        tokens_of(tmp_path).revoke("of-viewer")
        expect(page.get_by_role("status")).to_have_text(
            "No longer live: load the page again.", timeout=20_000
        )
