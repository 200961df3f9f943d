"""Says who may ask a head for what: by tokens, or, while there are none, only from this machine."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from mnist_tune.dashboard.guards import LINK, OWN
from mnist_tune.errors import UserError
from mnist_tune.serve.failed_logins import FailedLogins
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Known, Tokens

T = TypeVar("T")

BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


class Gate:
    """Checks each request before anything else is done with it."""

    def __init__(self, tokens: Tokens, log: Callable[[str], None], *, without_tokens: bool) -> None:
        """`without_tokens`: whether who is on this machine needs no token, until there are some."""
        self._tokens = tokens
        self._log = log
        self._without_tokens = without_tokens
        self._failed = FailedLogins()

    def check(self, request: Request, needed: Role) -> None:
        """Let a request in that may do what takes the role `needed`. Raises HTTPException."""
        if self.needs_no_token(request):
            return
        given = BEARER.fullmatch(request.headers.get("authorization", ""))
        known = self.holder(request, given and given[1])
        if not known.role.allows(needed):
            raise HTTPException(
                403, f"the token '{known.name}' has the role {known.role}, and this takes the role {needed}"
            )

    def needs_no_token(self, request: Request) -> bool:
        """Whether who asks may do all. Raises HTTPException for what another site or machine has sent."""
        _check_origin(request)
        _check_embedding(request)
        self._without_tokens = self._without_tokens and not self._known(self._tokens.listed)
        if self._without_tokens:
            _check_local(request)
        return self._without_tokens

    def holder(self, request: Request, token: str | None) -> Known:
        """What is known of the token that a request has; wrong ones are counted. Raises HTTPException.

        A token that is known is not refused for wrong ones of others: a proxy gives all the same address.
        """
        known = None if token is None else self._known(lambda: self._tokens.find(token))
        if known is not None:
            return known
        address = _address(request)
        if (seconds := self._failed.seconds_to_wait(address)) > 0:
            raise HTTPException(429, "too many wrong tokens came from here", {"Retry-After": str(seconds)})
        if token is None:
            raise HTTPException(401, "this head wants a token", {"WWW-Authenticate": "Bearer"})
        self._failed.failed(address)
        self._log(f"{address}: a token that is not known was refused")
        raise HTTPException(401, "this head does not know the token", {"WWW-Authenticate": "Bearer"})

    def still_knows(self, token: Known) -> bool:
        """Whether a token that was known has not been revoked since. Raises HTTPException."""
        return token in self._known(self._tokens.listed)

    def _known(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except UserError as error:  # the file is damaged, say, which is for the head's owner to read
            self._log(str(error))
            raise HTTPException(503, "the head cannot read its tokens; its log says why") from None


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site has a browser send."""
    origin = request.headers.get("origin")
    if origin is not None and (_place(origin) or "?") != request.headers.get("host", "").lower():
        raise HTTPException(403, "this comes from a page of another site")


def _check_embedding(request: Request) -> None:
    """Refuse what a page of another site would embed: it cannot read an answer, but one may cost much."""
    told = request.headers
    if told.get("sec-fetch-mode", LINK) != LINK and told.get("sec-fetch-site", "none") not in OWN:
        raise HTTPException(403, "this comes from a page of another site")


def _check_local(request: Request) -> None:
    """Refuse what comes from another machine, or was led here by a foreign name for this one."""
    if not (_is_local(_address(request)) and _is_local(host_of(request))):
        raise HTTPException(403, "a head without tokens is for its own machine, by the name localhost")


@functools.lru_cache(maxsize=256)
def _is_local(name: str) -> bool:
    """Whether a name or an address is always this machine's own: other names may be led here by anybody."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(request: Request) -> str:
    """The name by which the client calls this machine; none if it is unclear."""
    named = request.headers.getlist("host")
    return _name_in(named[0]) if len(named) == 1 else ""


@functools.lru_cache(maxsize=256)
def _name_in(host: str) -> str:
    """The name in what a request calls its host, which may have a port; none if it is unclear."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _place(origin: str) -> str:
    return origin.partition("://")[2].lower()
