"""Notes that the dashboard shows for trials and studies without a note by a person, in Markdown.

Stored text may be anybody's, so it is shown as code, where Markdown has no effect.
"""

from __future__ import annotations

import json
import re
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import words
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.epochs import history_of
from mnist_tune.records.values import parse
from mnist_tune.results.importances import EVALUATOR
from mnist_tune.spec.documents import dump
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL, ENVIRONMENT, FAILURE, HISTORY, IMPORTED, RESUMED, WORKER
from mnist_tune.text.visible import visible, visible_lines
from mnist_tune.text.wording import clock, counted

STATES = {
    TrialState.WAITING: "waits for a worker",
    TrialState.RUNNING: "is running",
    TrialState.COMPLETE: "is complete",
    TrialState.PRUNED: "was pruned",
    TrialState.FAIL: "failed",
}


def trial_note(trial: FrozenTrial, attempt: int, spec: Spec, last: tuple[Any, Any] | None = None) -> str:
    """The note about a trial of ours: parameters, state, origin, and why it failed.

    `last` is its last epoch's number and metrics, as our table has them.
    """
    job = spec.description
    lines = [_headline(trial, job), "", *_items(trial.params), ""]
    which = f"Attempt {attempt} at cell {trial.system_attrs[CELL]}"
    if worker := trial.user_attrs.get(WORKER):
        which += f", by worker {code(worker)}"
    lines += [f"{which}.", ""]
    if resumed := trial.user_attrs.get(RESUMED):
        lines += [_origin(resumed), ""]
    if epoch := _last_epoch(trial, last, job):
        lines += [f"Last {epoch.line(spec.epochs(trial.params), job)}.", ""]
    if failure := trial.user_attrs.get(FAILURE):
        lines += [f"**Why it failed**: {code(failure['class'])}", "", block(failure["reason"]), ""]
    if environment := trial.user_attrs.get(ENVIRONMENT):
        lines += ["**Environment**", "", *_items(environment)]
    return "\n".join(lines).strip()


def imported_note(trial: FrozenTrial, spec: Spec) -> str:
    """The note about a result that was obtained elsewhere, which the page shows as no complete trial."""
    origin = parse(IMPORTED, json.dumps(trial.system_attrs[IMPORTED]))
    job, value = spec.description, (trial.values or [None])[0]
    lines = [
        f"Trial {trial.number} **did not run here**: a {words(job.objective)} of **{job.text(value)}** was "
        f"imported from {code(origin.source)} at {code(origin.when)}.",
        "",
        *_items(trial.params),
        "",
        "The sampler learns from it. It is in no ranking, and so is shown as a trial without a value.",
    ]
    return "\n".join(lines)


def study_note(spec: Spec) -> str:
    """The note about a study of ours: what is searched, and how to go on."""
    name = spec.study.name
    commands = [
        f"mnist-tune worker {name}",
        f"mnist-tune status {name}",
        f"mnist-tune export {name} --output best.toml",
    ]
    return "\n".join(
        [
            f"A study of {counted(spec.n_cells, 'cell')}. With this storage as `--storage`, start another "
            "worker, see how far it is, or take the best configuration:",
            "",
            block("\n".join(commands)),
            "",
            f"The importances of its fields are those of its report: {EVALUATOR}.",
            "",
            "Its spec:",
            "",
            block(dump(spec.document(), "toml").strip(), "toml"),
        ]
    )


def code(text: object) -> str:
    """A stored value as inline code, whatever it holds."""
    safe = visible(text)
    fence = "`" * (_longest_run(safe) + 1)
    padding = " " if len(fence) > 1 or not safe.strip() else ""
    return f"{fence}{padding}{safe}{padding}{fence}"


def block(text: str, language: str = "text") -> str:
    """A stored text of several lines as a block of code, whatever it holds."""
    safe = "\n".join(visible_lines(text))
    fence = "`" * max(3, _longest_run(safe) + 1)
    return f"{fence}{language}\n{safe}\n{fence}"


def _headline(trial: FrozenTrial, job: JobDescription) -> str:
    line = f"Trial {trial.number} **{STATES[trial.state]}**"
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        line += f" with a {words(job.objective)} of **{job.text(trial.value)}**"
    if trial.state == TrialState.PRUNED and trial.value is not None:
        line += f" at a {words(job.objective)} of **{job.text(trial.value)}**"
    if trial.duration is not None:
        line += f", after {clock(trial.duration.total_seconds())}"
    return f"{line}."


def _last_epoch(trial: FrozenTrial, last: tuple[Any, Any] | None, job: JobDescription) -> EpochMetrics | None:
    if last is not None:
        return history_of([last], job)[0]
    of_0_5_0 = trial.user_attrs.get(HISTORY)
    return parse(HISTORY, json.dumps(of_0_5_0[-1:]))[0] if of_0_5_0 else None


def _origin(resumed: dict[str, Any]) -> str:
    if problem := resumed.get("problem"):
        return f"Began at the first epoch, since its checkpoint could not be used: {code(problem)}."
    return f"Went on after epoch {code(resumed.get('epoch'))} of an earlier attempt."


def _items(values: dict[str, Any]) -> list[str]:
    return [f"- {code(name)}: {code(value)}" for name, value in values.items()]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
