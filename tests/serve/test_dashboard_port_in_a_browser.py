"""The dashboard of a head in a real Chromium: a person logs in, and sees the studies and a trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from mnist_tune.serve.roles import Role
from tests.support.browser import chromium, opened
from tests.support.heads import running
from tests.support.made_studies.cells import complete_cell
from tests.support.studies import new_study, opened_again

pytestmark = pytest.mark.browser


def test_a_person_logs_in_and_sees_the_studies_and_a_trial(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    complete_cell(study, 80.0, 90.0)
    with (
        running(opened_again(study).storage, tmp_path, roles=(Role.VIEWER,), dashboard=True) as head,
        head.dashboard(Role.VIEWER) as client,
        chromium() as browser,
    ):
        assert client.get("/api/studies").status_code == 200  # its process has started
        with opened(browser, str(client.base_url)) as (page, complaints):
            page.get_by_label("Token").fill(head.tokens[Role.VIEWER])
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_text("tiny", exact=False).first).to_be_visible(timeout=60_000)
            page.goto(f"{client.base_url}/dashboard/studies/{study.study_id}/trials?numbers=0")
            expect(page.get_by_text("is complete", exact=False).first).to_be_visible(timeout=60_000)
        assert not complaints, complaints
