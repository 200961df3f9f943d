"""The studies that come with mnist-tune, by name or as files from `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.spec.reading import load_spec
from mnist_tune.spec.shipped import find_spec, shipped_specs
from mnist_tune.study.store import open_study
from tests.support.commands import STORED, Command
from tests.support.specs import STUDIES
from tests.support.stored_content import names_in
from tests.support.studies import open_file


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
    answer = command("init", "studies", "file")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mnist-tune: file: cannot be written: ")
