"""A study behind a head over a link that loses answers, and to look at it the study itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import StorageAway
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, checkpoint_key, save
from mnist_tune.queue.worker_registry import WorkerRow, read_registry
from mnist_tune.results.reading import read_results
from mnist_tune.serve import client
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.tcp_proxy import TcpProxy

SHORT = 0.3
"""How long an impatient client waits for an answer, in seconds."""


class StudyBehindAHead:
    """A study in its file, to look at it, and by a head over a link, to act on it."""

    def __init__(self, study: OpenStudy, link: TcpProxy, folder: Path) -> None:
        self.study = study
        self.link = link
        self.head = Head(HeadAddress(link.url))
        self.worker = RemoteStudy(self.head, study.name, folder / "on their way")
        self.worker.register(ME)
        self.kept = CheckpointFolder(folder / "checkpoints" / study.uid)
        self.again: Callable[[str, Callable[[], Any]], Any] = self._after_a_lost_answer

    def saved(self, claim: Claim) -> Checkpoint:
        """A state on its way."""
        key = checkpoint_key(claim.trial_id, claim.token, 1)
        return save(CheckpointFolder(self.worker.state_folder), key, 1, b"state")

    def states(self) -> list[str]:
        return [attempt.state for attempt in read_results(self.study).attempts]

    def row(self) -> WorkerRow:
        (row,) = read_registry(self.study.storage, self.study.study_id, 60.0).workers
        return row

    def _after_a_lost_answer(self, request: str, call: Callable[[], Any]) -> Any:
        """What a patient worker gets if the answer to its first request like this is lost."""
        lines: list[str] = []
        self.link.lose_answer(request.encode())
        answer = StorageRetry(60, lines.append, hurry=lambda: False)(call)
        assert self.link.has_lost_it
        assert len(lines) == 2, lines  # it was away, and it answers again
        return answer

    def while_at_work(self, _: str, call: Callable[[], Any]) -> Any:
        """What an impatient worker gets that asks three times before the first answer."""
        answers: list[Any] = []
        with closing(sqlite3.connect(str(self.study.storage.engine.url.database))) as other:
            other.execute("BEGIN IMMEDIATE")  # the head waits
            self.head.wait_at_most(SHORT)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(client, "FILE_ANSWER_SECONDS", SHORT)
                for _attempt in range(2):
                    with pytest.raises(StorageAway, match="timed out"):
                        call()
            self.head.wait_at_most(60)
            asking = threading.Thread(target=lambda: answers.append(call()))
            asking.start()
            asking.join(SHORT)
            assert answers == []
            other.rollback()
            asking.join(60)
        (answer,) = answers
        return answer
