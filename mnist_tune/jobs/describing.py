"""Describes a job, and has it look at a plan; code that is not ours runs in a process of its own.

Run as a module, it is that process: it is told the job in its first line, and answers each line with one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from mnist_tune.errors import MISTAKE, MnistTuneError, UserError
from mnist_tune.jobs.command.permitted import PermittedCommand, source_in
from mnist_tune.jobs.command.table import CommandTable
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.interface import Job
from mnist_tune.jobs.loading import OWN, load_installed, load_job
from mnist_tune.jobs.plan import Plan, Remark
from mnist_tune.jobs.reference import JobFile
from mnist_tune.text.wording import first_line

JOB: TypeAdapter[str | JobFile] = TypeAdapter(str | JobFile)
DESCRIPTION = TypeAdapter(JobDescription)
REMARKS = TypeAdapter(list[Remark])
Answer = TypeVar("Answer")


class DescribedJob(Protocol):
    """A job that is at hand while a spec is read."""

    description: JobDescription

    def remarks(self, plan: Plan) -> list[Remark]:
        """What is wrong with a plan, or has no effect."""


@contextmanager
def described(job: str | JobFile | PermittedCommand) -> Iterator[DescribedJob]:
    """Describe an installed job, given by its name, the job in a file, or a command.

    Raises:
        UserError: the job cannot be found or imported, or is not written as a job is.
    """
    if isinstance(job, PermittedCommand):
        yield _AtHand(job.table, job.table.describe(source_in(job.table, job.folder)))
    elif isinstance(job, str) and job in OWN:
        yield _AtHand(*load_installed(job))
    else:
        with _Conversation(job) as conversation:
            yield conversation


@dataclass
class _AtHand:
    job: Job | CommandTable
    description: JobDescription

    def remarks(self, plan: Plan) -> list[Remark]:
        return self.job.remarks(plan)


class _Conversation:
    """The process that has imported a job. What the job prints is shown as messages are."""

    def __init__(self, job: str | JobFile) -> None:
        self._name = str(job)
        ours, theirs = os.pipe()
        # -P, so that nothing is imported from the current folder
        command = [sys.executable, "-P", "-m", "mnist_tune.jobs.describing", str(theirs)]
        errors = 2  # not `sys.stderr`, which is no file in a notebook
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=errors, pass_fds=(theirs,), text=True
        )
        os.close(theirs)
        self._answers = os.fdopen(ours, encoding="utf-8")
        self._job = job

    def __enter__(self) -> _Conversation:
        try:
            self.description = self._ask(DESCRIPTION, JOB.dump_python(self._job, mode="json"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def remarks(self, plan: Plan) -> list[Remark]:
        return self._ask(REMARKS, plan.model_dump())

    def _ask(self, kind: TypeAdapter[Answer], question: Any) -> Answer:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the answer that is missing tells it
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        answer = self._answers.readline()
        if not answer:
            raise UserError(f"job {self._name}: its process ended while the job was described")
        content = json.loads(answer)
        if "problem" in content:
            is_mistake = content["exit_code"] == MISTAKE
            raise (UserError if is_mistake else MnistTuneError)(content["problem"])
        try:
            return kind.validate_json(json.dumps(content["answer"]))
        except ValidationError as error:
            problem = first_mistake(error)
            raise UserError(f"job {self._name}: its description cannot be read: {problem}") from None


def main() -> None:
    """Import the job that the first line names, then answer until the other side has enough."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as answers:

        def answer(content: dict[str, Any]) -> None:
            answers.write(json.dumps(content) + "\n")
            answers.flush()

        try:
            job, description = load_job(JOB.validate_json(sys.stdin.readline()))
            answer({"answer": description.model_dump(mode="json")})
            for line in sys.stdin:
                remarks = job.remarks(Plan.model_validate_json(line))
                answer({"answer": [remark.model_dump() for remark in remarks]})
        except MnistTuneError as error:
            answer({"problem": str(error), "exit_code": error.exit_code})
        except Exception as error:
            answer(
                {"problem": f"job: {first_line(f'{type(error).__name__}: {error}')}", "exit_code": MISTAKE}
            )


if __name__ == "__main__":
    main()
