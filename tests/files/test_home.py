"""A user without a home, as in a container, is told what to name instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from mnist_tune.errors import UserError
from mnist_tune.files.home import expanded, user_folder
from tests.support.specs import STUDIES, write_spec

STRANGER = ["unshare", "--user", "--map-user=12345", "env", "-u", "HOME", "-u", "MNIST_TUNE_DATA"]
"""The beginning of a command that runs as an unknown user."""


def run_as_a_stranger(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    set_to = [f"{name}={value}" for name, value in environment.items()]
    answer = subprocess.run(
        [*STRANGER, *set_to, sys.executable, "-m", "mnist_tune", *arguments],
        cwd=folder,
        env=kept
        | {"PYTHONPATH": str(STUDIES.parent), "MNIST_TUNE_STORAGE": f"sqlite:///{folder}/studies.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.stderr.startswith(("unshare:", "env:")):
        pytest.skip(f"cannot be another user here: {answer.stderr}")
    return answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("data check", "--data-dir or $MNIST_TUNE_DATA"),
        ("run spec.toml", "--data-dir or $MNIST_TUNE_DATA"),
        ("train config.toml", "--data-dir or $MNIST_TUNE_DATA"),
        (
            "verify tiny --artifacts . --storage postgresql://user@127.0.0.1:1/x",
            "--checkpoints or $MNIST_TUNE_CHECKPOINTS",
        ),
        ("token list --storage postgresql://user@127.0.0.1:1/x", "--tokens or $MNIST_TUNE_TOKENS"),
    ],
)
def test_an_unknown_user_without_a_home_is_told_what_to_name(tmp_path: Path, line: str, instead: str) -> None:
    tmp_path.chmod(0o777)
    write_spec(tmp_path)
    write_spec(tmp_path, "[training]\nepochs = 1\n", "config.toml")
    answer = run_as_a_stranger(tmp_path, *line.split())
    what = "file" if "TOKENS" in instead else "folder"
    said = f"mnist-tune: this user has no home directory; set HOME, or name a {what} with {instead}\n"
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", said)
    assert not (tmp_path / "studies.db").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.slow
def test_an_unknown_user_who_names_a_folder_can_do_everything(tmp_path: Path, mnist_directory: Path) -> None:
    tmp_path.chmod(0o777)
    text = '[study]\nname = "tiny"\n[search.grid]\nlearning_rate = [0.001, 0.01]\n[training]\nepochs = 1\n'
    write_spec(tmp_path, text + "[data]\ntrain_size = 100\nvalidation_size = 50\n")
    answer = run_as_a_stranger(tmp_path, "run", "spec.toml", MNIST_TUNE_DATA=str(mnist_directory))
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout


def test_a_home_that_an_older_platformdirs_makes_up_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda _: Path("~/.local/share/mnist-tune"))
    with pytest.raises(UserError, match="this user has no home directory"):
        user_folder("data", "--artifacts")


def test_a_home_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="~nobody-of-that-name/data: ~nobody-of-that-name has no home"):
        expanded(Path("~nobody-of-that-name/data"))
