"""The part of a study in Python by which it is given more: cells, points, results from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mnist_tune.api.arguments import growth, results_elsewhere
from mnist_tune.api.error_lines import told_in_python
from mnist_tune.contract.study import new_token
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.known_points import as_points
from mnist_tune.spec.study_spec import Spec


class Growing:
    """A study that can be given more."""

    def __init__(self, service: StudiesForPeople, spec: Spec) -> None:
        """Not for direct use; call `open_study`."""
        self._service = service
        self._spec = spec

    @property
    def name(self) -> str:
        """The study's name."""
        return self._spec.study.name

    @told_in_python()
    def extend(
        self,
        *,
        n_trials: int | str | None = None,
        add: Mapping[str, Any] | None = None,
        seeds: int | str | None = None,
        top: int | None = None,
        epochs: int | str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Give the study more cells, also while workers are on it; returns what was added, as plain data.

        n_trials: of a sampled search, how many trials in all, or "+50" for so many more.
        add: of a grid, a value or a list of values by field. A field that is no axis yet becomes one; the
            cells that are there count as having the value that they have had.
        seeds: how many seeds each configuration is to have, or "+2" for so many more; in a sampled search
            with `top` only.
        top: only of so many configurations, the first of the ranking.
        epochs: how many each trial is to have, or "+10" for so many more. Trials that are complete go on
            where they have ended, from the checkpoint that `[limits] keep_last` has kept.
        dry_run: change nothing, and only say what would be added.

        Raises:
            UserError: the search cannot grow in this way.
        """
        wanted = growth(self._service.spec(self.name), n_trials, add, seeds, top, epochs)
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
