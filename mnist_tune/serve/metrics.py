"""What a head tells Prometheus: how its studies stand, and how it answers requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from mnist_tune import __version__
from mnist_tune.serve.look import StudyNow
from mnist_tune.serve.request_counts import SECONDS, RequestCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "mnist_tune_"

Sample: TypeAlias = tuple[Mapping[str, object], float]


def metrics_text(studies: Sequence[StudyNow], counts: RequestCounts) -> str:
    """All metrics in Prometheus' text format."""
    return "".join(f"{line}\n" for line in _lines(studies, counts))


def _lines(studies: Sequence[StudyNow], counts: RequestCounts) -> Iterator[str]:
    readable = [study for study in studies if study.problem is None]
    yield from _metric("head_info", "gauge", "The head's version.", [({"version": __version__}, 1)])
    yield from _metric(
        "study_readable",
        "gauge",
        "Whether the study can be read: 1 or 0. What cannot be read is in no other metric.",
        [({"study": study.name}, int(study.problem is None)) for study in studies],
    )
    yield from _metric(
        "cells",
        "gauge",
        "Cells by state.",
        [
            ({"study": study.name, "state": state}, count)
            for study in readable
            for state, count in study.by_state.items()
        ],
    )
    yield from _metric("workers", "gauge", "Workers by state.", _workers(readable))
    # No counters: a cell that failed may be put back, and trials may be deleted.
    for name, told, which in (
        ("cells_finished", "Cells that have ended: complete, pruned, or failed for good.", "finished"),
        ("epochs_stored", "Epochs that the study's trials have stored.", "epochs"),
        ("attempts_stored", "Attempts at cells that were claimed, those that run among them.", "claims"),
    ):
        of_studies = [({"study": study.name}, getattr(study, which)) for study in readable]
        yield from _metric(name, "gauge", told, of_studies)
    yield from _metric(
        "leases_lost_total",
        "counter",
        "Answers that told a worker that its lease is lost.",
        [({}, counts.leases_lost)],
    )
    yield from _metric(
        "file_bytes_received_total", "counter", "Bytes of files taken in.", [({}, counts.file_bytes)]
    )
    yield from _metric(
        "requests_total",
        "counter",
        "Requests by call and status.",
        [(each._asdict(), count) for each, count in sorted(counts.answered.items())],
    )
    yield from _histogram("request_seconds", "How long requests took, with what they sent.", counts)


def _workers(studies: Iterable[StudyNow]) -> Iterator[Sample]:
    for study in studies:
        states = Counter(worker.state for worker in study.workers)
        yield from (({"study": study.name, "state": state}, count) for state, count in sorted(states.items()))


def _histogram(name: str, told: str, counts: RequestCounts) -> Iterator[str]:
    yield from _head(name, "histogram", told)
    for call, (at_most, seconds) in sorted(counts.times().items()):
        for bound, count in zip((*map(str, SECONDS), "+Inf"), at_most, strict=True):
            yield _sample(f"{name}_bucket", {"call": call, "le": bound}, count)
        yield _sample(f"{name}_sum", {"call": call}, seconds)
        yield _sample(f"{name}_count", {"call": call}, at_most[-1])


def _metric(name: str, kind: str, told: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield from _head(name, kind, told)
    yield from (_sample(name, labels, value) for labels, value in samples)


def _head(name: str, kind: str, told: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {told}"
    yield f"# TYPE {PREFIX}{name} {kind}"


def _sample(name: str, labels: Mapping[str, object], value: float) -> str:
    written = ",".join(f'{label}="{_quoted(of)}"' for label, of in labels.items())
    return f"{PREFIX}{name}{f'{{{written}}}' if written else ''} {value}"


def _quoted(value: object) -> str:
    """A label's value as the format wants it. No two names become one: Prometheus would take neither."""
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
