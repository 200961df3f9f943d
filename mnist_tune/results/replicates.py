"""More seeds for the best configurations of a study."""

from __future__ import annotations

from mnist_tune.errors import UserError
from mnist_tune.results.candidates import searched_fields
from mnist_tune.results.study_results import Results
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.documents import KeyedError
from mnist_tune.spec.growth import GIVEN_BY_RACE, Amount, next_seeds
from mnist_tune.spec.revisions import Point, key_of_point


def more_seeds(results: Results, amount: Amount, top: int) -> list[Point]:
    """The points that give the first `top` configurations of the ranking more seeds.

    Seeds whose cells wait or have failed count as there.

    Raises:
        UserError: nothing is ranked yet, or the seeds are too many.
    """
    if results.spec.replicates is not None:
        raise UserError(f"extend: --seeds: {GIVEN_BY_RACE}")
    if not results.ranking:
        raise UserError("extend: --top: no configuration is ranked yet; wait for complete trials")
    best = {
        key_of_point(place.candidate.parameters): place.candidate.parameters
        for place in results.ranking[:top]
    }
    seeds: dict[object, list[int]] = {key: [] for key in best}
    for attempt in results.latest:
        if (key := key_of_point(searched_fields(attempt))) in seeds:
            seeds[key].append(int(attempt.parameters.get(SEED, results.spec.training.seed)))
    try:
        return [
            {**parameters, SEED: seed}
            for key, parameters in best.items()
            for seed in next_seeds(seeds[key], amount)
        ]
    except KeyedError as error:
        raise UserError(f"extend: {error.key}: {error}") from None
