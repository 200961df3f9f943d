"""`serve` as a command: the line that it prints works, and it comes and goes as a service does."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from mnist_tune.results.reading import read_results
from tests.support.command_jobs import DECAY, DECAY_SPEC
from tests.support.commands import Command, finish
from tests.support.own_jobs import own_job
from tests.support.served import PROGRAMS, Served, pasted, served
from tests.support.small_data import CONFIGURATION
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study

pytestmark = pytest.mark.slow


def elsewhere(folder: Path) -> Path:
    """The folder of another machine, so to speak."""
    other = folder / "elsewhere"
    other.mkdir(exist_ok=True)
    return other


def said_by_the_job(text: str) -> bool:
    """Whether all lines on a worker's standard error are those that its command prints."""
    return all(line.startswith("in epoch ") for line in text.splitlines())


def is_well(head: Served, host: str = "127.0.0.1") -> bool:
    return httpx.get(f"http://{host}:{head.port}/healthz", timeout=20).text == "ok\n"


def test_the_printed_line_joins_a_worker_which_finishes_the_study(
    tmp_path: Path, mnist_directory: Path
) -> None:
    study = new_study(tmp_path, TWO_CELLS + CONFIGURATION)
    with served(tmp_path) as head:
        assert head.lines[0].startswith("head of sqlite:///")
        assert head.lines[1:] == [
            "join its work in another terminal of this machine with:",
            f"  MNIST_TUNE_STORAGE=http://127.0.0.1:{head.port} mnist-tune worker tiny",
        ]
        worker = finish(pasted(head.join, elsewhere(tmp_path), "--device", "cpu"))
        assert (worker.returncode, worker.stderr) == (0, "")
        ended = head.end()
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "")
    results = read_results(study)
    assert [trial.state for trial in results.attempts] == ["complete", "complete"]
    assert all({"model.safetensors", "trial.log"} & trial.artifacts.keys() for trial in results.attempts)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_workers_wait_while_a_head_is_away_and_go_on_when_it_is_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    spec = own_job(tmp_path, DECAY, DECAY_SPEC, "decay")
    study = new_study(tmp_path, spec.read_text())
    with served(tmp_path) as head:
        other = elsewhere(tmp_path)
        shutil.copy(tmp_path / "decay.py", other)
        worker = pasted(head.join, other, "--allow-command", ".", environment={"PAUSE": "0.3"})
        assert worker.stdout is not None
        assert any("epoch 1" in line for line in worker.stdout)  # reads up to it
        ended = head.end(number)
        assert (ended.returncode, ended.stderr) == (0, "")
    with served(tmp_path, port=head.port) as again:
        done = finish(worker)
        assert (done.returncode, said_by_the_job(done.stderr)) == (0, True)
        assert "the storage does not answer (" in done.stdout
        assert again.end().returncode == 0
    results = read_results(study)
    assert {trial.state for trial in results.attempts} == {"complete"}


def test_files_for_which_there_is_no_room_are_missing_with_a_reason_and_results_are_not(
    tmp_path: Path, command: Command
) -> None:
    spec = own_job(tmp_path, DECAY, DECAY_SPEC, "decay")
    study = new_study(tmp_path, spec.read_text())
    with served(tmp_path, "--file-quota", "0.000000001") as head:
        worker = finish(pasted(f"cd {tmp_path} && {head.join}", elsewhere(tmp_path), "--allow-command", "."))
        assert said_by_the_job(worker.stderr)
        assert head.end().stderr == ""
    why = "the head's files have reached their quota of 1 byte"
    assert f"no checkpoint was kept: {why}" in worker.stdout
    results = read_results(study)
    assert {trial.state for trial in results.attempts} == {"complete"}
    assert why in command("status", "decay").out
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".tmp")] == []


