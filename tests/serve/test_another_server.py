"""A worker that asks what is no head, or a head of another version, by TLS or not: one clear line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mnist_tune import __version__
from mnist_tune.contract.study import StorageAway, StorageFailed, new_token
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.certificate import Certificate, own_certificate
from mnist_tune.serve.client import Head
from mnist_tune.serve.opening import Encryption
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.serve.roles import Role
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, taken
from tests.support.heads import RunningHead, running
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again
from tests.support.tls_server import running as serving

SECRET = "mnt_" + "s" * 43


class Server(ThreadingHTTPServer):
    """Answers every request with the same bytes."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    seen: list[str]


class _Same(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[Server]:
    """A server that is no head."""
    server = Server(("127.0.0.1", 0), _Same)
    server.seen = []
    with serving(server):
        yield server


def opens(address: HeadAddress | Server, folder: Path, token: str | None = SECRET) -> RemoteStudy:
    """What a worker does first."""
    if isinstance(address, Server):
        address = HeadAddress(f"http://127.0.0.1:{address.server_port}")
    return RemoteStudy(Head(address, token), "tiny", folder)


def refusal(kind: type[MnistTuneError], address: HeadAddress | Server, folder: Path) -> str:
    """The one line with which a worker does not begin; it holds no token."""
    with pytest.raises(kind) as told:
        opens(address, folder)
    line = str(told.value)
    assert "\n" not in line
    assert SECRET not in line
    return line.partition(": ")[2]


NO_HEADS = {
    "a page": (200, {"Content-Type": "text/html"}, b"<html><body>Welcome</body></html>"),
    "nothing": (200, {}, b""),
    "other JSON": (200, {}, b'{"message": "hello"}'),
    "a list": (200, {}, b"[1, 2]"),
    "a redirection": (302, {"Location": "https://login.example/"}, b""),
    "nothing there": (404, {}, b"<html>404</html>"),
}


@pytest.mark.parametrize("answer", NO_HEADS.values(), ids=NO_HEADS.keys())
def test_what_is_no_head_is_called_so(
    other: Server, tmp_path: Path, answer: tuple[int, dict[str, str], bytes]
) -> None:
    other.answer = answer
    line = refusal(UserError, other, tmp_path)
    assert line.startswith("no head of mnist-tune answers there")
    assert line.endswith("write the address that 'mnist-tune serve' has printed")
    assert other.seen == ["/api/v1/open"]  # no other place was asked


@pytest.mark.parametrize("status", [500, 501, 400, 418])
def test_a_failure_in_other_words_is_one_line(other: Server, tmp_path: Path, status: int) -> None:
    other.answer = status, {}, b"<html>\n" * 1000
    assert refusal(StorageFailed, other, tmp_path) == f"it answers with status {status}"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_whose_head_is_away_is_asked_again(other: Server, tmp_path: Path, status: int) -> None:
    other.answer = status, {}, b"<html>Bad gateway</html>"
    assert refusal(StorageAway, other, tmp_path) == f"it answers with status {status}"


def test_a_head_of_a_later_version_tells_the_worker_what_to_install(other: Server, tmp_path: Path) -> None:
    told = {
        "kind": "refused",
        "message": "this head is mnist-tune 9.0 and answers version 2; install the same one",
    }
    other.answer = 426, {}, json.dumps(told).encode()
    assert refusal(UserError, other, tmp_path) == f"{told['message']}; this is mnist-tune {__version__}"


@pytest.mark.parametrize("answer", [b"<html>", b'{"number": 1}', b"null", b"", b'"no standing"'])
def test_an_answer_that_is_none_is_one_line_while_a_worker_runs(
    head: RunningHead, study: OpenStudy, other: Server, tmp_path: Path, answer: bytes
) -> None:
    worker = opens(head.address, tmp_path, head.tokens[Role.WORKER])
    moved = Head(HeadAddress(f"http://127.0.0.1:{other.server_port}"))
    other.answer = 200, {"Content-Type": "application/json"}, answer
    vars(worker)["_head"] = moved
    for call in (
        worker.standing,
        lambda: worker.register(ME),
        lambda: worker.claim(ME, new_token()),
    ):
        with pytest.raises(StorageFailed, match="is not that of a head"):
            call()


@contextmanager
def encrypted(folder: Path, pair: Certificate | None) -> Iterator[RunningHead]:
    study = opened_again(new_study(folder, TWO_CELLS))
    encryption = Encryption() if pair is None else Encryption(True, pair.path, pair.key)
    with running(study.storage, folder, roles=(Role.WORKER,), encryption=encryption) as head:
        yield head


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return own_certificate(tmp_path_factory.mktemp("pair") / "head.tokens", ["127.0.0.1", "localhost"])


@pytest.fixture(scope="module")
def secured(pair: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHead]:
    with encrypted(tmp_path_factory.mktemp("secured"), pair) as head:
        yield head


def test_the_right_fingerprint_is_trusted_and_another_is_not(
    secured: RunningHead, pair: Certificate, tmp_path: Path
) -> None:
    right = HeadAddress(secured.address.url, pair.fingerprint)
    assert opens(right, tmp_path, secured.tokens[Role.WORKER]).name == "tiny"
    line = refusal(UserError, HeadAddress(secured.address.url, "0" * 64), tmp_path)
    assert line.startswith(f"its certificate has the fingerprint {pair.fingerprint}, not the one given")


def test_a_certificate_is_trusted_if_the_machine_trusts_it(
    secured: RunningHead, pair: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = refusal(UserError, HeadAddress(secured.address.url), tmp_path)
    assert line.startswith("its certificate is not trusted: self-signed certificate; write")
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.path))
    worker = opens(HeadAddress(secured.address.url), tmp_path, secured.tokens[Role.WORKER])
    worker.register(ME)
    assert taken(worker).number == 0


