"""Why the cells of a study are less comparable than they look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import words
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.text.wording import counted, shortened

COMPARED = (
    *("device_name", "precision", "threads", "data_sha256"),
    *("job_sha256", "job_distribution", "mnist_tune", "torch"),
)
"""Parts of the environment that change the numbers, so that differing cells cannot be compared directly."""


def differing(attempts: Sequence[TrialResult], axes: Container[str]) -> Iterator[str]:
    """In which parts of the environment the attempts differ; those that are searched are to differ."""
    seen: dict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        if attempt.state in (State.COMPLETE, State.PRUNED, State.RUNNING):
            for key in COMPARED:
                if key in attempt.environment:
                    seen[key].add(shortened(str(attempt.environment[key]), 40))
    for key, values in seen.items():
        if len(values) > 1 and key not in axes:
            yield f"cells differ in {key} ({', '.join(sorted(values))}): not like for like"


def copied_in_part(attempts: Sequence[TrialResult], job: JobDescription) -> Iterator[str]:
    """How many attempts another program has copied without all that was known of their epochs."""
    in_part = sum(bool(one.history) and one.history[0].seconds is None for one in attempts)
    if in_part:
        known = f"of the epochs of {counted(in_part, 'trial')} only the {words(job.objective)} is known"
        yield f"{known}: another program has copied the study without their other metrics and times"
