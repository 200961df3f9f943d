"""Studies from Python on a machine that reaches nothing but a head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mnist_tune
from mnist_tune.results.reading import read_results
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.store import open_study
from tests.support.heads import running_head
from tests.support.own_jobs import FIT_SPEC, own_job
from tests.support.specs import tiny_spec
from tests.support.studies import open_file

SPEC = FIT_SPEC.replace("[limits]", "[limits]\nfailures_in_a_row = 0")  # else a note would say so


@pytest.fixture
def stored(tmp_path: Path) -> GuardedStorage:
    """The storage of the head, which has no study."""
    (tmp_path / "home").mkdir()
    return open_file(tmp_path / "home", create=True)


@pytest.fixture
def head(stored: GuardedStorage, tmp_path: Path) -> Iterator[str]:
    """The address of a head."""
    with running_head(stored, tmp_path / "home") as address:
        yield str(address)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a notebook on another machine."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.delenv("MNIST_TUNE_TOKEN", raising=False)
    return folder


def test_a_study_is_made_opened_and_listed_there(
    head: str, stored: GuardedStorage, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_TUNE_STORAGE", raising=False)
    spec = tiny_spec(here)
    made = mnist_tune.create_study(here / "spec.toml", head)
    assert (made.name, made.storage, made.status.cells.waiting) == ("tiny", head, 8)
    assert mnist_tune.study_names(head) == ["tiny"]
    assert open_study(stored, "tiny").spec == spec
    assert repr(mnist_tune.open_study("tiny", head)).startswith(f"<Study 'tiny' in {head}: 0/8 cells, ")
    with pytest.raises(mnist_tune.UserError, match=r"^no study 'tinny' in this storage; did you mean 'tiny'"):
        mnist_tune.open_study("tinny", head)

    monkeypatch.setenv("MNIST_TUNE_STORAGE", head)  # which the functions follow as the commands do
    assert mnist_tune.study_names() == ["tiny"]
    assert mnist_tune.open_study("tiny").storage == head
    assert sorted(path.name for path in here.iterdir()) == ["spec.toml"]


@pytest.mark.slow
def test_a_study_is_run_there_by_workers_here(
    head: str, stored: GuardedStorage, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = mnist_tune.run(own_job(here, spec=SPEC), head, workers=2, checkpoints=here / "spool")
    assert study.status.finished
    assert study.best is not None
    assert study.best.verdict == "best"
    results = read_results(open_study(stored, "fit"))
    assert {attempt.state for attempt in results.attempts} == {"complete"}
    assert study.best.mean == results.ranking[0].candidate.mean
    said = capsys.readouterr().out
    assert said.startswith(f"study 'fit' created in {head}: 2 cells, 2 workers\n")
    assert list((here / "spool").iterdir()) == []
    again = mnist_tune.run(here / "fit.toml", head)
    assert again.status == study.status
    assert "is finished already" in capsys.readouterr().out


@pytest.mark.slow
def test_what_a_head_does_not_take_is_one_line_in_pythons_words(
    head: str, stored: GuardedStorage, here: Path
) -> None:
    own_job(here, spec=SPEC)
    with pytest.raises(
        mnist_tune.UserError, match=r"^'artifacts': the head keeps the files of trials; leave it out$"
    ):
        mnist_tune.run("fit.toml", head, artifacts="kept")
    with pytest.raises(mnist_tune.UserError, match=r"^'checkpoints': .*/fit\.py cannot keep states on "):
        mnist_tune.run("fit.toml", head, checkpoints="fit.py")
    with pytest.raises(mnist_tune.UserError, match=r"^storage: write http://HOST:PORT, or the whole line"):
        mnist_tune.study_names("https://host/studies")
    assert mnist_tune.study_names(head) == []


def test_a_head_that_is_not_there_is_one_line(here: Path) -> None:
    with pytest.raises(mnist_tune.MnistTuneError, match=r"^http://127\.0\.0\.1:1 does not answer: .+\Z"):
        mnist_tune.study_names("http://127.0.0.1:1")


@pytest.mark.slow
def test_a_run_waits_for_a_head_that_is_away_as_long_as_its_workers_would(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_job(here, spec=f"{SPEC}\n[lease]\nstorage_timeout = 1.0\n")
    away = r"http://127\.0\.0\.1:1 does not answer: "
    with pytest.raises(mnist_tune.MnistTuneError, match=rf"^the storage has not answered for 1 s: {away}"):
        mnist_tune.run("fit.toml", "http://127.0.0.1:1")
    assert re.match(rf"the storage does not answer \({away}.*\); asking again\n", capsys.readouterr().out)
