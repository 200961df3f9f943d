"""Studies from Python: creates, opens and lists them."""

from __future__ import annotations

from mnist_tune.api.arguments import check_text
from mnist_tune.api.error_lines import told_in_python
from mnist_tune.api.storages import Storage, storage_at
from mnist_tune.api.study import Study
from mnist_tune.spec.reading import Named, read_spec
from mnist_tune.text.at_caller import warn_at_caller
from mnist_tune.text.visible import visible


@told_in_python()
def create_study(
    spec: Named,
    storage: Storage = None,
    *,
    name: str | None = None,
    reuse: str | None = None,
    extend: bool = False,
) -> Study:
    """Store a study with all its cells, ready for workers; if the same study exists, open it.

    spec: a TOML file's path, the name of a study that comes with mnist-tune ("quickstart"), or the tables of
        such a file as a dict.
    storage: a database URL, the address of a head of `mnist-tune serve` (with $MNIST_TUNE_TOKEN), the path
        of an SQLite file, or None for what the commands use, which is $MNIST_TUNE_STORAGE, else
        mnist-tune.db in the current folder.
    name: another name than the spec's.
    reuse: a study in this storage whose finished cells are taken over. A sampled search takes its complete
        trials that it could have drawn, which count in n_trials.
    extend: give a study that is there what it lacks of the spec, and has less than it otherwise.

    Raises:
        UserError: what is wrong with the spec or the storage, or that another study has this name.
    """
    for argument, text in (("name", name), ("reuse", reuse)):
        if text is not None:
            check_text(argument, text)
    wanted = read_spec(spec, name)
    service = storage_at(storage).service(create=reuse is None)
    created = service.create(wanted.spec, wanted.remarks, reuse, extend)
    for note in created.notes:
        warn_at_caller(visible(note))
    return Study(service, created.spec)


@told_in_python()
def open_study(name: str, storage: Storage = None) -> Study:
    """Open the study with this name, wherever and by whomever it was made. Changes nothing.

    storage: as for `create_study`.

    Raises:
        UserError: there is no such study, or no such storage.
    """
    check_text("name", name)
    service = storage_at(storage).service()
    return Study(service, service.spec(name))


@told_in_python()
def study_names(storage: Storage = None) -> list[str]:
    """The names of the studies in a storage, oldest first.

    storage: as for `create_study`.

    Raises:
        UserError: there is no such storage.
    """
    return storage_at(storage).service().study_names()
