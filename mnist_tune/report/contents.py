"""The whole report, from a study's results and the winner's evaluations, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.confusion import confusion, per_class
from mnist_tune.report.curves import curves
from mnist_tune.report.failures import failures
from mnist_tune.report.headline import Headline, headline
from mnist_tune.report.heat_maps import heat_maps
from mnist_tune.report.image_gallery import Gallery, gallery
from mnist_tune.report.importances import important_fields
from mnist_tune.report.models import check
from mnist_tune.report.provenance import Provenance, provenance
from mnist_tune.report.race import race
from mnist_tune.report.searched import parallel_coordinates, slices
from mnist_tune.report.section import Picture
from mnist_tune.report.throughput import throughput
from mnist_tune.report.timeline import timeline
from mnist_tune.results.optuna_view import stand_in
from mnist_tune.results.study_results import Results


@dataclass(frozen=True)
class Report:
    """The contents of the page."""

    name: str
    headline: Headline
    pictures: Sequence[Picture]
    gallery: Gallery | None
    provenance: Provenance


def contents(results: Results, models: Sequence[Evaluated], storage: str, now: datetime) -> Report:
    """Everything that the page shows about a study.

    Raises:
        UserError: a model is not the winner's.
    """
    check(models, results)
    study = stand_in(results)
    found: list[Picture | None] = [
        race(results),
        curves(results),
        heat_maps(results),
        parallel_coordinates(results, study),
        slices(results),
        important_fields(results, study),
        timeline(results, now),
        failures(results),
        throughput(results),
    ]
    examples = None
    if models:
        first, whose = models[0].evaluation, _whose(models)
        if first.classes is not None:
            found += [picture(first, first.classes, whose) for picture in (confusion, per_class)]
            examples = gallery(first, first.classes, whose)
    for each in results.confirmations[:1] if not models else ():
        if each.evaluation is not None and each.evaluation.classes is not None:
            whose = f"'{each.study}', seed {each.evaluated_seed}, the first of {len(each.values)} models"
            found += [
                picture(each.evaluation, each.evaluation.classes, whose) for picture in (confusion, per_class)
            ]
    return Report(
        results.name,
        headline(results, models, storage),
        [picture for picture in found if picture is not None],
        examples,
        provenance(results, storage, now),
    )


def _whose(models: Sequence[Evaluated]) -> str:
    first = models[0]
    others = f", the first of {len(models)} models" if len(models) > 1 else ""
    return f"{first.folder.name}, seed {first.configuration.training.seed}{others}"
