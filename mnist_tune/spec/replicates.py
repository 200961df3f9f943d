"""[replicates]: the seeds that it stands for, and what a study with it must have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnist_tune.jobs.fields import Fields
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.documents import KeyedError
from mnist_tune.spec.revisions import Point, is_in, key_of_point, without_seed
from mnist_tune.spec.search_space import MAX_CELLS, Search
from mnist_tune.spec.sections import MOST_SEEDS, Replicates
from mnist_tune.storage.keys import MOST_BYTES

BYTES_OF_A_COMPARISON = 110
"""How long a stored comparison of two configurations is, at most."""


def with_seeds(content: Any, fields: Fields) -> Any:
    """A spec's plain data with the axis of seeds that its table [replicates] stands for.

    What is wrong with the data is left for their own checks.

    Raises:
        KeyedError: the search names seeds itself.
    """
    found = content if isinstance(content, dict) else {}
    rules, search = found.get("replicates"), found.get("search")
    if not isinstance(rules, dict) or not isinstance(search, dict):
        return content
    table = "grid" if "grid" in search else "space"
    training = found.get("training", {})
    first = training.get(SEED, fields[SEED].default) if isinstance(training, dict) else None
    start = rules.get("start", Replicates.model_fields["start"].default)
    if not isinstance(search.get(table), dict) or not search[table]:
        return content
    if not (isinstance(first, int) and isinstance(start, int) and first >= 0 and start <= MOST_SEEDS):
        return content
    if SEED in search[table]:
        raise KeyedError(f"search.{table}.{SEED}", "[replicates] gives the seeds; remove this axis")
    seeds = list(range(first, first + start)) if table == "grid" else [first]
    filled = {**search}
    if isinstance(points := search.get("enqueue"), list):
        filled["enqueue"] = points = list(seeded(points, seeds))
        if table == "space":  # its tickets have one seed; the others come with the race
            named = [point.get(SEED) for point in points if isinstance(point, dict)]
            seeds = list(dict.fromkeys([*seeds, *(seed for seed in named if isinstance(seed, int))]))
    filled[table] = {**search[table], SEED: seeds}
    return {**found, "search": filled}


def seeded(points: Sequence[Any], seeds: Sequence[int]) -> Iterator[Any]:
    """The points, each without a seed once for each of the seeds that a configuration starts with."""
    for point in points:
        if isinstance(point, dict) and SEED not in point:
            yield from ({**point, SEED: seed} for seed in seeds)
        else:
            yield point


def check_race(rules: Replicates, search: Search, first_seed: int, bare: Mapping[str, Any]) -> None:
    """Check that a study can settle; `bare` is its stored spec as it was made.

    Raises:
        KeyedError: what is missing or too much.
    """
    if first_seed + rules.max + (search.grid is None) > 2**32:
        raise KeyedError(
            "replicates.max", f"the seeds after training.seed = {first_seed} are too few; make one smaller"
        )
    if search.grid is not None and rules.of_top is not None:
        raise KeyedError("replicates.of_top", "all configurations of a grid take part; remove this")
    if search.grid is None and rules.of_top is None:
        raise KeyedError(
            "replicates.of_top", "missing: a sampled search names how many of its best take part, e.g. 5"
        )
    n = n_configurations(search, rules)
    if search.grid is None and (search.n_trials or 0) - search.n_raced + n * rules.max > MAX_CELLS:
        raise KeyedError(
            "replicates.of_top", f"is {n}, which may take more than {MAX_CELLS:,} cells; name fewer"
        )
    if len(json.dumps(bare)) + bytes_of_race(rules, search) > MOST_BYTES:
        raise KeyedError(
            "replicates.max",
            f"{n:,} configurations with up to {rules.max} seeds are more than a study can keep; make max "
            'smaller, or sample the search with sampler = "random" and let its best take part with of_top',
        )


def n_configurations(search: Search, rules: Replicates) -> int:
    """How many configurations take part in a race."""
    if search.grid is None:
        return rules.of_top or 1
    of_grid = {name: values for name, values in search.grid.items() if name != SEED}
    beside = {
        key_of_point(each) for each in map(without_seed, search.enqueue or ()) if not is_in(of_grid, each)
    }
    return math.prod(map(len, of_grid.values())) + len(beside)


def bytes_of_race(rules: Replicates, search: Search) -> int:
    """How long the record of a race and its points gets at most, if it begins now."""
    rounds = rules.max - rules.start + 1
    return n_configurations(search, rules) * rounds * (_bytes_of_a_point(search) + BYTES_OF_A_COMPARISON)


def _bytes_of_a_point(search: Search) -> int:
    return sum(
        len(json.dumps(name))
        + 4
        + (max(len(json.dumps(value)) for value in axis) if isinstance(axis, list) else 25)
        for name, axis in search.axes.items()
    )


def written_points(search: Search) -> list[Point]:
    """The points that people have written: those without what a race has added."""
    points, place = search.enqueue or [], len(search.first_points)
    written = list(search.first_points)
    for revision in search.revisions or ():
        if revision.race is None:
            written += points[place : place + revision.points]
        place += revision.points
    return written
