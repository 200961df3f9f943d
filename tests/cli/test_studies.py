"""`studies`: the list of the studies in a storage."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import Command
from tests.support.made_studies.cells import complete_cell
from tests.support.studies import new_study, open_file


def test_studies_lists_what_the_storage_holds_with_its_progress(tmp_path: Path, command: Command) -> None:
    complete_cell(new_study(tmp_path), 97.5)
    assert command("studies").out == "tiny: 1/8 cells, 7 waiting, best so far 97.50 % (trial 0)\n"
    (listed,) = command("studies", "--json").json
    assert (listed["study"], listed["cells"]["complete"], listed["best"]["value"]) == ("tiny", 1, 97.5)


def test_studies_of_an_empty_storage_says_how_to_make_one(tmp_path: Path, command: Command) -> None:
    open_file(tmp_path, create=True)
    answer = command("studies")
    assert (answer.code, answer.out) == (0, "no studies; make one with: mnist-tune create-study SPEC\n")
    assert command("studies", "--json").json == []
