"""The tutorial, from the first command to the last, on a real server and on fewer images."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from mnist_tune.contract.study import WorkerFacts
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from tests.papers.commands import DATABASE_SERVER, TUTORIAL
from tests.support.commands import finish, start_command
from tests.support.postgres_server import PostgresServer, running_server
from tests.support.served import serving
from tests.support.specs import STUDIES

SMALLER = {"6000": "300", "2000": "200", "50000": "300", "10000": "200", "epochs = 10": "epochs = 1"}
URL = "postgresql://tuner@database-host/studies"


def smaller_studies(folder: Path) -> None:
    """The shipped studies on so few images that all of them take a minute."""
    (folder / "studies").mkdir()
    for spec in STUDIES.glob("*.toml"):
        text = spec.read_text(encoding="utf-8")
        for found, put in SMALLER.items():
            text = re.sub(rf"\b{found}$", put, text, flags=re.MULTILINE)
        (folder / "studies" / spec.name).write_text(text, encoding="utf-8")


def ask_server(server: PostgresServer, line: str) -> None:
    """Run one of PostgreSQL's own commands; the password is asked for twice."""
    command, *arguments = shlex.split(line)
    port = server.url.split(":")[-1].split("/")[0]
    subprocess.run(
        [server.binaries / command, *arguments],
        env=os.environ | {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "postgres"},
        input="secret\nsecret\n",
        text=True,
        check=True,
        start_new_session=True,  # or it asks the terminal
    )


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory")
def test_the_tutorial_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller_studies(tmp_path)
    url = "sqlite:///mnist-tune.db"
    printed: dict[str, str] = {}
    with ExitStack() as until_the_end:
        for line in TUTORIAL:
            words = shlex.split(line)
            if words[1] == "serve":
                head = until_the_end.enter_context(serving(tmp_path, *words[2:], url=url))
                printed |= worked_elsewhere(tmp_path, head, url)
                continue
            if words[1] == "drain":
                monkeypatch.setattr("socket.gethostname", lambda: "gpu-2")
                study = open_study(
                    open_storage(storage_url(f"sqlite:///{tmp_path}/mnist-tune.db")), "seed-grid"
                )
                Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cuda:0")).register()
                monkeypatch.undo()
            answer = finish(start_command(*words[1:], folder=tmp_path, url=url))
            assert (answer.returncode, answer.stderr) == (0, ""), f"{line}: {answer.stdout}"
            printed[line] = answer.stdout
    assert "24 cells, 8 of them taken over from 'quickstart'" in printed[TUTORIAL[1]]
    assert "complete" in printed["elsewhere"]
    assert "8/8 cells" in printed["mnist-tune status seed-grid --watch"]
    assert (tmp_path / "replicates.html").is_file()
    assert "no login" not in "".join(printed.values())


def worked_elsewhere(folder: Path, head: str, url: str) -> dict[str, str]:
    """What a worker says that the line of `serve` has started, with a token, and that has run one trial."""
    made = finish(start_command("token", "add", "gpu-2", "--role", "worker", folder=folder, url=url))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    environment = {"MNIST_TUNE_STORAGE": head, "MNIST_TUNE_TOKEN": made.stdout.strip()}
    worker = start_command(
        "worker", "seed-grid", "--max-trials", "1", folder=elsewhere, environment=environment
    )
    answer = finish(worker)
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert list(elsewhere.iterdir()) == []
    return {"elsewhere": answer.stdout}


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.usefixtures("mnist_directory")
def test_a_database_server_is_set_up_as_its_paper_says(tmp_path: Path) -> None:
    smaller_studies(tmp_path)
    url = "sqlite:///mnist-tune.db"
    for line in ("create-study studies/quickstart.toml", "create-study studies/replicates.toml"):
        assert finish(start_command(*line.split(), folder=tmp_path, url=url)).returncode == 0
    printed: dict[str, str] = {}
    with running_server(tmp_path) as server:
        theirs = server.url.replace("postgres@", "tuner@").removesuffix("postgres") + "studies"
        for line in DATABASE_SERVER:
            words = shlex.split(line.replace(URL, theirs))
            if words[0] == "export":
                url = theirs
            elif words[0] != "mnist-tune":
                ask_server(server, line)
            else:
                answer = finish(start_command(*words[1:], folder=tmp_path, url=url))
                assert (answer.returncode, answer.stderr) == (0, ""), f"{line}: {answer.stdout}"
                printed[line] = answer.stdout
    assert "(24 trials)" in next(said for line, said in printed.items() if "copy-study" in line)
    assert "all of its 8 cells have ended" in printed["mnist-tune run studies/seed-grid.toml"]
