"""The studies of a head for people whose machine reaches nothing but the head."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from mnist_tune.contract.study import Control
from mnist_tune.contract.wire import wire_adapter
from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.serve.client import Head
from mnist_tune.service import wire
from mnist_tune.service.calls import Created, Deletion, Extended, Imported, Missing, Overview, Retried
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import
from mnist_tune.spec.study_spec import Spec

if TYPE_CHECKING:
    from mnist_tune.results.study_results import Results
    from mnist_tune.study.copy import Copied
    from mnist_tune.verification import Verification

IN_MEMORY = 1 << 20
"""A file of more bytes is kept on disk while it is read."""


class RemoteStudies:
    """See `service.calls.StudiesForPeople`."""

    def __init__(self, head: Head) -> None:
        self._head = head

    @property
    def where(self) -> str:
        return self._head.address.url

    def study_names(self) -> list[str]:
        return self._call("study_names")  # type: ignore[no-any-return]

    def overview(self) -> list[Overview]:
        return self._call("overview")  # type: ignore[no-any-return]

    def create(
        self, spec: Spec, remarks: Sequence[str] = (), reuse: str | None = None, extend: bool = False
    ) -> Created:
        wanted = {"spec": spec, "remarks": remarks, "reuse": reuse}
        return self._call("create", **wanted, extend=extend)  # type: ignore[no-any-return]

    def extend(
        self, name: str, wanted: Growth, revision: str, top: int | None = None, dry_run: bool = False
    ) -> Extended:
        grows = {"wanted": wanted, "revision": revision, "top": top, "dry_run": dry_run}
        return self._call("extend", name=name, **grows)  # type: ignore[no-any-return]

    def import_trials(self, name: str, wanted: Import, import_id: str, dry_run: bool = False) -> Imported:
        given = {"wanted": wanted, "import_id": import_id, "dry_run": dry_run}
        return self._call("import_trials", name=name, **given)  # type: ignore[no-any-return]

    def find(self, name: str) -> None:
        self._call("find", name=name)

    def spec(self, name: str) -> Spec:
        return self._call("spec", name=name)  # type: ignore[no-any-return]

    def uid(self, name: str) -> str:
        return self._call("uid", name=name)  # type: ignore[no-any-return]

    def missing(self, name: str) -> Missing:
        return self._call("missing", name=name)  # type: ignore[no-any-return]

    def results(self, name: str, *, with_logs: bool = False) -> Results:
        return self._call("results", name=name, with_logs=with_logs)  # type: ignore[no-any-return]

    def kept_file(self, artifact_id: str) -> BinaryIO:
        return self._fetched("/kept", {"id": artifact_id})

    def set_control(self, name: str, control: Control) -> None:
        self._call("set_control", name=name, control=control)

    def drain(self, name: str, *, worker: str | None = None, host: str | None = None) -> list[str]:
        return self._call("drain", name=name, worker=worker, host=host)  # type: ignore[no-any-return]

    def retry(self, name: str, trial: int | None = None) -> Retried:
        return self._call("retry", name=name, trial=trial)  # type: ignore[no-any-return]

    def change_settings(self, name: str, changes: Mapping[str, Any]) -> dict[str, bool | int | float | None]:
        return self._call("change_settings", name=name, changes=changes)  # type: ignore[no-any-return]

    def verify(self, name: str) -> Verification:
        return self._call("verify", name=name)  # type: ignore[no-any-return]

    def copy_out(self, name: str) -> BinaryIO:
        return self._fetched("/copies", {"study": name})

    def copy_in(self, archive: BinaryIO, name: str | None = None) -> Copied:
        from mnist_tune.study.copy import Copied

        with _in_words():
            answer = self._head.send("/copies", {} if name is None else {"name": name}, archive)
        return self._head.understood(wire_adapter(Copied), answer)  # type: ignore[no-any-return]

    def delete(self, name: str, *, files: bool = False) -> Deletion:
        return self._call("delete", name=name, files=files)  # type: ignore[no-any-return]

    def _fetched(self, path: str, query: Mapping[str, str]) -> BinaryIO:
        file: Any = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
        try:
            with _in_words():
                self._head.fetch(path, query, file)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file  # type: ignore[no-any-return]

    def _call(self, name: str, /, **arguments: Any) -> Any:
        call = wire.call(name)
        with _in_words():
            answer = self._head.post(f"/people/{name}", call.sent(arguments))
        return self._head.understood(call.answer, answer)


@contextmanager
def _in_words() -> Iterator[None]:
    """Let what a head says of a file or of a damaged value be an error of ours."""
    try:
        yield
    except (OSError, Damaged) as error:
        said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise MnistTuneError(said) from None
