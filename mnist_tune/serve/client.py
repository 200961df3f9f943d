"""Asks a head over HTTP, and tells its failures in the words of the contract."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from mnist_tune import __version__
from mnist_tune.contract import wire
from mnist_tune.contract.study import StorageAway, StorageFailed
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.cut_links import notice_cuts
from mnist_tune.serve.pinned import PASSING, pinned_context
from mnist_tune.serve.sending import GIVEN_UP, PIECE, URGENT_SECONDS, digest, pieces, unless_hurried
from mnist_tune.text.wording import first_line

TOKEN_VARIABLE = "MNIST_TUNE_TOKEN"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""After so many seconds without an answer a head is asked again."""
IDLE_SECONDS = 20.0
"""How long a connection is kept for the next request: for less time than a head keeps it."""
FILE_ANSWER_SECONDS = 60.0
"""The same for a file: when all of it is sent, what stands between may still have most of it to pass on.

For so long may a part of it wait too: a system has megabytes in hand before it takes more.
"""
COMES_BACK = {408, 425, 429, 502, 503, 504}
"""Statuses of a head, or of what stands before it, that pass."""
JSON, FILE = "application/json", "application/octet-stream"
CORRECT = "write the address that 'mnist-tune serve' has printed"


class Head:
    """A head, with one connection for each thread that asks it at the same time."""

    def __init__(
        self,
        address: HeadAddress,
        token: str | None = None,
        *,
        answers_within: float = ANSWER_SECONDS,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        """The token is $MNIST_TUNE_TOKEN unless it is given. A later answer (seconds) counts as none.

        `hurry`: whether what takes long is to be given up now.
        """
        self.address = address
        self._hurry = hurry
        token = token or os.environ.get(TOKEN_VARIABLE)
        headers = {"User-Agent": f"mnist-tune/{__version__}", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {_sendable(token.strip())}"
        self._headers = headers
        self._timeout = httpx.Timeout(answers_within, connect=CONNECT_SECONDS)
        # Who waits for short answers asks again soon enough.
        is_patient = answers_within > FILE_ANSWER_SECONDS
        self._cuts = {"trace": partial(notice_cuts, is_to_take_at_once=is_patient)}
        self._http: httpx.Client | None = None
        self._has_answered = False

    def wait_at_most(self, seconds: float) -> None:
        """Ask again after so many seconds without an answer, if this is shorter than the default."""
        self._timeout = httpx.Timeout(min(ANSWER_SECONDS, seconds), connect=min(CONNECT_SECONDS, seconds))

    def post(self, path: str, body: bytes) -> httpx.Response:
        """The answer to a JSON text.

        Raises:
            StorageAway: there is no answer now; the same question may be answered later.
            UserError: the token is not known, or the head is of another version.
            LeaseLost, StorageFailed, MnistTuneError, OSError: so the head has answered.
        """
        headers = {"Content-Type": JSON}
        return self._told("POST", path, self._timeout_now(), content=body, headers=headers)

    def send(self, path: str, query: Mapping[str, str], file: BinaryIO) -> httpx.Response:
        """The answer to a file, which is read twice.

        Raises as `post`, and OSError if it cannot be read or if there is a hurry.
        """
        sha256, size = digest(file)
        headers = {"Content-Type": FILE, "Content-Length": str(size)}
        seconds = max(FILE_ANSWER_SECONDS, self._timeout.read or 0.0)
        of_file = httpx.Timeout(**self._timeout.as_dict() | {"read": seconds, "write": seconds})
        query = {**query, "sha256": sha256}

        def send() -> httpx.Response:
            return self._told("PUT", path, of_file, params=query, content=pieces(file), headers=headers)

        return unless_hurried(send, self._hurry)

    def fetch(self, path: str, query: Mapping[str, str], sink: BinaryIO) -> None:
        """Write the answer, which is a file, to `sink`. Raises as `post`, and OSError as `send`."""
        try:
            asked = self._client().stream(
                "GET", path, params=query, timeout=self._timeout_now(), extensions=self._cuts
            )
            with asked as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                    self._check(answer)
                self._check_kind(answer, FILE)
                for piece in answer.iter_bytes(PIECE):
                    sink.write(piece)
                    if self._hurry():
                        raise OSError(GIVEN_UP)
        except httpx.HTTPError as error:
            raise self._away(error) from None

    def _timeout_now(self) -> httpx.Timeout:
        return httpx.Timeout(URGENT_SECONDS) if self._hurry() else self._timeout

    def _told(self, method: str, path: str, timeout: httpx.Timeout, **what: Any) -> httpx.Response:
        answer = self._ask(method, path, timeout, **what)
        self._check_kind(answer, JSON)
        return answer

    def _check_kind(self, answer: httpx.Response, wanted: str) -> None:
        """Raise UserError if no head answers there; StorageAway if one has done so before.

        Then it may be the page of a network that wants a login first.
        """
        if answer.headers.get("Content-Type") == wanted:
            self._has_answered = True
        elif self._has_answered:
            raise StorageAway(f"{self.address.url}: something else than a head answers there now")
        else:
            raise self.no_head("it answers in another form")

    def _ask(self, method: str, path: str, timeout: httpx.Timeout, **what: Any) -> httpx.Response:
        try:
            client = self._client()
            answer = client.request(method, path, timeout=timeout, extensions=self._cuts, **what)
        except httpx.HTTPError as error:
            raise self._away(error) from None
        except (httpx.InvalidURL, UnicodeError):  # of a name that no machine can have
            raise self.no_head("no machine has this name") from None
        self._check(answer)
        return answer

    def understood(self, adapter: TypeAdapter[Any], answer: httpx.Response) -> Any:
        """The value in an answer. Raises StorageFailed: it is not a head's, or one of another version."""
        try:
            return adapter.validate_json(answer.content)
        except ValidationError:
            where = self.address.url
            raise StorageFailed(f"{where}: its answer is not that of a head of {__version__}") from None

    def no_head(self, why: str) -> UserError:
        """The complaint about an address at which something else answers."""
        return UserError(f"{self.address.url}: no head of mnist-tune answers there: {why}; {CORRECT}")

    def _check(self, answer: httpx.Response) -> None:
        """Raise what an answer tells of, unless it is a good one."""
        if answer.status_code == httpx.codes.OK:
            return
        known = wire.untold(answer.content)
        if known is not None:
            raise known
        told, where = wire.message(answer.content), self.address.url
        said = told or f"it answers with status {answer.status_code}"
        if told is None and self._has_answered:  # it is no head's answer, where a head has answered before
            raise StorageAway(f"{where}: {said}")
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise UserError(f"{where}: {said}; set ${TOKEN_VARIABLE} to a token that may do this")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise UserError(f"{where}: {said}; set ${TOKEN_VARIABLE} to a token of this head")
        if answer.status_code == httpx.codes.UPGRADE_REQUIRED:
            raise UserError(f"{where}: {said}; this is mnist-tune {__version__}")
        if answer.status_code in COMES_BACK:
            raise StorageAway(f"{where}: {said}")
        if answer.status_code == httpx.codes.NOT_FOUND or answer.has_redirect_location:
            raise self.no_head(f"its answer has status {answer.status_code}")
        raise StorageFailed(f"{where}: {said}")

    def _away(self, error: httpx.HTTPError) -> MnistTuneError:
        where, why = self.address.url, first_line(str(error)) or type(error).__name__
        problem = _of_tls(error)
        if isinstance(problem, ssl.SSLCertVerificationError):
            return UserError(
                f"{where}: its certificate is not trusted: {first_line(problem.verify_message)}; write "
                "the whole line that 'mnist-tune serve' has printed, or name its authority in $SSL_CERT_FILE"
            )
        if problem is not None and not isinstance(problem, PASSING):
            return UserError(
                f"{where}: does not speak TLS as this machine does ({problem.reason}); "
                "write http:// for a head without a certificate"
            )
        is_unclear = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
        if is_unclear and where.startswith("http:") and not self._has_answered:
            why += " (for a head with a certificate write https://)"
        if isinstance(error, httpx.TooManyRedirects | httpx.UnsupportedProtocol):
            return self.no_head(why)
        return StorageAway(f"{where} does not answer: {why}")

    def _client(self) -> httpx.Client:
        if self._http is None:  # not earlier: the head may not answer yet
            trusted = self._trusted()
            try:
                self._http = httpx.Client(
                    base_url=f"{self.address.url}/api/v{wire.API}",
                    headers=self._headers,
                    verify=trusted,
                    limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
                    follow_redirects=False,
                )
            except (
                ImportError,
                ValueError,
                OSError,
                httpx.InvalidURL,
            ) as error:  # ssl.SSLError is an OSError
                raise UserError(
                    f"{self.address.url} cannot be asked ({first_line(str(error))}); see to its name, and to "
                    "$HTTP_PROXY, $HTTPS_PROXY, $ALL_PROXY and $SSL_CERT_FILE"
                ) from None
        return self._http

    def _trusted(self) -> ssl.SSLContext | bool:
        if self.address.fingerprint is None:
            return True
        parts = urlsplit(self.address.url)
        assert parts.hostname
        assert parts.port
        try:
            return pinned_context(parts.hostname, parts.port, self.address.fingerprint, CONNECT_SECONDS)
        except OSError as error:
            raise StorageAway(f"{self.address.url} does not answer: {error.strerror or error}") from None


def _of_tls(error: BaseException | None) -> ssl.SSLError | None:
    """The failure of TLS because of which a request has failed, if it has."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _sendable(token: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise UserError(f"${TOKEN_VARIABLE} is no token: it has characters that none has")
    return token
