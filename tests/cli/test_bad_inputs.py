"""Bad inputs: each gets one line and exit code 2, and changes nothing that is stored."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.commands import Command
from tests.support.small_data import CONFIGURATION, truncated_data
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.stored_content import database_content, files_in
from tests.support.studies import new_study


class Bomb:
    """An object that makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path) -> Path:
    """A new study, and every kind of file that may be named by mistake."""
    folder = tmp_path_factory.mktemp("litter")
    study = new_study(folder)
    study.storage.remove_session()
    study.storage.engine.dispose()
    write_spec(folder, TINY_SPEC.replace("[study]", "[study"), "broken.toml")
    write_spec(folder, TINY_SPEC.replace("epochs", "epoch"), "misspelt.toml")
    write_spec(folder, TINY_SPEC.replace("fp32", "bf16"), "differing.toml")
    write_spec(folder, CONFIGURATION, "config.toml")
    write_spec(folder, CONFIGURATION.replace("epochs", "epoch"), "misspelt-config.toml")
    (folder / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save(Bomb(), folder / "zipped-bomb.pt")
    (folder / "empty-folder").mkdir()
    truncated_data(folder, mnist_directory)
    return folder


@pytest.fixture
def folder_of_mistakes(tmp_path: Path, mistakes: Path) -> Path:
    """A folder of the test's own with the study and the files."""
    return shutil.copytree(mistakes, tmp_path, symlinks=True, dirs_exist_ok=True)


SERVER = "--storage postgresql://user:secret@127.0.0.1:1/x"
BAD_INPUTS = [
    ("create-study nothing.toml", "nothing.toml: no such file"),
    ("run nothing.toml", "nothing.toml: no such file"),
    ("create-study broken.toml", "broken.toml: is not valid TOML"),
    ("run broken.toml", "broken.toml: is not valid TOML"),
    ("create-study misspelt.toml", "misspelt.toml: training.epoch: unknown key; did you mean 'epochs'?"),
    ("run misspelt.toml", "misspelt.toml: training.epoch: unknown key; did you mean 'epochs'?"),
    (
        "create-study differing.toml",
        "study 'tiny' exists with another spec: training.precision is fp32 there and bf16",
    ),
    (
        "run differing.toml",
        "study 'tiny' exists with another spec: training.precision is fp32 there and bf16",
    ),
    ("create-study spec.toml --name a/b", "--name: name: 'a/b' is not allowed"),
    ("create-study bomb.pt", "bomb.pt: is not a text file"),
    ("create-study empty-folder", "empty-folder: is a folder"),
    ("status tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("worker tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("export tinny", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("delete-study tinny --yes", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("copy-study tinny --to sqlite:///new.db", "no study 'tinny' in this storage; did you mean 'tiny'?"),
    ("copy-study tiny --from sqlite:///mistyped.db --to sqlite:///new.db", "mistyped.db: no such file"),
    ("copy-study tiny --to sqlite:///studies.db", "studies.db: has a study 'tiny' already; give the copy"),
    ("copy-study tiny --to sqlite:///new.db --name a/b", "--name: name: 'a/b' is not allowed"),
    ("copy-study tiny --to sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("copy-study tiny --to sqlite:///nowhere/x.db", "nowhere does not exist; create it first"),
    ("copy-study tiny --to mysql://user:secret@127.0.0.1/x", "--to: mysql:// is not supported; write sqlite"),
    (f"copy-study tiny {SERVER} --to sqlite:///new.db", "user:***@127.0.0.1:1/x: cannot be used"),
    (f"copy-study tiny {SERVER.replace('storage', 'to')}", "postgresql://user:***@127.0.0.1:1/x: cannot be"),
    ("export tiny", "study 'tiny' has no complete trial yet; run 'mnist-tune worker tiny' first"),
    ("status tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("worker tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("export tiny --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("studies --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("delete-study tiny --yes --storage sqlite:///mistyped.db", "sqlite:///mistyped.db: no such file"),
    ("create-study spec.toml --storage sqlite:///nowhere/x.db", "nowhere does not exist; create it first"),
    ("status tiny --storage sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("create-study spec.toml --storage sqlite:///config.toml", "config.toml: is not an SQLite database"),
    ("status tiny --storage sqlite:///empty-folder", "sqlite:///empty-folder: "),
    ("create-study spec.toml --storage sqlite:///empty-folder", "sqlite:///empty-folder: "),
    (f"status tiny {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"create-study spec.toml {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"run spec.toml {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    (f"worker tiny {SERVER}", "postgresql://user:***@127.0.0.1:1/x: cannot be used: "),
    ("studies --storage mysql://user:secret@127.0.0.1/x", "mysql:// is not supported; write sqlite:///FILE"),
    ("studies --storage postgresql:/user:secret@127.0.0.1", "--storage: is not a database URL; write sqlite"),
    (
        "studies --storage postgresql://user:secret@host:port/x",
        "--storage: is not a database URL; write sqlite",
    ),
    ("studies --storage nonsense", "DATABASE, or http://HOST:PORT of 'mnist-tune serve'\n"),
    ("copy-study tiny --to nonsense", "DATABASE, or http://HOST:PORT of 'mnist-tune serve'\n"),
    ("serve --storage nonsense", "write sqlite:///FILE.db or postgresql://USER@HOST/DATABASE\n"),
    ("studies --storage sqlite:///:memory:", "--storage: workers share a file, not memory"),
    ("run spec.toml --storage sqlite:///new.db --data-dir truncated", "train-labels-idx1-ubyte: truncated"),
    ("worker tiny --data-dir truncated", "train-labels-idx1-ubyte: truncated: 59,908 of 60,008 bytes"),
    pytest.param(
        *("train config.toml --output out --data-dir truncated", "train-labels-idx1-ubyte: truncated"),
    ),
    ("worker tiny --device tpu", "device 'tpu' is not there; write auto or one of: "),
    pytest.param(
        *("run spec.toml --storage sqlite:///new.db --device tpu", "device 'tpu' is not there; write auto"),
    ),
    pytest.param(
        *("train config.toml --output out --device tpu", "device 'tpu' is not there; write auto or one of: "),
    ),
    ("train config.toml --output out --seed 4294967296", "--seed: seed: should be less than 4294967296"),
    ("run spec.toml --artifacts config.toml", "config.toml cannot keep weights and logs (Not a directory); "),
    (
        "worker tiny --checkpoints config.toml",
        "config.toml cannot keep states to go on from (Not a directory",
    ),
    ("train spec.toml", "spec.toml: is a study's spec; train takes one configuration"),
    ("train nothing.toml", "nothing.toml: no such file"),
    ("train broken.toml", "broken.toml: is"),
    ("train misspelt-config.toml", "training.epoch: unknown key; did you mean 'epochs'?"),
    ("train config.toml --output config.toml", "config.toml: cannot be made"),
    ("evaluate nothing", "nothing: no such file"),
    ("evaluate empty-folder", "no such file"),
    (
        "evaluate config.toml",
        "config.toml: is a configuration, not a model; train it first: mnist-tune train",
    ),
    ("evaluate bomb.pt", "bomb.pt: a pickle"),
    ("evaluate zipped-bomb.pt", "zipped-bomb.pt: a pickle"),
]


@pytest.mark.parametrize(("line", "answer"), BAD_INPUTS)
def test_a_bad_input_gets_one_line_and_changes_nothing(
    folder_of_mistakes: Path, command: Command, line: str, answer: str
) -> None:
    lying, stored = files_in(folder_of_mistakes), database_content(folder_of_mistakes)
    said = command(*line.split())
    assert (said.code, said.out) == (2, ""), said.err
    assert said.err.startswith("mnist-tune: ")
    assert said.err.count("\n") == 1
    assert answer in said.err
    assert "secret" not in said.err
    assert files_in(folder_of_mistakes) == lying
    assert database_content(folder_of_mistakes) == stored


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            "export tiny --format xml",
            "export: invalid value for '--format': 'xml' is not one of 'toml'",
        ),
        (
            "copy-study tiny",
            "copy-study: missing option '--to'; 'mnist-tune copy-study --help' shows",
        ),
        (
            "delete-study",
            "delete-study: missing argument 'STUDY'; 'mnist-tune delete-study --help' shows what there is",
        ),
        (
            "worker tiny --max-trials 0",
            "worker: invalid value for '--max-trials': should be greater",
        ),
        (
            "worker tiny --threads 0",
            "worker: invalid value for '--threads': should be greater",
        ),
        ("run spec.toml --workers none", "run: invalid value for '--workers': should be a valid integer"),
        (
            "train config.toml --seed -1",
            "train: invalid value for '--seed': should be greater",
        ),
        ("nonsense", "no such command 'nonsense'; 'mnist-tune --help' shows what there is"),
        ("staus tiny", "no such command 'staus'; did you mean 'status', 'studies', 'pause'?"),
        ("data chek", "data: no such command 'chek'; did you mean 'check'?"),
        ("status tiny --storag x", "status: no such option: --storag; did you mean --storage?"),
        ("status tiny --storage", "option '--storage' requires an argument"),
        (
            "--storage x status tiny",
            "no such option: --storage; write it after the command: mnist-tune",
        ),
        ("status tiny tiny", "status: got unexpected extra argument(s) (tiny); 'mnist-tune status --help'"),
    ],
)
def test_a_wrong_use_of_the_command_line_gets_one_line_too(
    folder_of_mistakes: Path, command: Command, line: str, answer: str
) -> None:
    lying, stored = files_in(folder_of_mistakes), database_content(folder_of_mistakes)
    said = command(*line.split())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"mnist-tune: {answer}")
    assert said.err.count("\n") == 1
    assert (files_in(folder_of_mistakes), database_content(folder_of_mistakes)) == (lying, stored)
