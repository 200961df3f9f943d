"""The commands create-study, studies, copy-study and delete-study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import (
    ArtifactsOption,
    CheckpointsOption,
    FromOption,
    JsonOption,
    NameOption,
    SpecArgument,
    StorageOption,
    StudyArgument,
)
from mnist_tune.errors import FAILED
from mnist_tune.text.visible import visible


def create_study(
    spec: SpecArgument,
    storage: StorageOption = None,
    name: NameOption = None,
    reuse: Annotated[
        str | None,
        typer.Option(
            "--reuse",
            metavar="STUDY",
            help="Take over the finished cells of this study that the new one has too. A sampled search "
            "takes its complete trials that it could have drawn: they count in n_trials.",
            show_default=False,
        ),
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Give a study that is there what it lacks of the spec.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Store a study with all its cells, ready for workers.

    The same spec again changes nothing. A spec with more values, trials or points is refused with what it
    would add, and --extend adds it. Another spec under the same name is refused. With --reuse a study of
    another name costs only what is new.

    Example: mnist-tune create-study studies/seed-grid.toml
    """
    from mnist_tune.text.wording import counted

    loaded = options.spec(spec, name)
    service = storages.service(storage, create=reuse is None)
    created = service.create(loaded.spec, loaded.remarks, reuse, extend)
    study, n_cells = created.spec.study.name, created.spec.n_cells
    options.say_notes(created.notes)
    if as_json:
        told = {
            "study": study,
            "cells": n_cells,
            "reused": created.n_reused,
            "created": created.is_new,
            "added": None if created.added is None else created.added.model_dump(mode="json"),
            "storage": service.where,
            "notes": created.notes,
        }
        options.print_json(told)
    elif created.is_new:
        done = f", {created.n_reused} of them taken over from '{reuse}'," if created.n_reused else ""
        options.say(f"created study '{study}' with {counted(n_cells, 'cell')}{done} in {service.where}")
        same = " and the same --storage" if storage else ""
        options.say(f"start workers with: mnist-tune worker {study}{loaded.worker_options}{same}")
    elif created.added is not None:
        what = f"{created.added.told}: it has {counted(n_cells, 'cell')} now"
        options.say(f"gave study '{study}' in {service.where} {what}")
    else:
        more = "; nothing was taken over" if reuse else ""
        options.say(f"study '{study}' is in {service.where} already, with the same spec{more}")


def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies in a storage with their progress.

    Example: mnist-tune studies
    """
    found = storages.service(storage).overview()
    if as_json:
        options.print_json([each.as_json() for each in found])
        return
    for each in found:
        options.say(f"{each.name}: {each.standing}")
    if not found:
        options.say("no studies; make one with: mnist-tune create-study SPEC")


def copy_study(
    study: StudyArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="The storage to copy it to, made if missing.", show_default=False
        ),
    ],
    storage: FromOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Another name for the copy.", show_default=False)
    ] = None,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    to_checkpoints: Annotated[
        Path | None,
        typer.Option(
            "--to-checkpoints",
            metavar="DIR",
            help="Folder for the copy's training states. Default: as --checkpoints for the new storage.",
            show_default=False,
        ),
    ] = None,
    to_artifacts: Annotated[
        Path | None,
        typer.Option(
            "--to-artifacts",
            metavar="DIR",
            help="Folder for the copy's weights and logs. Default: as --artifacts for the new storage.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a study with all its trials and their files to another storage, also while workers are on it.

    The copy is whole or not there at all; in it, cells that run now wait again. The original stays as it is.
    Each has its own files, and may go on or be deleted; on one disk they take no room twice.

    Example: mnist-tune copy-study quickstart --to postgresql://tuner@database-host/studies
    """
    from mnist_tune.serve.copying import Side
    from mnist_tune.serve.copying import copied as copy
    from mnist_tune.storage.named import named_storage
    from mnist_tune.text.wording import counted

    storages.tame_optuna()
    target = Side.named(to, "--to", to_checkpoints, to_artifacts)
    source = Side.named(*named_storage(storage), checkpoints, artifacts)
    copied = copy(study, source, target, name)
    if as_json:
        options.print_json({"study": study, "from": source.where, "to": target.where} | copied._asdict())
        return
    put_back = f", {copied.put_back} of them put back since they were running" if copied.put_back else ""
    what = f"copied study '{study}' ({counted(copied.trials, 'trial')}{put_back})"
    options.say(f"{what} from {source.where} to {target.where}")
    if copied.files:
        options.say(f"files of its own: {copied.files}, in {target.places(existing=True)}")
    if copied.missing:
        where = "" if source.folders is None else "; where they lie, say --checkpoints and --artifacts"
        options.say(
            f"files that stay the original's alone, not found in {source.places()}: {copied.missing}{where}"
        )
    options.say(f"start its workers with: mnist-tune worker {copied.name} and the new --storage")


def delete_study(
    study: StudyArgument,
    storage: StorageOption = None,
    files: Annotated[
        bool, typer.Option("--files", help="Delete its checkpoints, weights and logs too.")
    ] = False,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a study with all its trials, after asking.

    Example: mnist-tune delete-study quickstart --files --yes
    """
    service = storages.service(storage, checkpoints, artifacts)
    service.find(study)
    what = "all its trials and their files" if files else "all its trials"
    if not yes:
        typer.confirm(f"Delete study '{visible(study)}' with {what}?", abort=True)
    deleted = service.delete(study, files=files)
    if not files:
        options.say(f"deleted study '{study}'")
        return
    files_gone = "1 file" if deleted.files == 1 else f"{deleted.files} files"
    options.say(f"deleted study '{study}' and {files_gone} of its trials")
    for problem in deleted.problems:
        options.say(f"left: {problem}", err=True)
    if deleted.problems:
        raise typer.Exit(FAILED)
