"""Requests that are ambiguous, too large, too slow or cut, as bytes on a socket."""

from __future__ import annotations

import gzip
import socket
import struct
from collections.abc import Iterator

import pytest

from mnist_tune.serve import bodies
from mnist_tune.serve.connections import LONGEST_HEAD, MOST_HEADERS
from mnist_tune.serve.roles import Role
from tests.support.heads import RunningHead, begun, said, statuses, trickled

HIDDEN = b"GET /api/v1/copies? HTTP/1.1\r\nHost: x\r\n\r\n"
"""A second request, which only one of two readers would see."""


@pytest.fixture(autouse=True)
def it_is_well(head: RunningHead) -> Iterator[None]:
    yield
    assert head.is_well()


@pytest.fixture
def asks(head: RunningHead) -> bytes:
    """The beginning of a sound request."""
    return begun(head, "POST", "/api/v1/open", Role.VIEWER)


AMBIGUOUS = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "both lengths, the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "two lengths": b"Content-Length: 0\r\nContent-Length: 41\r\n\r\n" + HIDDEN,
    "the same length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "a list of lengths": b"Content-Length: 0, 41\r\n\r\n" + HIDDEN,
    "a signed length": b"Content-Length: +5\r\n\r\nhello" + HIDDEN,
    "a negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello" + HIDDEN,
    "a huge length": b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "an encoding that is none": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked, and then more": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a folded header": b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a folded length": b"Content-Length:\r\n 0\r\n\r\n" + HIDDEN,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a line feed alone": b"Content-Length: 0\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a carriage return alone": b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a NUL": b"X: a\0b\r\n\r\n" + HIDDEN,
    "no name": b": 5\r\n\r\n" + HIDDEN,
    "another protocol": b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" + HIDDEN,
    "another protocol, and a body": b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 41\r\n\r\n"
    + HIDDEN,
    "a bad chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "a huge chunk": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + HIDDEN,
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_that_two_readers_may_understand_differently_is_refused(
    head: RunningHead, asks: bytes, sent: bytes
) -> None:
    answers = statuses(head.answer_to(asks + sent))
    assert answers
    assert all(400 <= status < 500 for status in answers)
    assert len(answers) == 1, "what follows it was read as a request of its own"


HEADS = {
    "a long header": b"X: " + b"a" * LONGEST_HEAD + b"\r\n\r\n",
    "a long name": b"a" * LONGEST_HEAD + b": x\r\n\r\n",
    "a long header without an end": b"X: " + b"a" * 1_000_000,
    "many headers": b"X: a\r\n" * (MOST_HEADERS + 1) + b"\r\n",
    "headers without an end": b"X: a\r\n" * 200_000,
}


@pytest.mark.parametrize("sent", HEADS.values(), ids=HEADS.keys())
def test_headers_are_bounded(head: RunningHead, asks: bytes, sent: bytes) -> None:
    assert statuses(head.answer_to(asks + sent)) in ([400], [])  # or the client does not stop to talk


def test_an_address_is_bounded(head: RunningHead) -> None:
    assert statuses(head.answer_to(b"GET /" + b"a" * LONGEST_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == [400]


NO_REQUESTS = (
    *(b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\0\x01", b"\0" * 100, b"SSH-2.0-x\r\n", b"x" * 100_000),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"),
    *(b"GET http://[ HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"TRACE / HTTP/1.1\r\n\r\n"),
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET /api/v1/copies HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
)


@pytest.mark.parametrize("sent", NO_REQUESTS)
def test_what_is_no_request_gets_no_good_answer(head: RunningHead, sent: bytes) -> None:
    assert all(status >= 400 for status in statuses(head.answer_to(sent)))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "GZIP"])
def test_a_body_is_not_compressed(head: RunningHead, encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with head.client(Role.WORKER) as client:
        for method, path in (("POST", "/api/v1/open"), ("PUT", "/api/v1/files")):
            answer = client.request(method, path, content=bomb, headers={"Content-Encoding": encoding})
            assert (answer.status_code, said(answer)) == (415, "a body is not compressed")


@pytest.mark.slow
def test_a_body_is_bounded_and_says_its_length(head: RunningHead, asks: bytes) -> None:
    declared = b"Content-Length: %d\r\n\r\n" % (bodies.LONGEST_JSON + 1)
    assert statuses(head.answer_to(asks + declared)) == [413]
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"4\r\nabcd\r\n" * 100
    assert statuses(head.answer_to(asks + chunks)) == [411]
    with head.client(Role.WORKER) as client:
        assert client.put("/api/v1/files", content=iter([b"x"])).status_code in (400, 411)


def test_a_body_that_trickles_is_given_up(
    head: RunningHead, asks: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS_FOR_JSON", 0.3)
    with head.connect() as connection:
        connection.sendall(asks + b"Content-Length: 100\r\n\r\n")
        assert statuses(trickled(connection, b" ")) == [408]


def test_a_client_that_goes_away_in_its_request_is_nothing_to_speak_of(
    head: RunningHead, asks: bytes
) -> None:
    before = list(head.lines)
    for sent in (
        b"",
        b"GET",
        asks,
        asks + b"Content-Length: 100\r\n\r\n{",
        asks + b"Content-Length: 16\r\n\r\n",
    ):
        with head.connect() as connection:
            connection.sendall(sent)
        with head.connect() as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    assert head.is_well()
    assert head.lines == before
