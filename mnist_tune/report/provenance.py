"""Where the numbers come from: spec, versions, hardware, data, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mnist_tune import __version__
from mnist_tune.report.section import Table
from mnist_tune.report.taken_over import ran_here, taken_over
from mnist_tune.results.imported import told
from mnist_tune.results.study_results import Results
from mnist_tune.spec.documents import dump
from mnist_tune.text.times import local_time
from mnist_tune.text.wording import duration, first_line

TITLES = {
    "device_name": "hardware",
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "mnist_tune": "mnist-tune",
    "python": "Python",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "data_sha256": "SHA-256 of the data",
}


@dataclass(frozen=True)
class Provenance:
    """Facts as a table, the study's spec, and why its numbers are less comparable than they look."""

    facts: Table
    spec: str
    warnings: Sequence[str]


def provenance(results: Results, storage: str, now: datetime) -> Provenance:
    """The facts about how the study was run."""
    rows = [["study", results.name], ["storage", storage], *_times(results, now)]
    rows.append(["not run anew", taken_over(results)])
    rows.append(["imported", told(results.imported, results.job)])
    rows += [[title, _values(results, key)] for key, title in TITLES.items()]
    known = [key for attempt in results.attempts for key in attempt.environment if key not in TITLES]
    rows += [[first_line(key), _values(results, key)] for key in dict.fromkeys(known)]
    rows.append(["this report", f"mnist-tune {__version__}, {local_time(now)}"])
    facts = Table(["what", "value"], [row for row in rows if row[1]])
    return Provenance(facts, dump(results.spec.document(), "toml"), results.warnings)


def _times(results: Results, now: datetime) -> list[list[str]]:
    attempts = ran_here(results)
    starts = [attempt.started for attempt in attempts if attempt.started]
    if not starts:
        return []
    first = min(starts)
    ends = [attempt.ended for attempt in attempts if attempt.ended]
    last = max(ends, default=now) if results.is_finished else now
    workers = {attempt.worker for attempt in attempts if attempt.worker}
    return [
        ["first start", local_time(first)],
        ["last end" if results.is_finished else "still going at", local_time(last)],
        ["wall-clock", duration(max((last - first).total_seconds(), 0.0))],
        ["workers", f"{len(workers):,}"],
        ["attempts", f"{len(starts):,}"],
    ]


def _values(results: Results, key: str) -> str:
    """An attribute of the attempts' environments; with counts where they differ."""
    found = Counter(
        first_line(str(attempt.environment[key]))
        for attempt in results.attempts
        if key in attempt.environment
    )
    if len(found) < 2:
        return "".join(found)
    return "; ".join(f"{value} ({count:,} attempts)" for value, count in found.most_common())
