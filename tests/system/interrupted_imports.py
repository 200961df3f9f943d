"""A process that imports results, and what must be true after it was killed."""

from __future__ import annotations

from mnist_tune.results.reading import read_results
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.imports import import_results
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from tests.system.interrupted_processes import StudyPlace, finished_by_another

VALUES = (97.0, 98.0, 99.0)


def import_three(place: StudyPlace) -> None:
    """Give the study three results that were obtained elsewhere."""
    results = [ResultElsewhere(parameters={"seed": 0}, value=value) for value in VALUES]
    study = open_study(open_storage(storage_url(place.url)), "tiny")
    import_results(study, Import(source="known.csv", results=results), "0" * 32)


def imported_or_as_before(place: StudyPlace) -> list[str]:
    """Check after `import_three`: all of it or nothing, and the study after it was imported again."""
    storage = open_storage(storage_url(place.url))
    problems, counts = [], []
    for _ in range(2):
        verification = verify(storage, "tiny", place.folder / "artifacts", place.folder / "checkpoints")
        problems += [str(outcome) for outcome in verification.broken]
        counts.append(len(read_results(open_study(storage, "tiny")).imported))
        import_three(place)
    after = [one.value for one in read_results(open_study(storage, "tiny")).imported]
    if counts[0] not in (0, len(VALUES)) or after != list(VALUES):
        problems.append(f"{counts[0]} results were there after the first try, and {after} after the others")
    return problems + finished_by_another(place)
