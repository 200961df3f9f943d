"""Names that are completed with Tab."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_tune.spec.shipped import shipped_specs
from mnist_tune.study.store import create_study
from tests.support.commands import STORED, Command, run_python
from tests.support.specs import tiny_spec
from tests.support.stored_content import names_in
from tests.support.studies import new_study

CompleteWords = Callable[..., list[str]]


@pytest.fixture
def complete_words(command: Command, monkeypatch: pytest.MonkeyPatch) -> CompleteWords:
    """The completions that bash gets for the last of these words."""

    def ask(*words: str) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_MNIST_TUNE_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", " ".join(["mnist-tune", *words]))
            patch.setenv("COMP_CWORD", str(len(words)))
            answer = command()
        assert (answer.code, answer.err) == (0, "")
        return answer.out.split()

    return ask


def test_tab_completes_the_names_of_studies(tmp_path: Path, complete_words: CompleteWords) -> None:
    study = new_study(tmp_path)
    for name in ("tidy", "other"):
        assert create_study(study.storage, study.spec.named(name))
    assert complete_words("status", "") == ["other", "tidy", "tiny"]
    assert complete_words("status", "ti") == ["tidy", "tiny"]
    assert complete_words("delete-study", "o") == ["other"]
    (tmp_path / "elsewhere").mkdir()
    new_study(tmp_path / "elsewhere")
    elsewhere = f"sqlite:///{tmp_path}/elsewhere/{STORED}"
    assert complete_words("status", "--storage", elsewhere, "") == ["tiny"]
    assert complete_words("copy-study", "--from", elsewhere, "") == ["tiny"]


@pytest.mark.postgres
def test_tab_completes_the_names_of_studies_on_a_server(
    tmp_path: Path, postgres: str, complete_words: CompleteWords
) -> None:
    new_study(tmp_path, url=postgres)
    assert complete_words("status", "--storage", postgres, "t") == ["tiny"]
    assert complete_words("drain", "tiny", "--storage", postgres, "--host", "") == []


def test_tab_completes_studies_that_nobody_has_open_and_leaves_their_folder_as_it_is(
    tmp_path: Path, complete_words: CompleteWords
) -> None:
    new_study(tmp_path).storage.engine.dispose()
    connection = sqlite3.connect(tmp_path / STORED)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert names_in(tmp_path) == sorted([STORED, "spec.toml"])
    tmp_path.chmod(0o500)
    try:
        assert complete_words("status", "") == ["tiny"]
    finally:
        tmp_path.chmod(0o700)
    assert names_in(tmp_path) == sorted([STORED, "spec.toml"])


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///nothing.db",
        "sqlite:///spec.toml",
        "nonsense",
        "postgresql://u@127.0.0.1:1/x",
        "sqlite:///.",
    ],
)
def test_tab_is_silent_and_makes_nothing_whatever_the_storage_is(
    tmp_path: Path, complete_words: CompleteWords, url: str
) -> None:
    tiny_spec(tmp_path)
    assert complete_words("status", "--storage", url, "") == []
    assert names_in(tmp_path) == ["spec.toml"]


def test_tab_offers_a_shell_nothing_that_it_could_run(tmp_path: Path, complete_words: CompleteWords) -> None:
    study = new_study(tmp_path)
    hostile = ["$(touch x)", "`touch x`", "a;b", r"\$(touch x)", "-rf", "a b", "x\ny", '"', "*"]
    for name in hostile:
        assert create_study(study.storage, study.spec.named("other"))
        with sqlite3.connect(tmp_path / STORED) as connection:
            connection.execute("UPDATE studies SET study_name = ? WHERE study_name = 'other'", [name])
    assert complete_words("status", "") == ["tiny"]


def test_tab_completes_the_hosts_and_workers_to_drain(tmp_path: Path, complete_words: CompleteWords) -> None:
    study = new_study(tmp_path)
    with sqlite3.connect(tmp_path / STORED) as connection:
        for number, (host, gone) in enumerate((("gpu-1", None), ("gpu-2", None), ("gpu-3", "was drained"))):
            connection.execute(
                "INSERT INTO mnist_tune_workers (worker_id, study_id, name, host, pid, device, started, "
                "last_beat, drain, departure) "
                "VALUES (?, ?, ?, ?, 7, 'cpu', '2026-01-01', '2026-01-01', 0, ?)",
                [str(number), study.study_id, f"{host}:7", host, gone],
            )
    assert complete_words("drain", "tiny", "--host", "") == ["gpu-1", "gpu-2"]
    assert complete_words("drain", "tiny", "--worker", "gpu-2") == ["gpu-2:7"]
    assert complete_words("drain", "other", "--host", "") == []


def test_tab_loads_neither_optuna_nor_torch(tmp_path: Path) -> None:
    new_study(tmp_path)
    script = (
        "import os, sys\n"
        "from mnist_tune.__main__ import main\n"
        "os.environ |= {'_MNIST_TUNE_COMPLETE': 'complete_bash', 'COMP_WORDS': 'mnist-tune status t', "
        "'COMP_CWORD': '2'}\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'optuna', 'torch'} & sys.modules.keys()\n"
    )
    answer = run_python(script, tmp_path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "tiny\n", "")


def test_tab_completes_specs(tmp_path: Path, complete_words: CompleteWords) -> None:
    assert complete_words("run", "qu") == ["quickstart"]
    tiny_spec(tmp_path)
    (tmp_path / "mine").mkdir()
    tiny_spec(tmp_path / "mine")
    assert complete_words("create-study", "sp") == ["spec.toml"]
    assert complete_words("create-study", "mine") == ["mine/spec.toml"]
    assert set(complete_words("run", "")) == {*shipped_specs(), "spec.toml", "mine/spec.toml"}
