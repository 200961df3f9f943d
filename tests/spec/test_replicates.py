"""[replicates] in a spec: which seeds it stands for, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.spec.stored import as_stored_spec
from tests.support.settling_studies import CLEAR
from tests.support.specs import SAMPLED_SPEC, tiny_spec

SAMPLED = SAMPLED_SPEC.format(n_trials=8)


def test_each_configuration_starts_with_the_first_seeds(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path, CLEAR + "\n[training]\nseed = 7\n")
    assert spec.search.axes["seed"] == [7, 8]
    assert spec.n_cells == 6
    assert spec.document()["search"]["grid"] == {"learning_rate": [0.1, 0.01, 0.001]}
    assert spec.document()["training"]["seed"] == 7


def test_a_spec_with_a_race_reads_back_as_it_was(tmp_path: Path) -> None:
    points = "\n[[search.enqueue]]\nlearning_rate = 0.5\n"
    spec = tiny_spec(tmp_path, CLEAR + points)
    assert spec.search.enqueue == [{"learning_rate": 0.5, "seed": 0}, {"learning_rate": 0.5, "seed": 1}]
    again = as_stored_spec(spec.stored())
    assert again.stored() == spec.stored()
    assert again.search.stages == spec.search.stages


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            CLEAR.replace("[replicates]", "seed = [0, 1]\n\n[replicates]"),
            "search.grid.seed: [replicates] gives the seeds; remove this axis",
        ),
        (CLEAR.replace("start = 2", "start = 7"), "replicates.max: must be at least start (7)"),
        (CLEAR.replace("start = 2", "start = 1"), "replicates.start: should be greater than or equal to 2"),
        (
            CLEAR.replace("max = 6", "max = 6\nlevel = 1e-12"),
            "replicates.level: should be greater than or equal to 0.000001, not 1e-12",
        ),
        (CLEAR.replace("start = 2", "begin = 2"), "replicates.begin: unknown key; write one of start, max"),
        (CLEAR.replace("max = 6", "of_top = 2"), "replicates.of_top: all configurations of a grid take part"),
        (
            CLEAR + "\n[training]\nseed = 4294967291\n",
            "replicates.max: the seeds after training.seed = 4294967291 are too few; make one smaller",
        ),
        (
            CLEAR.replace("max = 6", "max = 900"),
            "replicates.max: 3 configurations with up to 900 seeds are more than a study can keep",
        ),
        (SAMPLED + "\n[replicates]\n", "replicates.of_top: missing: a sampled search names how many"),
        (
            SAMPLED + "seed = [0, 1]\n\n[replicates]\nof_top = 2\n",
            "search.space.seed: [replicates] gives the seeds; remove this axis",
        ),
        (CLEAR + "\n[training]\nseed = 'one'\n", "training.seed: should be a valid integer, not 'one'"),
        (CLEAR.replace("learning_rate = [0.1, 0.01, 0.001]", ""), "search.grid: has no axis; write e.g."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        tiny_spec(tmp_path, text)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
