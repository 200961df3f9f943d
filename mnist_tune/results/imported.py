"""Says which results were obtained elsewhere, and whether one is better than all that ran here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mnist_tune.jobs.description import JobDescription
from mnist_tune.records.imported import ImportedTrial
from mnist_tune.results.candidates import Candidate
from mnist_tune.text.wording import configuration, counted, first_line

MOST_SOURCES = 5
"""How many sources are named one by one."""


def told(imported: Sequence[ImportedTrial], job: JobDescription) -> str:
    """How many results were imported from where, and the best of them; empty if there are none."""
    if not imported:
        return ""
    of_sources = Counter(first_line(one.origin.source) for one in imported)
    parts = [f"{count:,} of {source}" for source, count in of_sources.most_common(MOST_SOURCES)]
    parts += ["..."] if len(of_sources) > MOST_SOURCES else []
    best = _best(imported, job)
    known = f"the best has {job.text(best.value)} (trial {best.number})"
    return f"{counted(len(imported), 'result')} from elsewhere, in no ranking: {', '.join(parts)}; {known}"


def better_than(
    best: Candidate | None, imported: Sequence[ImportedTrial], job: JobDescription
) -> Iterator[str]:
    """That an imported result is better than the best that ran here, in one line; nothing if none is."""
    if best is None or not imported:
        return
    other = _best(imported, job)
    if job.sign * other.value > job.sign * best.mean:
        yield (
            f"an imported trial has {job.text(other.value)}, better than the best that ran here: "
            f"trial {other.number}, of {first_line(other.origin.source)}, {configuration(other.parameters)}"
        )


def _best(imported: Sequence[ImportedTrial], job: JobDescription) -> ImportedTrial:
    return max(imported, key=lambda one: (job.sign * one.value, -one.number))
