"""The dashboard's page in a real Chromium: what a person sees, and that nothing goes wrong or out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mnist_tune.failures import Failure
from mnist_tune.files.locations import Folders
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.study.open_study import OpenStudy
from tests.support.browser import NARROW, WIDE, chromium, opened
from tests.support.made_studies.epochs import made_epoch
from tests.support.running_dashboard import running_dashboard
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study, take

pytestmark = pytest.mark.browser

REASON = "ValueError: <img src=http://a.invalid/x>\n```\n# out of the fence\n![](http://a.invalid/y.png)"
PAGES = (
    "",
    "/analytics",
    "/trials?numbers=0",
    "/trials?numbers=1",
    "/trialTable",
    "/smartSelection",
    "/note",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A study with a complete trial, a failed one, and others that wait."""
    study = new_study(tmp_path)
    queue, files = study.queue(), ArtifactFolder(Folders.of(study.storage.engine.url).artifacts.path)
    complete = take(queue)
    history = [made_epoch(number, 70.0 + 10 * number, images_per_second=1234.5) for number in (1, 2)]
    queue.complete(
        complete,
        90.0,
        epochs=numbers(history),
        reports={1: 80.0, 2: 90.0},
        system=upload(
            files, complete.token, {"log.txt": b"all went well\n", "model.safetensors": b"weights"}
        ),
    )
    queue.give_back(take(queue), Failure("exception", REASON))
    return study


def note(page: Page, text: str) -> None:
    """Wait for a text on the page."""
    expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)


def test_a_person_sees_curves_parameters_the_failure_and_the_files(
    browser: Browser, study: OpenStudy, tmp_path: Path
) -> None:
    with running_dashboard(tmp_path) as url, opened(browser, url) as (page, complaints):
        page.get_by_text("tiny").first.click()
        note(page, "Intermediate values")
        note(page, "validation_accuracy")
        expect(page.locator("#graph-intermediate-values .scatterlayer .trace")).to_have_count(1)

        page.goto(f"{url}dashboard/studies/{study.study_id}/trials?numbers=1")
        note(page, "Why it failed")
        expect(page.locator("pre", has_text="# out of the fence")).to_contain_text(REASON.splitlines()[-1])
        failed = study.storage.get_all_trials(study.study_id)[1]
        for name, value in failed.params.items():
            expect(page.locator("li", has_text=name).first).to_have_text(f"{name}: {value}")

        page.goto(f"{url}dashboard/studies/{study.study_id}/trials?numbers=0")
        note(page, "log.txt")
        note(page, "model.safetensors")
        with page.expect_download() as download:
            page.locator("a[download='log.txt']").first.click()
        assert download.value.path().read_text() == "all went well\n"
        assert not complaints


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_complains_or_asks_another_host(
    browser: Browser, study: OpenStudy, tmp_path: Path, width: int, dark: bool
) -> None:
    with running_dashboard(tmp_path, "--read-only") as url:
        for path in PAGES:
            address = f"{url}dashboard/studies/{study.study_id}{path}"
            with opened(browser, address, width=width, dark=dark) as (page, complaints):
                page.wait_for_load_state("networkidle")
                note(page, "tiny (id=")
                assert not complaints, path


def test_a_person_can_replace_a_note_and_delete_the_study(
    browser: Browser, study: OpenStudy, tmp_path: Path
) -> None:
    with running_dashboard(tmp_path) as url:
        address = f"{url}dashboard/studies/{study.study_id}/trials?numbers=0"
        with opened(browser, address) as (page, complaints):
            page.get_by_test_id("EditIcon").first.click()
            page.locator("textarea").first.fill("written by a person")
            page.get_by_role("button", name="Save").click()
            note(page, "Success to save the note")
            page.reload()
            note(page, "written by a person")

            page.goto(url)
            page.get_by_test_id("DeleteIcon").first.click()
            page.get_by_role("checkbox").check()
            page.get_by_role("button", name="Yes").click()
            note(page, "Success to delete a study")
            assert not complaints
    assert study.storage.get_all_studies() == []
    assert not Folders.of(study.storage.engine.url).artifacts.path.exists()