def test_a_port_that_is_taken_is_a_mistake_of_one_line(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    with served(tmp_path) as head:
        answer = command("serve", "--port", str(head.port))
        assert (answer.code, answer.out) == (2, "")
        assert re.fullmatch(
            r"mnist-tune: --port: cannot listen on \S+: address already in use; .+\n", answer.err
        )
        # A first start that nobody sees makes no tokens.
        answer = command("serve", "--port", str(head.port), "--host", "0.0.0.0")
        assert answer.code == 2
        assert not list(tmp_path.glob("*.tokens"))
        assert is_well(head)


def test_another_machine_is_let_in_by_tokens_and_who_has_no_terminal_is_told_how_to_make_one(
    tmp_path: Path,
) -> None:
    new_study(tmp_path, TWO_CELLS)
    with served(tmp_path, "--host", "0.0.0.0") as head:
        how = head.until("token add")
        tokens = tmp_path / "studies.db.tokens"
        assert how.string == f"  mnist-tune token add NAME --role worker --tokens {tokens}\n"
        assert head.lines[-2] == "TOKEN is one that you have; make one with:"
        assert re.search(
            r"MNIST_TUNE_STORAGE='?https://\S+#sha256=[0-9a-f]{64}'? MNIST_TUNE_TOKEN=TOKEN", head.join
        )
        assert not list(tmp_path.glob("*.tokens"))
        with httpx.Client(verify=False, base_url=f"https://127.0.0.1:{head.port}") as client:
            assert client.post("/api/v1/people/study_names", json={}).status_code == 401
            add = "mnist-tune token add mine --role worker"
            made = finish(pasted(add, tmp_path, environment=storage(tmp_path)))
            (token,) = re.findall(r"mnt_[\w-]+", made.stdout)
            answer = client.post(
                "/api/v1/people/study_names", json={}, headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.json() == ["tiny"]
        assert head.end().returncode == 0


def test_without_tls_the_line_says_http(tmp_path: Path) -> None:
    new_study(tmp_path)
    with served(tmp_path, "--host", "0.0.0.0", "--no-tls") as head:
        assert "MNIST_TUNE_STORAGE=http://" in head.join
        assert not list(tmp_path.glob("*.pem"))
        assert is_well(head)


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    new_study(tmp_path)
    with served(tmp_path, "--host", "::1") as head:
        assert f"MNIST_TUNE_STORAGE='http://[::1]:{head.port}'" in head.join
        assert is_well(head, "[::1]")
        assert httpx.post(f"http://[::1]:{head.port}/api/v1/people/study_names", json={}).json() == ["tiny"]


def on_a_terminal(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """`serve` on a terminal, and the descriptor of the terminal's other end."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_tune", "serve", "--port", "0", *options],
        cwd=folder,
        env=os.environ | {"MNIST_TUNE_STORAGE": f"sqlite:///{folder}/studies.db", "PATH": PROGRAMS},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    return process, ours


def shown_on(terminal: int, end: str) -> str:
    """What a terminal shows up to the line with these words."""
    text = ""
    while end not in text or not text.endswith("\n"):
        text += os.read(terminal, 4096).decode()
    return text.replace("\r", "")


def test_on_a_terminal_the_first_start_shows_tokens_once_and_they_stand_nowhere_else(
    tmp_path: Path, mnist_directory: Path
) -> None:
    new_study(tmp_path, TWO_CELLS + CONFIGURATION)
    process, terminal = on_a_terminal(tmp_path, "--host", "0.0.0.0")
    text = shown_on(terminal, "not shown again")
    tokens = re.findall(r"MNIST_TUNE_TOKEN=(mnt_[\w-]+)", text)
    assert len(set(tokens)) == 2
    (file,) = tmp_path.glob("*.tokens")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    line = next(line.strip() for line in text.splitlines() if " mnist-tune worker " in line)
    worker = pasted(line, elsewhere(tmp_path), "--device", "cpu", "--max-trials", "1")
    in_commands = set()
    while worker.poll() is None:
        in_commands |= {token for token in tokens if token.encode() in command_lines()}
    done = finish(worker)
    assert (done.returncode, done.stderr) == (0, "")
    assert in_commands == set()
    assert not any(token in done.stdout for token in tokens)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    os.close(terminal)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for token in tokens for content in kept)
    again, terminal = on_a_terminal(tmp_path, "--host", "0.0.0.0")
    text = shown_on(terminal, "TOKEN is one that you have")
    assert "mnt_" not in text
    again.terminate()
    assert again.wait(60) == 0
    os.close(terminal)


def command_lines() -> bytes:
    """The command lines of all processes but shells, whose own text the line is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(path.read_bytes())
    return b"\n".join(line for line in found if not line.startswith(b"/bin/sh"))


def test_a_token_is_in_no_traceback_and_no_message(tmp_path: Path) -> None:
    token = "mnt_" + "s" * 43
    new_study(tmp_path)
    made = finish(
        pasted("mnist-tune token add a-worker --role worker", tmp_path, environment=storage(tmp_path))
    )
    assert made.returncode == 0, made.stderr
    with served(tmp_path) as head:
        for url, asks in (
            (f"http://127.0.0.1:{head.port}", "worker"),
            ("http://127.0.0.1:1", "status"),  # a worker would wait for it
            (f"https://127.0.0.1:{head.port}", "worker"),
        ):
            environment = {"MNIST_TUNE_STORAGE": url, "MNIST_TUNE_TOKEN": token}
            done = finish(
                pasted(f"mnist-tune --debug {asks} tiny", elsewhere(tmp_path), environment=environment)
            )
            assert done.returncode in (1, 2)
            assert token not in done.stdout + done.stderr
        environment = {"MNIST_TUNE_STORAGE": f"http://me:{token}@127.0.0.1:{head.port}"}
        done = finish(pasted("mnist-tune --debug worker tiny", elsewhere(tmp_path), environment=environment))
        assert token not in done.stdout + done.stderr
        ended = head.end()
        assert "a token that is not known was refused" in ended.stdout
        assert token not in ended.stdout + ended.stderr


def storage(folder: Path) -> dict[str, str]:
    return {"MNIST_TUNE_STORAGE": f"sqlite:///{folder}/studies.db"}
