"""Rubbish in every name, key, path, parameter and field: one line with a 4xx, and nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from mnist_tune.contract import wire
from mnist_tune.contract.study import new_token
from mnist_tune.serve.roles import Role
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.heads import RunningHead, said

NAMES = (
    *("..", ".", "/", "../../etc/passwd", "/etc/passwd", "a/../../b", "a\\b", "%2e%2e%2f", "~", "", " ", "-"),
    *(
        "\0",
        "a\0b",
        "\n",
        "\x1b[2J",
        "a" * 300,
        "a" * 20_000,
        "\u202e",
        "caf\u00e9",
        "con:",
        "*",
    ),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        10**6,
        2**31,
        2**63,
        2**200,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "x",
        [],
        {},
        [[]],
        {"a": {}},
    ),
    *("../x", "\0", "x" * 100_000),
)
EXPECTED = {("uid", 500), ("key", 507)}
"""No faults of the head: a study of this name that was deleted, and a file that cannot be deleted."""
TRIAL = "0-" + "0" * 32 + "-1.pt"
SHA256 = hashlib.sha256(b"x").hexdigest()


@pytest.fixture(scope="module")
def client(head: RunningHead, study: OpenStudy) -> Iterator[httpx.Client]:
    with head.client(Role.WORKER) as client:
        yield client


@pytest.fixture(scope="module")
def of_study(study: OpenStudy) -> dict[str, str]:
    return {"study": study.name, "uid": study.uid}


@pytest.fixture(scope="module")
def claim(client: httpx.Client, of_study: dict[str, str]) -> dict[str, Any]:
    """A claim that holds, as it is sent."""
    body = json.dumps({**of_study, "worker": asdict(ME), "token": new_token()})
    claim = client.post("/api/v1/calls/claim", content=body).json()
    assert claim["number"] in (0, 1)
    return dict(claim)


@pytest.fixture(autouse=True)
def nothing_is_written_elsewhere(
    head: RunningHead, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No test of rubbish makes a file, or changes one."""
    before = files_below(head.folder)
    yield
    assert files_below(head.folder) == before
    assert head.is_well()


def files_below(folder: Path) -> set[tuple[str, int]]:
    return {
        (str(path), path.stat().st_size) for path in folder.parent.rglob("*") if "studies.db" not in path.name
    }


