"""`launch` through a head: what its workers are told, and which heads they cannot reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_tune.api.storages import named_by
from mnist_tune.results.reading import read_results
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from tests.support.commands import STORED, Command, finish, start_command
from tests.support.heads import running_head
from tests.support.served import serving
from tests.support.studies import new_study

LAUNCH = "launch", "tiny", "--workers", "2"


@pytest.mark.parametrize("engine", [("slurm", "Slurm"), ("ray", "Ray at auto")])
def test_a_head_that_this_machine_alone_reaches_is_refused_with_the_way_out(
    tmp_path: Path, command: Command, engine: tuple[str, str]
) -> None:
    study = new_study(tmp_path)
    name, shown = engine
    with running_head(study.storage, tmp_path) as head:
        address = ("--address", "auto") if name == "ray" else ()
        answer = command(*LAUNCH, "--on", name, *address, "--storage", str(head))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: {head}: is an address at which each machine finds itself, and {shown} may start "
        "workers on others; let them in with 'mnist-tune serve --host 0.0.0.0', and name the address that it "
        "prints as --storage\n"
    )


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://Head.LocalHost.:8080", True),
        ("http://0.0.0.0:8080", True),
        ("http://10.0.0.1:8080", False),
        ("http://[fd00::1]:8080", False),
        ("https://head.example.org", False),
        ("postgresql://tuner@localhost/studies", False),
        ("sqlite:///studies.db", True),
    ],
)
def test_it_is_known_which_storages_others_cannot_reach(address: str, is_loopback: bool) -> None:
    assert (named_by(address, "--storage").only_here is not None) == is_loopback


def test_workers_are_told_the_address_with_its_fingerprint_and_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MNIST_TUNE_TOKEN", raising=False)
    address = f"https://10.0.0.1:8080#sha256={'0' * 64}"
    assert named_by(address, "--storage").environment == {"MNIST_TUNE_STORAGE": address}
    monkeypatch.setenv("MNIST_TUNE_TOKEN", "mnt_secret")
    assert named_by(address, "--storage").environment == {
        "MNIST_TUNE_STORAGE": address,
        "MNIST_TUNE_TOKEN": "mnt_secret",
    }


def test_a_folder_for_what_the_head_keeps_is_refused(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    with running_head(study.storage, tmp_path) as head:
        answer = command(*LAUNCH, "--on", "slurm", "--artifacts", "kept", "--storage", str(head))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnist-tune: --artifacts: the head keeps the files of trials; leave it out\n"


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory")
@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_an_engine_starts_workers_that_know_the_head_and_writes_no_secret(
    tmp_path: Path, home: Path, engine: str, ray_home: Path
) -> None:
    study = new_study(tmp_path)
    token = Tokens(tmp_path / f"{STORED}.tokens").add("me", Role.ADMIN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(tmp_path) as head:
        environment = {"MNIST_TUNE_STORAGE": head, "MNIST_TUNE_TOKEN": token}
        address = ("--address", "local") if engine == "slurm" else ()
        launched = start_command(
            *LAUNCH, "--on", engine, *address, "--json", folder=elsewhere, environment=environment
        )
        answer = finish(launched)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    told = json.loads(answer.stdout)
    assert (told["engine"], told["storage"], told["workers"]) == (engine, head, 2)
    results = read_results(study)
    assert [attempt.state for attempt in results.attempts] == ["complete"] * 8
    assert {worker.departure for worker in results.workers} == {"the study is finished"}
    if engine == "slurm":
        assert told["logs"] == str(home / study.uid)
    written = [
        path
        for folder in (home if engine == "slurm" else ray_home, elsewhere)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    assert written
    assert not [path for path in written if token.encode() in path.read_bytes()]
    assert token not in answer.stdout + answer.stderr
