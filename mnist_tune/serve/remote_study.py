"""A study as a worker sees it whose machine reaches nothing but a head."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from mnist_tune.contract import wire
from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Decision, LeaseLost, Orders, StorageFailed, WorkerFacts
from mnist_tune.contract.wire import OpenedStudy
from mnist_tune.errors import Damaged
from mnist_tune.failures import Failure
from mnist_tune.files.atomic_write import open_file, whole_file
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder
from mnist_tune.files.stored_names import checkpoint_key, inside
from mnist_tune.serve.client import Head
from mnist_tune.serve.spool import check_spool
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.stopped import Stopped
from mnist_tune.spec.stored import as_spec_of_study
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.notes import Notes

MOST_EPOCHS = 2_000
"""So many are sent in one call: a head bounds how long a text is, and how long it may take."""
POINTERS: TypeAdapter[dict[str, str] | None] = TypeAdapter(dict[str, str] | None)
"""The answer to a file: the attributes that point to it, if it is a final one."""


class RemoteStudy:
    """See `contract.study.StudyForWorkers`. States pass through a folder on this machine."""

    def __init__(self, head: Head, name: str, folder: Path) -> None:
        """Open the study of this name.

        Raises:
            UserError: there is none, or the head does not let us in.
            StorageAway: the head does not answer.
            MnistTuneError: the study is damaged, or of a newer version.
        """
        self._head = head
        self._folder = folder
        answer = head.post("/open", json.dumps({"study": name}).encode())
        try:
            opened = OpenedStudy.model_validate_json(answer.content)
        except ValidationError:
            raise head.no_head("its answer is not a head's") from None
        self._name, self._uid = opened.study, opened.uid
        try:
            self._spec = as_spec_of_study(opened.spec)
        except Damaged as problem:
            raise StorageFailed(f"the spec of study '{name}' cannot be read here: {problem}") from None
        head.wait_at_most(self._spec.lease.grace_period / 2)  # so that a worker can ask a second time

    @property
    def name(self) -> str:
        return self._name

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def prunes(self) -> bool:
        return self._spec.pruner is not None

    @property
    def state_folder(self) -> Path:
        return self._folder

    def check_folders(self) -> list[str]:
        return check_spool(self._folder)

    def standing(self) -> Standing:
        return self._call("standing")  # type: ignore[no-any-return]

    def stopped(self) -> Stopped | None:
        return self._call("stopped")  # type: ignore[no-any-return]

    def register(self, worker: WorkerFacts) -> LeaseSettings:
        lease: LeaseSettings = self._call("register", worker=worker)
        self._head.wait_at_most(lease.grace_period / 2)
        return lease

    def beat(self, worker: WorkerFacts, trial: int | None, units_per_second: float | None) -> Orders:
        return self._call("beat", worker=worker, trial=trial, units_per_second=units_per_second)  # type: ignore[no-any-return]

    def leave(self, worker: WorkerFacts, reason: str) -> None:
        self._call("leave", worker=worker, reason=reason)

    def put_back_stale(self) -> dict[int, str]:
        return {}  # the head does so itself

    def claim(self, worker: WorkerFacts, token: str) -> Claim | Standing:
        answer: Claim | Standing = self._call("claim", worker=worker, token=token)
        self._forget_states()
        return answer

    def parameters(self, claim: Claim) -> dict[str, Any]:
        grid = self._spec.search.grid
        if grid is not None and _is_point(claim.parameters, grid):  # there is nothing to draw
            return {name: claim.parameters[name] for name in grid}
        return self._call("parameters", claim=claim)  # type: ignore[no-any-return]

    def renew(self, claim: Claim) -> None:
        self._call("renew", claim=claim)

    def record(self, claim: Claim, notes: Notes) -> None:
        self._call("record", claim=claim, notes=self._last_of(claim, notes))

    def decide(self, claim: Claim) -> Decision:
        return self._call("decide", claim=claim)  # type: ignore[no-any-return]

    def complete(self, claim: Claim, value: float, notes: Notes) -> None:
        self._call("complete", claim=claim, value=value, notes=self._last_of(claim, notes))

    def prune(self, claim: Claim, value: float, notes: Notes) -> None:
        self._call("prune", claim=claim, value=value, notes=self._last_of(claim, notes))

    def give_back(self, claim: Claim, failure: Failure, system: Mapping[str, Any]) -> None:
        self._call("give_back", claim=claim, failure=failure, system=system)

    def fetch_state(self, claim: Claim) -> None:
        if claim.checkpoint is None:
            return
        key = claim.checkpoint.key
        # Without it, the training process says that it is not there.
        with suppress(FileNotFoundError), whole_file(self._at(key)) as sink:
            self._head.fetch("/states", self._study | {"key": key}, sink)

    def keep_state(self, claim: Claim, checkpoint: Checkpoint) -> None:
        with open_file(self._at(checkpoint.key)) as state:
            self._send("/states", claim, checkpoint.key, state)

    def keep_files(self, claim: Claim, files: Mapping[str, bytes]) -> dict[str, str]:
        pointers: dict[str, str] = {}
        for name, content in files.items():
            pointers |= self._send("/files", claim, name, BytesIO(content))
        return pointers

    def delete_state(self, checkpoint: Checkpoint) -> None:
        self._at(checkpoint.key).unlink(missing_ok=True)
        self._call("delete_state", checkpoint=checkpoint)

    def sweep(self, *, is_over: bool = False) -> None:
        self._call("sweep", is_over=is_over)
        if is_over:
            self._forget_states()
            CheckpointFolder(self._folder).remove_if_empty()

    def _last_of(self, claim: Claim, notes: Notes) -> Notes:
        """What is left to send of notes, after their first epochs are recorded, if there are very many."""
        epochs, reports = notes.get("epochs", {}), notes.get("reports", {})
        numbers = sorted({*epochs, *reports})
        while len(numbers) > MOST_EPOCHS:
            page, numbers = numbers[:MOST_EPOCHS], numbers[MOST_EPOCHS:]
            with suppress(LeaseLost):  # what comes after it tells, and knows an end whose answer was lost
                self._call("record", claim=claim, notes=_of_epochs(notes, page))
        return notes | _of_epochs(notes, numbers)

    def _forget_states(self) -> None:
        """Delete the states of attempts that are over: a worker has one attempt at a time."""
        here = CheckpointFolder(self._folder)
        for key in here.keys():  # noqa: SIM118 - it is no dictionary
            with suppress(OSError):
                here.delete(key)

    @property
    def _study(self) -> dict[str, str]:
        return {"study": self._name, "uid": self._uid}

    def _at(self, key: str) -> Path:
        try:
            return inside(self._folder, checkpoint_key(key))
        except ValueError as error:
            raise OSError(str(error)) from None

    def _send(self, path: str, claim: Claim, name: str, file: BinaryIO) -> Any:
        query = self._study | {"trial_id": str(claim.trial_id), "token": claim.token, "name": name}
        answer = self._head.send(path, query, file)
        return self._head.understood(POINTERS, answer)

    def _call(self, name: str, /, **arguments: Any) -> Any:
        call = wire.call(name)
        answer = self._head.post(f"/calls/{name}", call.sent(self._study | arguments))
        return self._head.understood(call.answer, answer)


def _of_epochs(notes: Notes, numbers: Sequence[int]) -> Notes:
    """What notes tell of these epochs alone."""
    epochs, reports = notes.get("epochs", {}), notes.get("reports", {})
    return Notes(
        epochs={number: epochs[number] for number in numbers if number in epochs},
        reports={number: reports[number] for number in numbers if number in reports},
    )


def _is_point(parameters: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> bool:
    """Whether these are the parameters of a cell of the grid. If not, the head says what is wrong."""
    return parameters.keys() == grid.keys() and all(parameters[name] in grid[name] for name in grid)
