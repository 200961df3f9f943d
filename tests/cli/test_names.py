"""Names that need not be typed: left out, completed with Tab, or those of the studies that come along."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from mnist_tune.cli import app
from mnist_tune.queue.control import read_control
from mnist_tune.spec.shipped import find_spec, shipped_specs
from mnist_tune.spec.study_spec import load_spec
from mnist_tune.study.store import create_study, open_study, study_names
from tests.support.commands import STORED, Command, run_python
from tests.support.specs import STUDIES, tiny_spec
from tests.support.studies import new_study, open_file, work

CompleteWords = Callable[..., list[str]]


@pytest.fixture
def complete_words(command: Command, monkeypatch: pytest.MonkeyPatch) -> CompleteWords:
    """What bash is offered for the last of these words."""

    def ask(*words: str) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_MNIST_TUNE_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", " ".join(["mnist-tune", *words]))
            patch.setenv("COMP_CWORD", str(len(words)))
            answer = command()
        assert (answer.code, answer.err) == (0, "")
        return answer.out.split()

    return ask


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_name_of_the_only_study_may_be_left_out(tmp_path: Path, command: Command) -> None:
    work(new_study(tmp_path), lambda _: 90.0)
    said = f"study 'tiny', the only one in sqlite:///{tmp_path}/{STORED}\n"
    for line in ("status", "logs", "export", "pause", "resume", "cancel", "retry"):
        named, left_out = command(line, "tiny"), command(line)
        assert (left_out.code, left_out.out, left_out.err) == (named.code, named.out, said + named.err), line
        assert named.code == 0, line
    assert command("status", "--json").json["study"] == "tiny"
    elsewhere = command("status", "--storage", f"sqlite:///{tmp_path}/{STORED}")
    assert (elsewhere.code, elsewhere.err) == (0, said)
    drained = command("drain", "--host", "nowhere")
    assert drained.code == 2
    assert "nowhere" in drained.err.removeprefix(said)


def test_what_looks_or_controls_needs_no_name() -> None:
    taking = {"status", "logs", "verify", "export", "report", "pause", "resume", "cancel", "drain", "retry"}
    for name, each in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        of_study = [parameter for parameter in each.params if parameter.name == "study"]
        assert all(parameter.required == (name not in taking) for parameter in of_study), name
        assert of_study or name not in taking


def test_of_several_studies_one_must_be_named(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    assert create_study(study.storage, study.spec.named("other"))
    answer = command("cancel")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: cancel: name the study: sqlite:///{tmp_path}/{STORED} has tiny, other\n"
    )
    assert [read_control(study.storage, one) for one in (1, 2)] == ["running", "running"]


def test_without_a_study_there_is_nothing_to_take(tmp_path: Path, command: Command) -> None:
    assert "no such file" in command("status").err
    assert names_in(tmp_path) == []
    open_file(tmp_path, create=True)
    assert "holds no studies; make one with 'mnist-tune create-study SPEC'" in command("status").err


@pytest.mark.parametrize("line", ["delete-study --yes", "worker", "copy-study --to sqlite:///new.db"])
def test_what_cannot_be_taken_back_always_needs_the_name(tmp_path: Path, command: Command, line: str) -> None:
    study = new_study(tmp_path)
    answer = command(*line.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mnist-tune: {line.split()[0]}: missing argument 'STUDY'")
    assert study_names(study.storage) == ["tiny"]


def test_the_name_that_is_taken_is_shown_without_what_a_terminal_would_do(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute("UPDATE studies SET study_name = char(27) || '[2Jtiny'")
    answer = command("status")
    assert "study '\\x1b[2Jtiny', the only one in" in answer.err
    assert "\x1b" not in answer.out + answer.err


def test_an_empty_name_is_not_a_name_left_out(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    answer = command("cancel", "")  # a script's variable that was not set
    assert (answer.code, answer.out) == (2, "")
    assert read_control(study.storage, study.study_id) == "running"


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


def test_a_study_that_comes_along_is_created_from_an_empty_folder(tmp_path: Path, command: Command) -> None:
    answer = command("create-study", "quickstart")
    assert answer.code == 0, answer.err
    assert open_study(open_file(tmp_path), "quickstart").spec == load_spec(STUDIES / "quickstart.toml")
    assert {path for path in names_in(tmp_path) if not path.startswith(STORED)} == set()


def test_a_file_comes_before_a_study_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = Path("quickstart")
    assert find_spec(named) == shipped_specs()["quickstart"]
    named.write_text("")
    assert find_spec(named) == named


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            "quikstart",
            "quikstart: no such file, nor a study that comes with mnist-tune; did you mean 'quickstart'?",
        ),
        (
            "studies/quickstart.toml",
            "studies/quickstart.toml: no such file; write 'quickstart' for the one that",
        ),
        ("nothing.toml", "nothing.toml: no such file\n"),
        ("x" * 300, f"{'x' * 300}: no such file, nor a study"),
    ],
)
def test_a_spec_that_is_not_there_is_guessed(tmp_path: Path, command: Command, spec: str, says: str) -> None:
    answer = command("run", spec)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mnist-tune: {says}")
    assert names_in(tmp_path) == []


def test_init_copies_the_studies_and_keeps_what_is_there(tmp_path: Path, command: Command) -> None:
    first = command("init")
    assert first.code == 0
    assert "studies/quickstart.toml: copied\n" in first.out
    assert names_in(tmp_path / "studies") == sorted(f"{name}.toml" for name in shipped_specs())
    mine = tmp_path / "studies" / "quickstart.toml"
    mine.write_text("# mine\n")
    again = command("init", "studies")
    assert again.code == 0
    assert "studies/quickstart.toml: different, left as it is\n" in again.out
    assert "studies/seed-grid.toml: there already, left as it is\n" in again.out
    assert mine.read_text() == "# mine\n"
    assert command("create-study", "studies/seed-grid.toml").code == 0
    assert "spec.toml" not in first.out


def test_init_into_what_is_no_folder_is_refused(tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").write_text("")
    answer = command("init", "file")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mnist-tune: file: cannot be written: ")
