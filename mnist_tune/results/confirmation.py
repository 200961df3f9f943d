"""What a confirmation has found: the mean of its seeds on test data, and how certain that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.metric import PERCENT, Metric, words
from mnist_tune.results.intervals import CONFIDENCE, Reading, read
from mnist_tune.results.significance import Measure
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.stored import SpecOfStudy
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.wording import configuration, counted


@dataclass(frozen=True)
class Confirmation:
    """A study that confirms the choice of another one: how far it is, and what its seeds have reached."""

    spec: SpecOfStudy
    values: Mapping[int, float]
    """The objective on test data, by seed, of the cells that are complete."""
    evaluation: Evaluation | None = None
    """All that is known of one of them."""
    evaluated_seed: int | None = None
    """The seed of that one: the smallest."""

    @property
    def study(self) -> str:
        """The confirmation's own name."""
        return self.spec.study.name

    @property
    def metric(self) -> Metric:
        """How the objective is read."""
        return self.spec.description.of_objective

    @cached_property
    def reading(self) -> Reading | None:
        """The mean with its interval; None before there is one."""
        if not self.values:
            return None
        measured = self.evaluation
        is_share = self.metric.unit == PERCENT and measured is not None
        measure = Measure(self.spec.description.sign, measured.n_cases if measured and is_share else None)
        cases = measured.cases if measured is not None and measured.n_cases else "test data"
        return read(list(self.values.values()), measure, cases)

    @property
    def told(self) -> str:
        """The mean, the deviation, the number of seeds and the interval, in words."""
        job, metric, reading = self.spec.description, self.metric, self.reading
        name, n_cells = words(job.objective), self.spec.n_cells
        if not self.values:
            return f"{name} is not known yet: none of {counted(n_cells, 'seed')} has ended"
        some = "" if len(self.values) == n_cells else f" of {n_cells}"
        if reading is None:
            return f"{name} {metric.text(*self.values.values())}, n = 1{some}"
        spread = ""
        if reading.deviation is not None:
            spread = f"standard deviation {metric.difference(metric.number(reading.deviation))}, "
        low, high = metric.number(reading.low), metric.text(reading.high)
        return (
            f"{name} {metric.text(reading.value)}, {spread}n = {reading.n_seeds}{some}, "
            f"{100 * CONFIDENCE:.0f} % interval {low} to {high}"
        )

    def as_json(self) -> dict[str, Any]:
        """The confirmation as plain data for JSON."""
        reading = self.reading
        numbers = {} if reading is None else asdict(reading)
        return {
            "study": self.study,
            "confirms": self.spec.confirm and self.spec.confirm.model_dump(exclude_none=True),
            "metric": self.spec.description.objective,
            "n": len(self.values),
            "n_wanted": self.spec.n_cells,
            "mean": numbers.get("value"),
            "deviation": numbers.get("deviation"),
            "interval": [numbers["low"], numbers["high"]] if numbers else None,
            "values": {str(seed): value for seed, value in self.values.items()},
        }


def confirmation_of(spec: Spec, complete: Sequence[TrialResult]) -> Confirmation:
    """What the complete trials of a confirmation tell."""
    by_seed = {trial.parameters[SEED]: trial for trial in complete}
    values = {seed: by_seed[seed].final_value for seed in sorted(by_seed)}
    for seed in values:
        if (found := by_seed[seed].evaluation) is not None:
            return Confirmation(spec, values, found, seed)
    return Confirmation(spec, values)


def told_on_test_data(confirmations: Sequence[Confirmation], spec: Spec) -> Iterator[str]:
    """What the confirmations of the study with this spec tell, a sentence each, or what it tells itself."""
    for each in confirmations:
        table = each.spec.confirm
        if spec.confirm is not None and table is not None:
            yield f"trial {table.trial} of '{table.study}' trained anew on all data: {each.told}"
            continue
        fields = each.spec.training.model_dump()
        which = {
            name: fields[name] for name in spec.search.axes if name != SEED and fields.get(name) is not None
        }
        whose = f" with {configuration(which)}" if which else ""
        yield f"confirmed by '{each.study}'{whose}: {each.told}"
