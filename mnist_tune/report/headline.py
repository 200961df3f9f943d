"""The winner in words: its configuration, its values, and how certain they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.jobs.description import Binomial
from mnist_tune.jobs.metric import words
from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.section import Table, of_field, table, worded
from mnist_tune.report.test_data import (
    Figure,
    confirmed_figure,
    reference_figure,
    reference_of,
    seeds_in_words,
    test_figure,
)
from mnist_tune.results.candidates import Candidate
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.exports import best_configuration, vouching
from mnist_tune.results.intervals import read
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.documents import dump
from mnist_tune.text.wording import counted


@dataclass(frozen=True)
class Headline:
    """The top of the page. Without a winner, `configuration` is empty and `next_step` says what to do."""

    standing: str
    winner: str
    configuration: str
    vouching: str
    """What `mnist-tune train` must be given besides the configuration, with a space before it; or nothing."""
    numbers: Sequence[Figure]
    evidence: Sequence[str]
    next_step: str
    ranking: Table | None


def headline(results: Results, models: Sequence[Evaluated], storage: str) -> Headline:
    """The winner, or why there is none yet. `storage` is shown as it is given."""
    best = results.best
    if best is None:
        why = (
            "The pruner has ended at least one trial of each configuration"
            if results.ended_early
            else "No cell is complete yet"
        )
        return Headline(
            _standing(results), f"{why}: there is no winner.", "", "", [], results.evidence,
            f"mnist-tune worker {results.name}", None,
        )  # fmt: skip
    configuration = best_configuration(results, storage)
    confirmed = [confirmed_figure(each) for each in results.confirmations if each.values]
    is_confirmation = results.spec.confirm is not None
    numbers = confirmed if is_confirmation else [_validation(results, best), *confirmed]
    if models:
        numbers.append(test_figure(models, results))
    if (reference := reference_of(results)) is not None:
        numbers.append(reference_figure(reference, results.job))
    return Headline(
        _standing(results),
        worded(results, best.parameters),
        dump(configuration.document(), "toml"),
        vouching(configuration.job),
        numbers,
        results.evidence,
        "" if models or confirmed or not results.job.evaluates else _to_the_test_data(results),
        _ranking(results),
    )


def _standing(results: Results) -> str:
    cells = results.cells
    if results.is_finished:
        done = f"Finished: {cells.complete:,} of {counted(cells.total, 'cell')} complete"
        done += f", {cells.pruned:,} pruned" if cells.pruned else ""
        done += f", {cells.failed:,} missing for good" if cells.failed else ""
        return "; ".join([done, *results.left_out]) + "."
    parts = [f"{cells.complete:,} of {counted(cells.total, 'cell')} complete"]
    parts += [
        f"{count:,} {state}"
        for state, count in cells.in_states(State.PRUNED, State.RUNNING, State.WAITING, State.FAILED)
    ]
    if results.why_stopped:
        return f"Stopped, since {results.why_stopped}: {', '.join(parts)}."
    return f"Not finished: {', '.join(parts)}."


def _validation(results: Results, best: Candidate) -> Figure:
    job = results.job
    cases = job.noise.cases if isinstance(job.noise, Binomial) else "validation data"
    values = list(best.values.values())
    reading = read(values, results.measure, cases)
    name = f"{words(job.objective)}, {seeds_in_words(len(values))}"
    if reading is None:
        why = "How much another seed would change is not known: run more seeds."
        return Figure(name, job.text(best.mean), "one run", why)
    chosen = f"these very {cases}" if isinstance(job.noise, Binomial) else "this very data"
    on_test_data = f"the test {title}" if (title := job.of_objective.title) else "its value on test data"
    fair = f"; {on_test_data} is the fair figure." if job.evaluates else "."
    said = f"The interval covers {reading.covers}. The winner was chosen on {chosen}, so this is a "
    of_epochs = " It is the best of its epochs, and so too good by chance." * (job.objective_epoch == "best")
    interval = f"95 % interval {job.of_objective.number(reading.low)} to {job.text(reading.high)}"
    return Figure(name, job.text(reading.value), interval, f"{said}little optimistic{fair}{of_epochs}")


def _to_the_test_data(results: Results) -> str:
    whose = vouching(results.spec.job)
    if results.job.holds_back:
        return (
            f"mnist-tune confirm {results.name}\n"
            f"mnist-tune worker {results.name}-confirm{whose}\n"
            f"mnist-tune report {results.name}"
        )
    return (
        f"mnist-tune export {results.name} --output best.toml\n"
        f"mnist-tune train best.toml --output models/best{whose}\n"
        f"mnist-tune evaluate models/best{whose}\n"
        f"mnist-tune report {results.name} --model models/best"
    )


def _ranking(results: Results) -> Table:
    names = [name for name in results.spec.search.axes if name != SEED]
    rows = [
        [
            str(place.rank),
            *(of_field(results, place.candidate.parameters, name) for name in names),
            results.job.text(place.candidate.mean),
            _with_sign(results.job.of_objective.number(place.candidate.standard_error)),
            seeds_of(place.candidate),
            results.verdict(place),
        ]
        for place in results.ranking
    ]
    columns = ["rank", *names, words(results.job.objective), "standard error", "seeds", "verdict"]
    return table(columns, rows, "best")


def _with_sign(error: str) -> str:
    return f"± {error}" if error else ""
