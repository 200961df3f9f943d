"""The figures of a benchmark of the queue, from the workers' logs and the database that they leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import select
from sqlalchemy.engine import URL

from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import parameters, trials
from tests.benchmarks.queue_sides import close
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.worker_pool import Call, Log

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Outcome:
    """One run. Rates count from the common start to the last answer; latencies are in milliseconds."""

    trials_per_second: float
    claims_per_second: float
    claim_p50: float
    claim_p99: float
    tell_p50: float
    tell_p99: float
    double_claims: float
    """Claims of cells that another worker had claimed too."""
    surplus_trials: float
    """Trials beyond one for each cell."""
    lost_cells: float
    """Cells without a complete trial."""
    lock_errors: float
    """Errors of the driver about a locked database, including those that were caught."""
    dead_workers: float
    """Workers that an exception ended."""
    worker_cpu: float
    """The CPU time of the workers for each trial, in milliseconds."""
    server_cpu: float
    """The same of the server through which they reach the database; nan if there is none."""


FIGURES = tuple(field.name for field in fields(Outcome))
EXACTNESS = ("double_claims", "surplus_trials", "lost_cells", "lock_errors", "dead_workers")
"""The figures that are 0 for a queue that keeps its promises."""


def outcome(logs: Sequence[Log], url: URL, spec: Spec, server_seconds: float = math.nan) -> Outcome:
    """The figures of one run of a study, in which a server has used so much CPU time."""
    claims = [call for log in logs for call in log.claims]
    tells = [call for log in logs for call in log.tells]
    start = min(log.started for log in logs)
    stored, complete = _stored(url)
    return Outcome(
        trials_per_second=_rate(tells, start),
        claims_per_second=_rate(claims, start),
        claim_p50=_percentile(claims, 0.50),
        claim_p99=_percentile(claims, 0.99),
        tell_p50=_percentile(tells, 0.50),
        tell_p99=_percentile(tells, 0.99),
        double_claims=len(claims) - len({tuple(sorted(call.parameters.items())) for call in claims}),
        surplus_trials=max(stored - spec.n_cells, 0),
        lost_cells=spec.n_cells - complete,
        lock_errors=sum(log.lock_errors for log in logs),
        dead_workers=sum(log.death is not None for log in logs),
        worker_cpu=1000 * sum(log.cpu_seconds for log in logs) / max(len(tells), 1),
        server_cpu=1000 * server_seconds / max(len(tells), 1),
    )


def spreads(outcomes: Sequence[DataclassInstance]) -> dict[str, Spread]:
    """Each figure over the repeats."""
    rows = [asdict(one) for one in outcomes]
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def _rate(calls: Sequence[Call], start: float) -> float:
    return len(calls) / (max(call.ended for call in calls) - start) if calls else 0.0


def _percentile(calls: Sequence[Call], fraction: float) -> float:
    milliseconds = sorted(1000 * (call.ended - call.begun) for call in calls)
    return milliseconds[math.ceil(fraction * len(milliseconds)) - 1] if milliseconds else math.nan


def _stored(url: URL) -> tuple[int, int]:
    """The number of trials, and the number of complete cells."""
    storage = GuardedStorage(url)
    complete = trials.c.state == TrialState.COMPLETE
    columns = (parameters.c.trial_id, parameters.c.param_name, parameters.c.param_value)
    with storage.transaction() as session:
        stored = session.execute(select(sqlalchemy.func.count()).select_from(trials)).scalar_one()
        values: dict[int, set[tuple[str, float]]] = {}
        for row in session.execute(select(*columns).join(trials).where(complete)):
            values.setdefault(row.trial_id, set()).add((row.param_name, row.param_value))
    close(storage)
    return stored, len({frozenset(cell) for cell in values.values()})
