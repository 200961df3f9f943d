"""More seeds for the best configurations of a grid."""

from __future__ import annotations

from mnist_tune.errors import UserError
from mnist_tune.results.candidates import SEED, key_of, without_seed
from mnist_tune.results.study_results import Results
from mnist_tune.spec.growth import GIVEN_BY_RACE, Amount, next_seeds
from mnist_tune.spec.revisions import Point, points_of


def more_seeds(results: Results, amount: Amount, top: int) -> list[Point]:
    """The points that give the first `top` configurations of the ranking more seeds.

    Seeds whose cells wait or have failed count as there.

    Raises:
        UserError: the study is no grid, or nothing is ranked yet.
    """
    spec = results.spec
    if spec.replicates is not None:
        raise UserError(f"extend: --seeds: {GIVEN_BY_RACE}")
    if spec.search.grid is None:
        raise UserError("extend: --top: only the configurations of a grid are given more seeds")
    if not results.ranking:
        raise UserError("extend: --top: no configuration is ranked yet; wait for complete trials")
    best = {key_of(place.candidate.parameters): place.candidate.parameters for place in results.ranking[:top]}
    seeds: dict[object, list[int]] = {key: [] for key in best}
    for point in points_of(spec.search.grid, spec.search.enqueue or ()):
        if (key := key_of(without_seed(point))) in seeds:
            seeds[key].append(int(point.get(SEED, spec.training.seed)))
    return [
        {**parameters, SEED: seed}
        for key, parameters in best.items()
        for seed in next_seeds(seeds[key], amount)
    ]
