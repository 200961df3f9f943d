"""A study from Python: look at it, let it grow, take what it has found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_tune.api.arguments import check_count, growth, path_of, results_elsewhere
from mnist_tune.api.error_lines import told_in_python
from mnist_tune.api.values import RankedConfiguration, StudyStatus, ranking_of, status_of
from mnist_tune.contract.study import new_token
from mnist_tune.errors import MnistTuneError
from mnist_tune.models import SEEDS
from mnist_tune.models.confirm import confirm
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.study_results import Results
from mnist_tune.service.calls import StudiesForPeople, results_again
from mnist_tune.spec.documents import dump, format_of, write
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.known_points import as_points
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.visible import visible

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """A study in its storage, as `create_study`, `open_study` and `run` return it.

    Each property reads the storage anew, so that it shows the present state, wherever the workers are. In a
    notebook a study shows itself: progress, ranking, verdicts.
    """

    def __init__(self, service: StudiesForPeople, spec: Spec) -> None:
        """Not for direct use; call `open_study`."""
        self._service = service
        self._spec = spec

    @property
    def name(self) -> str:
        """The study's name."""
        return self._spec.study.name

    @property
    def storage(self) -> str:
        """The URL of the study's storage, without the password."""
        return self._service.where

    @property
    def spec(self) -> dict[str, Any]:
        """The tables of the study's spec with all defaults written out, as plain data."""
        return self._spec_now().document()

    @property
    def revisions(self) -> list[dict[str, Any]]:
        """How the study has grown since it was made, oldest first: when, by which version, and by what."""
        return self._spec_now().revisions

    @property
    def status(self) -> StudyStatus:
        """The study's present state: its cells by state, whether it is finished, what to be careful about."""
        return status_of(self._read())

    @property
    def ranking(self) -> tuple[RankedConfiguration, ...]:
        """The configurations, best first, each with its mean over seeds and a verdict.

        A configuration with a pruned seed is left out: only its lucky seeds would count.
        """
        return ranking_of(self._read())

    @property
    def best(self) -> RankedConfiguration | None:
        """The first configuration of the ranking; None while no trial is complete. See its `verdict`."""
        return next(iter(self.ranking), None)

    def trials_dataframe(self) -> pd.DataFrame:
        """One row for each attempt, like `optuna.Study.trials_dataframe`. Needs pandas.

        The columns number, value (the objective), datetime_start, datetime_complete,
        duration, params_... and state have Optuna's names and meanings, with times in UTC. Further columns
        are cell, attempt (1 is the first at its cell), epochs, worker, device_name, failure and
        failure_reason.

        Raises:
            UserError: pandas is not installed.
        """
        from mnist_tune.api.dataframes import trials_dataframe

        with told_in_python():
            return trials_dataframe(self._read())

    def history_dataframe(self) -> pd.DataFrame:
        """One row for each epoch of an attempt, with its metrics and speed. Needs pandas.

        The columns are number (of the trial), cell, params_..., epoch, the job's metrics
        (training_loss, ...), its speed (images_per_second), seconds, and inherited. An attempt that went on
        from another one's state also has that one's epochs, so that its curve is whole; for these, inherited
        is True.

        Raises:
            UserError: pandas is not installed.
        """
        from mnist_tune.api.dataframes import history_dataframe

        with told_in_python():
            return history_dataframe(self._read())

    @told_in_python()
    def extend(
        self,
        *,
        n_trials: int | str | None = None,
        add: Mapping[str, Any] | None = None,
        seeds: int | str | None = None,
        top: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Give the study more cells, also while workers are on it; returns what was added, as plain data.

        n_trials: of a sampled search, how many trials in all, or "+50" for so many more.
        add: of a grid, a value or a list of values by field. A field that is no axis yet becomes one; the
            cells that are there count as having the value that they have had.
        seeds: how many seeds each configuration is to have, or "+2" for so many more; in a sampled search
            with `top` only.
        top: only of so many configurations, the first of the ranking.
        dry_run: change nothing, and only say what would be added.

        Raises:
            UserError: the search cannot grow in this way.
        """
        wanted = growth(self._service.spec(self.name), n_trials, add, seeds, top)
        return self._service.extend(self.name, wanted, new_token(), top, dry_run).as_json(self.name)

    @told_in_python()
    def enqueue(
        self, points: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Give the study points that you know; returns what was added, as plain data.

        points: one dict of values by field, or several. A point that is a cell already is not added again,
            and is listed as known. In a sampled search a point is claimed first, and the sampler draws what
            it leaves out.
        dry_run: change nothing, and only say what would be added.

        Raises:
            UserError: the search cannot use a point.
        """
        wanted = Growth(points=as_points(self._service.spec(self.name), points))
        return self._service.extend(self.name, wanted, new_token(), None, dry_run).as_json(self.name)

    @told_in_python()
    def import_trials(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        from_optuna: str | None = None,
        study: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Give the study results that were obtained elsewhere; returns how many, as plain data.

        Its sampler learns from them. They count as no trial of it, and are never ranked.

        file: a table in CSV with a column for each searched field and one for the objective, as
            `trials_dataframe().to_csv()` writes it.
        from_optuna: instead of a file, the URL of another storage of Optuna's, which is only read.
        study: the study there; may be left out if there is only one.
        dry_run: change nothing, and only say how many would be imported.

        Raises:
            UserError: no trial of the study could have had one of the results.
        """
        wanted, left_out = results_elsewhere(self._service, self.name, file, from_optuna, study)
        done = self._service.import_trials(self.name, wanted, new_token(), dry_run)
        return {"study": self.name, "source": wanted.source} | done.as_json(left_out)

    @told_in_python()
    def export(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """The best configuration as plain data, with its origin and how certain it is.

        path: a file to write it to as well, as TOML, JSON or YAML by its suffix. `mnist-tune train`
            runs it if the job is the built-in one.

        Raises:
            UserError: no trial is complete yet, or the file cannot be written.
        """
        configuration = best_configuration(self._read(), self.storage)
        content = configuration.document()
        if path is not None:
            file = path_of("path", path)
            write(file, dump(content, format_of(file)))
        return content

    @told_in_python()
    def confirm(
        self,
        seeds: int = SEEDS,
        *,
        name: str | None = None,
        trial: int | None = None,
        metric: str | None = None,
    ) -> Study:
        """Make the study that trains the best configuration on all data and measures it on test data.

        Workers run it as any study; its `status.evidence` then tells the mean, the deviation and the
        interval. The same again changes nothing.

        seeds: with how many seeds that the search has not used.
        name: of the new study, by default this one's with "-confirm".
        trial: the number of a trial, if its configuration is to be confirmed instead of the best.
        metric: the metric of the job's `evaluate` that counts, if it is not called as the objective is.

        Raises:
            UserError: there is nothing to choose, the job cannot train on all data or measure a model, or
                another study has the name.
        """
        check_count("seeds", seeds)
        made = confirm(self._service, self.name, seeds=seeds, name=name, trial=trial, metric=metric)
        return Study(self._service, made.spec)

    @told_in_python()
    def report(
        self, path: str | os.PathLike[str] = "report.html", models: Iterable[str | os.PathLike[str]] = ()
    ) -> Path:
        """Write a report for people, one HTML file that needs no network; returns the file's path.

        models: folders of `mnist-tune train` or `export --files` that `mnist-tune evaluate` has measured.

        Raises:
            UserError: the file cannot be written, or a model is not the winner's.
        """
        from mnist_tune.models.evaluation_file import read_evaluated
        from mnist_tune.report.contents import contents
        from mnist_tune.report.files import write_page

        file = path_of("path", path)
        results = self._read()
        evaluated = [read_evaluated(path_of("models", folder), results.job) for folder in models]
        write_page(contents(results, evaluated, self.storage, datetime.now(UTC)), file)
        return file

    @told_in_python()
    def _spec_now(self) -> Spec:
        return self._service.spec(self.name)

    @told_in_python()
    def _read(self) -> Results:
        return results_again(self._service, self.name)

    def __repr__(self) -> str:
        from mnist_tune.results.standing import totals

        try:
            standing = totals(self._read())
        except MnistTuneError as error:
            standing = f"cannot be read: {error}"
        return f"<Study '{visible(self.name)}' in {visible(self.storage)}: {visible(standing)}>"

    def _repr_html_(self) -> str:
        from mnist_tune.api.notebook import notebook_html, problem_html

        try:
            return notebook_html(self._read())
        except MnistTuneError as error:
            return problem_html(self.name, str(error))
