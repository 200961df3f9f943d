"""Small studies with a pruner."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import new_study

SEEDS = """
[study]
name = "tiny"

[search.grid]
seed = {seeds}

[training]
epochs = 9
"""
MEDIAN = '[pruner]\nname = "median"\nn_startup_trials = 1\n'
PERCENTILE = '[pruner]\nname = "percentile"\npercentile = 25.0\nn_startup_trials = 1\n'
THRESHOLD = '[pruner]\nname = "threshold"\n'
HALVING = '[pruner]\nname = "successive_halving"\nmin_resource = 1\nreduction_factor = 2\n'


def pruned_study(folder: Path, table: str, n_cells: int) -> OpenStudy:
    return new_study(folder, SEEDS.format(seeds=list(range(n_cells))) + table)
