"""A study is clean at every moment while workers are on it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from tests.support.commands import finish, start_toy_worker
from tests.support.postgres_server import postgres_server
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import new_study
from tests.support.verified_studies import findings_by_check


def verified_while_it_runs(study: OpenStudy, folder: Path) -> int:
    """Verify while toy workers run the study and one is killed; returns how many states were seen."""

    def verdict() -> str:
        verification = verify(study.storage, "tiny", folder / "artifacts", folder / "checkpoints")
        assert findings_by_check(verification).keys() <= {"signs of life"}  # the killed worker's
        return verification.verdict

    began = time.monotonic()
    verdict()
    # However busy this machine is, a run is looked at many times.
    seconds = 0.1 + 2 * (time.monotonic() - began)
    url = study.storage.engine.url.render_as_string(hide_password=False)
    workers = [start_toy_worker(folder, seconds=seconds, url=url) for _ in range(3)]
    verdicts = set()
    while any(worker.poll() is None for worker in workers):
        verdicts.add(verdict())
        if any("3 running" in seen for seen in verdicts):
            workers[0].kill()
    assert [finish(worker).returncode for worker in workers][1:] == [0, 0]
    assert f"{study.spec.n_cells} cells ({study.spec.n_cells} complete)" in verdict()
    return len([seen for seen in verdicts if "running" in seen])


MANY_CELLS = (
    TINY_SPEC.replace("[training]", "seed = [0, 1, 2, 3, 4]\n[training]")
    + "\n[lease]\nheartbeat_interval = 0.2\ngrace_period = 2.0\n"
)


@pytest.mark.slow
def test_a_study_that_several_workers_are_on_is_clean_at_every_moment(tmp_path: Path) -> None:
    study = new_study(tmp_path, MANY_CELLS)
    assert verified_while_it_runs(study, tmp_path) >= 3


@pytest.mark.postgres
def test_a_study_on_a_server_is_clean_at_every_moment(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        storage = open_storage(storage_url(url), create=True)
        create_study(storage, tiny_spec(tmp_path, MANY_CELLS))
        study = open_study(storage, "tiny")
        assert verified_while_it_runs(study, tmp_path) >= 3
        storage.engine.dispose()
