"""Results that were obtained elsewhere, and a worker that draws beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.revisions import Point
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import folders, opened_again

ONE, OTHER = "1" * 32, "2" * 32
POINT: Point = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam"}


def results(*values: float, source: str = "known.csv", **changes: Any) -> Import:
    """Results of one point, which may differ from the usual one."""
    found = [ResultElsewhere(parameters={**POINT, **changes}, value=value) for value in values]
    return Import(source=source, results=found)


def work_off(study: OpenStudy, most: int = 1000) -> list[dict[str, Any]]:
    """Have a worker draw and complete tickets; returns what was drawn."""
    direct, seen = DirectStudy(opened_again(study), folders(Path("/nowhere"))), list[dict[str, Any]]()
    worker = WorkerFacts.of_this_process("cpu")
    while len(seen) < most and not isinstance(claim := direct.claim(worker, new_token()), Standing):
        seen.append(direct.parameters(claim))
        direct.complete(claim, 90.0 + claim.number / 100, {})
    return seen
