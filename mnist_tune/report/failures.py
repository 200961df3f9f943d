"""The failed attempts, with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mnist_tune.report.section import Picture, table, worded
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.text.wording import counted, first_line


def failures(results: Results) -> Picture | None:
    """The table of all failed attempts; None if none has failed."""
    failed = [attempt for attempt in results.attempts if attempt.has_failed]
    if not failed:
        return None
    holes = {attempt.number for attempt in results.holes}
    rows = [
        [
            str(attempt.number),
            worded(results, attempt.parameters),
            attempt.worker or "unknown",
            first_line(attempt.failure["class"]),
            first_line(attempt.failure["reason"]),
            "given up" if attempt.number in holes else "tried again",
        ]
        for attempt in sorted(failed, key=lambda attempt: (attempt.number not in holes, attempt.number))
        if attempt.failure is not None
    ]
    answer = f"{counted(len(failed), 'attempt')} failed: {by_class(failed)}. "
    answer += (
        f"{counted(len(holes), 'cell')} {'is' if len(holes) == 1 else 'are'} missing: no retry is left."
        if holes
        else "What they were for was or will be tried again; no cell is missing."
    )
    columns = ["trial", "configuration", "worker", "class", "reason", "the cell was"]
    return Picture("failures", "What went wrong?", answer, None, [table(columns, rows, "first")])


def by_class(failed: Sequence[TrialResult]) -> str:
    """How many attempts failed in each class, in words."""
    counts = Counter(first_line((attempt.failure or {})["class"]) for attempt in failed)
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
