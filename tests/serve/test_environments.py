"""What a client is told whose environment, or whose address, leads to no head."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_studies import RemoteStudies
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from tests.support.heads import RunningHead, running
from tests.support.specs import TWO_CELLS
from tests.support.studies import folders, new_study, opened_again


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("HTTP_PROXY", "foo://x"),
        ("SSL_CERT_FILE", "/nowhere/at/all.pem"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_a_variable_that_cannot_be_followed_is_one_line(
    head: RunningHead, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"see to its name, and to .HTTP_PROXY") as told:
        RemoteStudies(Head(head.address)).study_names()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("host", ["caf\u00e9..x", "x" * 300, "a..b"])
def test_a_name_that_no_machine_has_is_one_line(host: str) -> None:
    with pytest.raises(MnistTuneError) as told:
        RemoteStudies(Head(HeadAddress.parse(f"http://{host}:1", "--storage"))).study_names()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://head", "http://head:8080"),
        ("https://head#sha256=" + "0" * 64, "https://head:8080"),
        ("https://head.example.org", "https://head.example.org:443"),
        ("https://head:8443/", "https://head:8443"),
    ],
)
def test_a_port_that_is_left_out_is_the_one_that_is_customary(text: str, url: str) -> None:
    assert HeadAddress.parse(text, "--storage").url == url


def test_a_copy_for_which_a_head_has_no_room_is_one_line(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    room = Room([place.path for place in folders(tmp_path)], free_disk=1 << 60)
    with running(opened_again(study).storage, tmp_path, roles=(Role.ADMIN,), room=room) as full:
        service = RemoteStudies(Head(full.address, full.tokens[Role.ADMIN]))
        with pytest.raises(MnistTuneError, match=r"the head's disk has .* left, and keeps"):
            service.copy_out("tiny")
