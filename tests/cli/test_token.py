"""`token add`, `token list` and `token revoke`."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_tune.errors import MISTAKE
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.text.visible import TOKEN
from tests.support.commands import STORED, Command, finish, run_command, start_command
from tests.support.specs import STUDIES
from tests.support.waiting import wait_until

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_TUNE_TOKENS", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / f"{STORED}.tokens"


def test_a_token_is_printed_once_alone_on_its_line_and_kept_as_a_hash(file: Path, command: Command) -> None:
    answer = command("token", "add", "gpu-1", "--role", "worker")
    assert answer.code == 0
    assert TOKEN.fullmatch(answer.out.removesuffix("\n"))
    assert answer.err == f"the token of 'gpu-1', a worker; it is not shown again, and {file} has its hash\n"
    assert Tokens(file).role_of(answer.out.strip()) is Role.WORKER
    for words in (("token", "list"), ("token", "list", "--json"), ("--debug", "token", "revoke", "gpu")):
        told = command(*words)
        assert answer.out[4:12] not in told.out + told.err
    assert answer.out[4:12] not in file.read_text(encoding="utf-8")


def test_the_list_has_names_roles_and_times(file: Path, command: Command) -> None:
    answer = command("token", "list")
    says = f"no tokens in {file}; make one with: mnist-tune token add NAME --role ROLE\n"
    assert (answer.code, answer.out, answer.err) == (0, says, "")
    assert command("token", "list", "--json").json == []
    for role in Role:
        command("token", "add", f"the-{role}", "--role", role)
    lines = command("token", "list").out.splitlines()
    assert [line.split(", made ")[0] for line in lines] == [
        "the-viewer: viewer",
        "the-worker: worker",
        "the-admin: admin",
    ]
    listed = command("token", "list", "--json").json
    assert [each.keys() for each in listed] == [{"name", "role", "made", "id"}] * 3
    assert [each["role"] for each in listed] == list(Role)
    assert all(each["id"] in line for each, line in zip(listed, lines, strict=True))


def test_a_revoked_token_is_none_for_whoever_has_the_file_open(file: Path, command: Command) -> None:
    token = command("token", "add", "gpu-1", "--role", "worker").out.strip()
    head = Tokens(file)
    assert head.role_of(token) is Role.WORKER
    answer = command("token", "revoke", "gpu-1")
    assert (answer.code, answer.out, answer.err) == (0, f"revoked the token of 'gpu-1' in {file}\n", "")
    assert head.role_of(token) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("add gpu-1 --role root", "token add: invalid value for '--role': 'root' is not one of 'viewer', "),
        ("add gpu-1", "token add: missing option '--role'"),
        ("add --role admin", "token add: missing argument 'NAME'"),
        ("add a/b --role admin", "this is no name of a token: use at most 64 letters, digits, "),
        ("add laptop --role admin", "there is a token 'laptop' in "),
        ("revoke laptob", "no token 'laptob' in "),
        ("list --storage nonsense", "--storage: is not a database URL; "),
        ("list --storage sqlite:///nothing/s.db", "the folder "),
        ("list --tokens ~nobody-of-that-name/x", "~nobody-of-that-name has no home directory"),
    ],
)
def test_mistakes_get_one_line_and_change_nothing(
    words: str, says: str, file: Path, command: Command
) -> None:
    command("token", "add", "laptop", "--role", "viewer")
    before = file.read_bytes()
    answer = command("token", *words.split())
    assert (answer.code, answer.out) == (MISTAKE, "")
    assert says in answer.err
    assert answer.err.startswith("mnist-tune: ")
    assert answer.err.count("\n") == 1
    assert file.read_bytes() == before


def test_a_damaged_file_and_one_that_others_can_read_get_one_line(file: Path, command: Command) -> None:
    command("token", "add", "laptop", "--role", "viewer")
    file.chmod(0o644)
    answer = command("token", "list")
    says = f"mnist-tune: {file}: is open to other users; run: chmod 600 {file}\n"
    assert (answer.code, answer.out, answer.err) == (MISTAKE, "", says)
    file.chmod(0o600)
    file.write_text("mnt_" + "s3cr3t" * 10, encoding="utf-8")
    for words in (("token", "list"), ("--debug", "token", "list"), ("token", "add", "b", "--role", "admin")):
        answer = command(*words)
        assert (answer.code, answer.out) == (MISTAKE, "")
        assert f"{file}: is damaged: Invalid JSON" in answer.err
        assert "s3cr3t" not in answer.err


def test_a_named_file_comes_before_the_environment_and_that_before_the_default(
    tmp_path: Path, file: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (file, tmp_path / "environment", tmp_path / "named"):
        options = ["--tokens", "named"] if place.name == "named" else []
        if place.name == "environment":
            monkeypatch.setenv("MNIST_TUNE_TOKENS", "environment")
        token = command("token", "add", place.name, "--role", "viewer", *options).out.strip()
        assert Tokens(place).role_of(token) is Role.VIEWER
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize("words", ["revoke TOKEN", "add TOKEN --role admin", "add x --role TOKEN", "TOKEN"])
def test_a_token_in_the_wrong_place_is_not_printed(words: str, command: Command) -> None:
    token = command("token", "add", "laptop", "--role", "admin").out.strip()
    for debug in ([], ["--debug"]):
        answer = command(*debug, "token", *words.replace("TOKEN", token).split())
        assert answer.code == MISTAKE
        assert token[4:12] not in answer.out + answer.err


def test_a_token_on_the_command_line_is_soon_seen_by_nobody(tmp_path: Path) -> None:
    token = run_command("token", "add", "laptop", "--role", "admin", folder=tmp_path).stdout.strip()
    os.mkfifo(tmp_path / "spec.toml")  # which keeps the command waiting
    process = start_command("create-study", "spec.toml", "--name", token, folder=tmp_path)
    seen = Path(f"/proc/{process.pid}/cmdline")
    wait_until(lambda: "mnt_***" in seen.read_text())
    assert token not in seen.read_text()
    (tmp_path / "spec.toml").write_text("nonsense", encoding="utf-8")
    answer = finish(process)
    assert token[4:12] not in answer.stdout + answer.stderr


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")
def test_no_token_is_made_that_cannot_be_shown(tmp_path: Path, file: Path) -> None:
    line = [sys.executable, "-m", "mnist_tune", "token", "add", "laptop", "--role", "admin"]
    environment = os.environ | {
        ENVIRONMENT_VARIABLE: f"sqlite:///{tmp_path}/{STORED}",
        "PYTHONPATH": str(STUDIES.parent),
    }
    with FULL.open("w") as full:
        answer = subprocess.run(
            line, cwd=tmp_path, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    says = "mnist-tune: standard output cannot be written: No space left on device; no token was made\n"
    assert (answer.returncode, answer.stderr) == (1, says)
    assert Tokens(file).listed() == []
