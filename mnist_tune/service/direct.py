"""The studies of a storage for people whose machine reaches the database and its folders itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, TypeVar

from mnist_tune.contract.study import Control, StorageAway, StorageFailed
from mnist_tune.errors import FileElsewhere, FileUnavailable, MnistTuneError
from mnist_tune.service.calls import Created, Deletion, Extended, Imported, Missing, Overview, Retried
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import shown
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import find_study, open_study, study_names

if TYPE_CHECKING:
    from mnist_tune.files.locations import Folders
    from mnist_tune.results.study_results import Results
    from mnist_tune.study.copy import Copied
    from mnist_tune.verification import Verification

P = ParamSpec("P")
T = TypeVar("T")


def _told_to_people(call: Callable[P, T]) -> Callable[P, T]:
    """Let a call fail in the words of the contract."""

    @functools.wraps(call)
    def told(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return call(*arguments, **named)
        except MnistTuneError:
            raise
        except Exception as error:
            from mnist_tune.storage.database_errors import in_one_line
            from mnist_tune.storage.retrying import why_it_may_pass

            problem = in_one_line(error)
            if problem is None:
                raise
            told_as = StorageFailed if why_it_may_pass(error) is None else StorageAway
            raise told_as(problem) from error

    return told


class DirectStudies:
    """See `service.calls.StudiesForPeople`. What few commands need is imported when it is asked for."""

    def __init__(self, storage: GuardedStorage, folders: Callable[[], Folders]) -> None:
        """`folders` finds the folders beside the storage; most calls need none."""
        self._storage = storage
        self._folders = folders

    @property
    def where(self) -> str:
        return shown(self._storage.engine.url)

    @_told_to_people
    def study_names(self) -> list[str]:
        return study_names(self._storage)

    @_told_to_people
    def overview(self) -> list[Overview]:
        from mnist_tune.service.overview import overview

        return overview(self._storage)

    @_told_to_people
    def create(
        self, spec: Spec, remarks: Sequence[str] = (), reuse: str | None = None, extend: bool = False
    ) -> Created:
        from mnist_tune.spec.reading import GivenSpec
        from mnist_tune.study.creation import find_or_create

        made = find_or_create(self._storage, GivenSpec(spec, list(remarks)), reuse, extend=extend)
        return Created(made.study.spec, made.is_new, made.n_reused, made.notes, made.added)

    @_told_to_people
    def extend(
        self, name: str, wanted: Growth, revision: str, top: int | None = None, dry_run: bool = False
    ) -> Extended:
        from mnist_tune.queue.control import read_control
        from mnist_tune.study.extend import extend_study

        study = self._open(name)
        if top is not None and wanted.seeds is not None:
            from mnist_tune.results.reading import read_results
            from mnist_tune.results.replicates import more_seeds

            best = more_seeds(read_results(study), wanted.seeds, top)
            wanted = wanted.model_copy(update={"seeds": None, "points": [*wanted.points, *best]})
        extension = extend_study(study, wanted, revision, dry_run=dry_run)
        control = read_control(self._storage, study.study_id)
        return Extended(extension.spec, extension.revision, extension.known, control)

    @_told_to_people
    def import_trials(self, name: str, wanted: Import, import_id: str, dry_run: bool = False) -> Imported:
        from mnist_tune.study.imports import import_results

        return Imported(*import_results(self._open(name), wanted, import_id, dry_run=dry_run))

    @_told_to_people
    def find(self, name: str) -> None:
        find_study(self._storage, name)

    @_told_to_people
    def spec(self, name: str) -> Spec:
        return self._open(name).spec

    @_told_to_people
    def uid(self, name: str) -> str:
        return self._open(name).uid

    @_told_to_people
    def missing(self, name: str) -> Missing:
        from mnist_tune.results.reading import read_results

        results = read_results(self._open(name))
        return Missing(results.cells.failed, len(results.without_weights))

    @_told_to_people
    def results(self, name: str, *, with_logs: bool = False) -> Results:
        from mnist_tune.results.reading import read_results

        return read_results(self._open(name), with_logs=with_logs)

    def kept_file(self, artifact_id: str) -> BinaryIO:
        from mnist_tune.storage.artifacts import ArtifactFolder

        folder = self._folders().artifacts.path
        try:
            return ArtifactFolder(folder).open(artifact_id)
        except FileNotFoundError:
            raise FileElsewhere(str(folder)) from None
        except OSError as error:
            raise FileUnavailable(f"{error.filename}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise FileUnavailable(str(error)) from None

    @_told_to_people
    def set_control(self, name: str, control: Control) -> None:
        from mnist_tune.queue.control import set_control

        set_control(self._storage, self._open(name).study_id, control)

    @_told_to_people
    def drain(self, name: str, *, worker: str | None = None, host: str | None = None) -> list[str]:
        from mnist_tune.queue.worker_registry import ask_to_drain

        return ask_to_drain(self._storage, self._open(name).study_id, worker=worker, host=host)

    @_told_to_people
    def retry(self, name: str, trial: int | None = None) -> Retried:
        from mnist_tune.study.retry import make_deleted_cells, put_back_holes

        study = self._open(name)
        numbers, left = put_back_holes(study, trial)
        return Retried(numbers, left, make_deleted_cells(study) if trial is None else [])

    @_told_to_people
    def change_settings(self, name: str, changes: Mapping[str, Any]) -> dict[str, bool | int | float | None]:
        from mnist_tune.study.settings import change_settings

        spec = change_settings(self._open(name), changes)
        fields = {key: key.split(".") for key in changes}
        return {key: getattr(getattr(spec, table), field) for key, (table, field) in fields.items()}

    @_told_to_people
    def verify(self, name: str) -> Verification:
        from mnist_tune.verification import verify

        folders = self._folders()
        return verify(self._storage, name, folders.artifacts.path, folders.checkpoints.path)

    @_told_to_people
    def copy_out(self, name: str) -> BinaryIO:
        from mnist_tune.study.exchange import pack

        return pack(self._open(name), self._folders())

    @_told_to_people
    def copy_in(self, archive: BinaryIO, name: str | None = None) -> Copied:
        from mnist_tune.study.exchange import unpack

        return unpack(archive, self._storage.engine.url, name, self._folders())

    @_told_to_people
    def delete(self, name: str, *, files: bool = False) -> Deletion:
        from mnist_tune.study.delete import delete_study, delete_study_and_files

        study = find_study(self._storage, name)
        if not files:
            delete_study(study)
            return Deletion(0, [])
        deleted = delete_study_and_files(study, self._folders())
        return Deletion(deleted.files, deleted.problems)

    def _open(self, name: str) -> OpenStudy:
        return open_study(self._storage, name)