def test_who_asks_without_tls_or_with_it_where_the_head_does_not_hears_so(
    secured: RunningHead, head: RunningHead, tmp_path: Path
) -> None:
    plain = HeadAddress(secured.address.url.replace("https", "http"))
    with pytest.raises(
        StorageAway, match=r"does not answer: .* \(for a head with a certificate write https://\)$"
    ):
        opens(plain, tmp_path)
    for fingerprint in (None, "0" * 64):
        line = refusal(
            UserError, HeadAddress(head.address.url.replace("http", "https"), fingerprint), tmp_path
        )
        assert line.startswith("does not speak TLS as this machine does (")
        assert line.endswith("write http:// for a head without a certificate")


@pytest.mark.parametrize("what", ["other key", "no key", "no certificate", "missing", "password"])
def test_a_pair_that_is_none_is_told_of_in_one_line(pair: Certificate, tmp_path: Path, what: str) -> None:
    other = own_certificate(tmp_path / "other.tokens", ["x"])
    text = tmp_path / "text"
    text.write_text("hello")
    pairs = {
        "other key": (pair.path, other.key),
        "no key": (pair.path, text),
        "no certificate": (text, pair.key),
        "missing": (pair.path, tmp_path / "missing"),
        "password": (pair.path, with_password(pair.key, tmp_path / "locked")),
    }
    with (
        pytest.raises(UserError) as told,
        running(
            opened_again(new_study(tmp_path, TWO_CELLS)).storage,
            tmp_path,
            encryption=Encryption(True, *pairs[what]),
        ),
    ):
        pass
    assert "\n" not in str(told.value)


def with_password(key: Path, path: Path) -> Path:
    from cryptography.hazmat.primitives import serialization as forms

    private = forms.load_pem_private_key(key.read_bytes(), None)
    locked = forms.BestAvailableEncryption(b"secret")
    path.write_bytes(private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, locked))
    return path
