"""A study from Python: look at it, let it grow, take what it has found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_tune.api.arguments import check_count, path_of
from mnist_tune.api.error_lines import told_in_python
from mnist_tune.api.growing import Growing
from mnist_tune.api.values import RankedConfiguration, StudyStatus, ranking_of, status_of
from mnist_tune.errors import MnistTuneError
from mnist_tune.models import SEEDS
from mnist_tune.models.confirm import confirm
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.study_results import Results
from mnist_tune.service.calls import results_again
from mnist_tune.spec.documents import dump, format_of, write
from mnist_tune.spec.study_spec import Spec
from mnist_tune.text.visible import visible

if TYPE_CHECKING:
    import pandas as pd


class Study(Growing):
    """A study in its storage, as `create_study`, `open_study` and `run` return it.

    Each property reads the storage anew, so that it shows the present state, wherever the workers are. In a
    notebook a study shows itself: progress, ranking, verdicts.
    """

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