def is_refused(answer: httpx.Response) -> bool:
    """Whether an answer is one line with a 4xx; it repeats no token."""
    line = said(answer)
    assert len(line) <= 1000
    assert "mnt_x" not in answer.text
    assert line.isprintable()
    return 400 <= answer.status_code < 500


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_is_refused_wherever_it_stands(
    client: httpx.Client, of_study: dict[str, str], claim: dict[str, Any], name: str
) -> None:
    of_file = of_study | {
        "trial_id": str(claim["trial_id"]),
        "token": claim["token"],
        "name": f"{claim['trial_id']}-{claim['token']}-1.pt",
        "sha256": SHA256,
    }
    for field in ("name", "study", "uid", "trial_id", "token", "sha256"):
        for path in ("/api/v1/states", "/api/v1/files"):
            answer = client.put(path, params=of_file | {field: name}, content=b"x")
            assert is_refused(answer) or (field, answer.status_code) == ("uid", 500), (field, answer.text)
    for field in ("study", "uid", "key"):
        answer = client.get("/api/v1/states", params=of_study | {"key": TRIAL, field: name})
        assert is_refused(answer) or (field, answer.status_code) == ("uid", 500), (field, answer.text)
    assert is_refused(client.post("/api/v1/open", json={"study": name}))
    assert is_refused(client.post("/api/v1/calls/standing", json=of_study | {"study": name}))


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "__init__", "keep_state", "with_study", "%00", "a" * 9000, "%ff"]
)
def test_a_call_that_is_none_is_refused(head: RunningHead, of_study: dict[str, str], name: str) -> None:
    body = json.dumps(of_study).encode()
    token = head.tokens[Role.WORKER]
    sent = (
        f"POST /api/v1/calls/{name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    answer = head.answer_to(sent.encode() + body)
    assert answer.split()[1] == b"404"
    assert token.encode() not in answer


def places(of: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value in plain data."""
    for key, value in of.items() if isinstance(of, dict) else enumerate(of) if isinstance(of, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(of: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of plain data in which one value is another."""
    copy = json.loads(json.dumps(of))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def messages(of_study: dict[str, str], claim: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is sent with each call, for an attempt that does not hold its lease: nothing comes of it."""
    claim = claim | {"token": "f" * 32}
    worker = asdict(ME)
    notes = {
        "user": {"a": 1},
        "system": {"b": {"c": [1]}},
        "reports": {"1": 1.0},
        "epochs": {"1": {"training_loss": 1.0}},
    }
    own: dict[str, dict[str, Any]] = {
        "standing": {},
        "stopped": {},
        "register": {"worker": worker},
        "beat": {"worker": worker, "trial": 0, "units_per_second": 1.0},
        "leave": {"worker": worker, "reason": "done"},
        "parameters": {"claim": claim},
        "renew": {"claim": claim},
        "record": {"claim": claim, "notes": notes},
        "decide": {"claim": claim},
        "complete": {"claim": claim, "value": 1.0, "notes": notes},
        "prune": {"claim": claim, "value": 1.0, "notes": notes},
        "give_back": {"claim": claim, "failure": {"kind": "lost", "reason": "x"}, "system": {"a": 1}},
        "delete_state": {"checkpoint": {"key": TRIAL, "sha256": SHA256, "epoch": 1}},
        "sweep": {"is_over": False},
    }
    assert {*own, "claim"} == set(wire.CALLS)
    return {name: of_study | fields for name, fields in own.items()}


@pytest.mark.parametrize("call", [name for name in wire.CALLS if name != "claim"])
def test_rubbish_in_a_field_of_a_call_never_makes_the_head_fail(
    head: RunningHead, client: httpx.Client, of_study: dict[str, str], claim: dict[str, Any], call: str
) -> None:
    sound = messages(of_study, claim)[call]
    failed = {}
    for path in places(sound):
        for value in VALUES:
            body = json.dumps(changed(sound, path, value))
            answer = client.post(f"/api/v1/calls/{call}", content=body)
            if answer.status_code >= 500 and (path[-1], answer.status_code) not in EXPECTED:
                failed[path, str(value)[:20]] = answer.status_code, answer.text
    assert failed == {}
    assert [line for line in head.lines if "/calls/" in line] == []


BODIES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "cut": b'{"study": "tiny"',
    "two": b"{}{}",
    "no object": b'["tiny"]',
    "a number": b"1",
    "null": b"null",
    "no text": b'{"study": "\xff\xfe"}',
    "a lone surrogate": b'{"study": "\\ud800"}',
    "no UTF-8 at all": '{"study": "tiny"}'.encode("utf-16"),
    "NaN": b'{"study": NaN}',
    "a long number": b'{"study": ' + b"9" * 100_000 + b"}",
    "deep": b'{"study": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "many keys": json.dumps({f"k{number}": number for number in range(50_000)}).encode(),
    "a key that is a token": json.dumps({"study": "tiny", "mnt_" + "x" * 43: 1}).encode(),
    "the same key twice": b'{"study": "tiny", "study": "../x"}',
    "a key too many": b'{"study": "tiny", "is_admin": true}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_message_is_refused(client: httpx.Client, body: bytes) -> None:
    for path in ("/api/v1/open", "/api/v1/calls/standing", "/api/v1/calls/record"):
        answer = client.post(path, content=body)
        assert is_refused(answer), (path, answer.text)


def test_a_token_that_stands_in_a_wrong_place_is_not_repeated(
    client: httpx.Client, head: RunningHead
) -> None:
    secret = head.tokens[Role.ADMIN]
    answers = (
        client.post("/api/v1/open", json={"study": secret}),
        client.post("/api/v1/open", json={"study": "tiny", secret: 1}),
        client.get("/api/v1/states", params={secret: "x"}),
        client.post(f"/api/v1/calls/{secret}", json={}),
        client.get(f"/api/{secret}", headers={"User-Agent": secret}),
    )
    assert [answer.status_code for answer in answers] == [400, 400, 400, 404, 426]
    assert [answer for answer in answers if secret in answer.text + str(answer.headers)] == []
