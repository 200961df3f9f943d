"""The contract between people and a storage, which each way to a storage keeps: `StudiesForPeople`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_tune.contract.study import Control
from mnist_tune.errors import FileElsewhere, FileUnavailable, MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.serve.remote_studies import RemoteStudies
from mnist_tune.service.calls import Missing, StudiesForPeople, results_again
from mnist_tune.service.wire import CHANGING, LOOKING
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.engine import shown
from mnist_tune.storage.keys import NOT_KEPT, SPEC, WEIGHTS
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from tests.support.made_studies.cells import complete_cell, fail_cell
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import folders, take
from tests.support.study_files import fill_with_files

OTHER = TINY_SPEC.replace('"tiny"', '"other"')
NO_NUMBER = Failure("non_finite", "the loss is nan")
MORE = Growth(values={"learning_rate": [0.003]})
ELSEWHERE = Import(source="known.csv", results=[])
OF_A_STUDY: dict[str, Callable[[StudiesForPeople, str], object]] = {
    "find": lambda service, name: service.find(name),
    "spec": lambda service, name: service.spec(name),
    "uid": lambda service, name: service.uid(name),
    "missing": lambda service, name: service.missing(name),
    "results": lambda service, name: service.results(name),
    "set_control": lambda service, name: service.set_control(name, Control.PAUSED),
    "drain": lambda service, name: service.drain(name, host="machine"),
    "retry": lambda service, name: service.retry(name),
    "extend": lambda service, name: service.extend(name, MORE, "0" * 32),
    "import_trials": lambda service, name: service.import_trials(name, ELSEWHERE, "0" * 32),
    "change_settings": lambda service, name: service.change_settings(name, {"retry.lost": 1}),
    "verify": lambda service, name: service.verify(name),
    "delete": lambda service, name: service.delete(name),
}
"""The calls that name a study."""
CHEAP = [name for name in (*LOOKING, *CHANGING) if name not in ("results", "verify")]
"""The calls whose answers are no whole study."""


def damage_the_spec(study: OpenStudy) -> None:
    study.storage.set_study_user_attr(study.study_id, SPEC, {"study": 5})


def artifact_of(study: OpenStudy, folder: Path) -> str:
    """The id of the log of a trial that has kept its files."""
    fill_with_files(study, folders(folder))
    return read_results(study).attempts[0].artifacts["log.txt"]


@pytest.mark.parametrize("call", OF_A_STUDY)
def test_a_study_that_is_not_there_is_named_with_the_remedy(service: StudiesForPeople, call: str) -> None:
    with pytest.raises(UserError, match=r"^no study 'tinny' in this storage; did you mean 'tiny'\?$"):
        OF_A_STUDY[call](service, "tinny")


def test_a_storage_says_where_it_is_and_which_studies_it_has(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    if isinstance(service, RemoteStudies):
        assert service.where.startswith("http://127.0.0.1:")
    else:
        assert service.where == shown(study.storage.engine.url)
    assert service.study_names() == ["tiny"]
    create_study(study.storage, tiny_spec(tmp_path, OTHER))
    assert service.study_names() == ["tiny", "other"]


def test_a_study_that_cannot_be_read_hides_no_other(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    create_study(study.storage, tiny_spec(tmp_path, OTHER))
    complete_cell(open_study(study.storage, "other"), 80.0, 90.0)
    damage_the_spec(study)
    damaged, other = service.overview()
    assert (damaged.name, damaged.cells, damaged.best) == ("tiny", None, None)
    assert damaged.standing == f"cannot be read: {damaged.problems[0]}"
    assert (other.name, other.problems) == ("other", [])
    assert other.cells is not None
    assert (other.cells["complete"], other.cells["total"]) == (1, 8)
    assert other.best is not None
    assert (other.best["trial"], other.best["value"], other.best["verdict"]) == (0, 90.0, "best")
    assert other.standing.startswith("1/8 cells, 7 waiting, best so far 90.00 %")
    assert other.as_json()["study"] == "other"


def test_a_study_is_made_once_with_notes_for_its_author(service: StudiesForPeople, tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, OTHER.replace("epochs = 2", "epochs = 2\nmomentum = 0.5"))
    made = service.create(spec, ["training.momentum: has no effect"])
    assert (made.spec.study.name, made.is_new, made.n_reused) == ("other", True, 0)
    assert "training.momentum: has no effect" in made.notes
    service.change_settings("other", {"retry.lost": 7})
    again = service.create(spec)
    assert (again.is_new, again.spec.retry.lost) == (False, 7)
    assert any("keeps its own settings" in note for note in again.notes)
    with pytest.raises(UserError, match="exists with another spec"):
        service.create(tiny_spec(tmp_path, OTHER))


def test_a_new_study_takes_over_what_another_has_finished(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="none of its cells has finished"):
        service.create(tiny_spec(tmp_path, OTHER), reuse="tiny")
    complete_cell(study, 80.0, 90.0)
    assert service.create(tiny_spec(tmp_path, OTHER), reuse="tiny").n_reused == 1
    assert service.results("other").cells.complete == 1


def test_results_are_those_of_the_moment(study: OpenStudy, service: StudiesForPeople) -> None:
    assert service.spec("tiny") == study.spec
    assert service.uid("tiny") == study.uid
    assert service.results("tiny") == read_results(study)
    fail_cell(study, NO_NUMBER, 10.0)
    complete_cell(study, 80.0, 90.0)
    results = service.results("tiny")
    assert results == read_results(study)
    assert (results.cells.complete, results.cells.failed) == (1, 1)
    service.change_settings("tiny", {"limits.timeout": 60.0})
    assert service.results("tiny").spec.limits.timeout == service.spec("tiny").limits.timeout == 60.0


def test_what_a_study_lacks_is_counted(study: OpenStudy, service: StudiesForPeople) -> None:
    fail_cell(study, NO_NUMBER, 10.0)
    complete_cell(study, 80.0, 90.0)
    assert service.missing("tiny") == Missing(1, 0)
    queue = study.queue()
    queue.complete(take(queue), 90.0, user={NOT_KEPT: {WEIGHTS: "the disk is full"}})
    assert service.missing("tiny") == Missing(1, 1)


def test_logs_come_with_the_results_if_they_are_asked_for(
    study: OpenStudy, service: StudiesForPeople
) -> None:
    queue = study.queue()
    queue.complete(take(queue), 90.0, system={"mnist_tune:log": "said\n"})
    assert service.results("tiny").attempts[0].log is None
    assert service.results("tiny", with_logs=True).attempts[0].log == "said\n"


def test_a_damaged_spec_is_told_of_and_its_study_can_be_found_and_deleted(
    study: OpenStudy, service: StudiesForPeople
) -> None:
    damage_the_spec(study)
    for call in (service.spec, service.uid, service.missing, service.results):
        with pytest.raises(MnistTuneError, match="the stored spec of study 'tiny' is damaged"):
            call("tiny")
    assert [outcome.check for outcome in service.verify("tiny").broken] == ["spec"]
    service.find("tiny")
    service.delete("tiny")
    assert service.study_names() == []


def test_a_file_that_was_kept_is_read_by_its_id(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    artifact = artifact_of(study, tmp_path)
    with service.kept_file(artifact) as kept:
        assert kept.read() == b"done\n"
    path = ArtifactFolder(folders(tmp_path).artifacts.path).path(artifact)
    path.unlink()
    with pytest.raises(FileElsewhere) as elsewhere:
        service.kept_file(artifact)
    assert elsewhere.value.folder == str(path.parent)
    path.symlink_to("/etc/passwd")
    with pytest.raises(FileUnavailable, match="it is a link, not a file"):
        service.kept_file(artifact)
    for stored in ("../spec.toml", "/etc/passwd", ""):
        with pytest.raises(FileUnavailable, match="not a UUID"):
            service.kept_file(stored)


def test_a_study_is_verified_with_its_files(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    artifact = artifact_of(study, tmp_path)
    whole = service.verify("tiny")
    assert (whole.broken, whole.verdict[:38]) == ([], "study 'tiny' keeps every promise: 8 ce")
    ArtifactFolder(folders(tmp_path).artifacts.path).path(artifact).write_bytes(b"")
    assert [outcome.check for outcome in service.verify("tiny").broken] == ["files"]


def test_a_study_is_deleted_with_or_without_its_files(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    artifact_of(study, tmp_path)
    create_study(study.storage, tiny_spec(tmp_path, OTHER))
    assert service.delete("other").files == 0
    deleted = service.delete("tiny", files=True)
    assert (deleted.files, deleted.problems) == (2, [])
    assert service.study_names() == []


def test_who_looks_again_is_told_that_the_study_has_been_deleted(
    study: OpenStudy, service: StudiesForPeople
) -> None:
    assert results_again(service, "tiny") == service.results("tiny")
    delete_study(study)
    with pytest.raises(UserError, match=r"^study 'tiny' has been deleted meanwhile$"):
        results_again(service, "tiny")


def test_the_calls_themselves_load_neither_optuna_nor_a_database() -> None:
    modules = "mnist_tune.service.calls, mnist_tune.service.wire, mnist_tune.serve.remote_studies"
    called = f"[mnist_tune.service.wire.call(name) for name in {CHEAP}]"
    code = f"import sys, {modules}; {called}; print({{'optuna', 'sqlalchemy', 'torch'}} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
