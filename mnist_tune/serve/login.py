"""Logs browsers in: by a token that a person types once, and then by a cookie that only opens pages.

Whatever changes something wants the token itself with each request. So a page of another site, which a
browser sends its cookies with, can change nothing.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mnist_tune.serve import sessions
from mnist_tune.serve.bodies import json_body
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.html import html
from mnist_tune.serve.roles import Role
from mnist_tune.serve.sessions import Sessions

LONGEST_FORM = 2_000
"""In bytes."""
FORM = "application/x-www-form-urlencoded"
HOME, LOGIN, LOGOUT = "/", "/login", "/logout"


class Login:
    """Says who may see the pages, and logs in and out."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._sessions = Sessions()

    def routes(self) -> list[Route]:
        """The addresses at which browsers log in and out."""
        return [
            Route(LOGIN, self._show, methods=["GET"]),
            Route(LOGIN, self._log_in, methods=["POST"]),
            Route(LOGOUT, self._log_out, methods=["POST"]),
        ]

    def lets_in(self, request: Request) -> bool:
        """Whether who asks may look at things, by a token or by a cookie. Raises HTTPException."""
        if "authorization" in request.headers:
            self._gate.check(request, Role.VIEWER)
            return True
        return self._gate.needs_no_token(request) or self.has_session(request)

    def has_session(self, request: Request) -> bool:
        """Whether who asks has logged in. Raises HTTPException."""
        word = _word(request)
        token = self._sessions.find(word)
        if token is None:
            return False
        if not self._gate.still_knows(token):
            self._sessions.end(word)
            return False
        return token.role.allows(Role.VIEWER)

    async def _show(self, request: Request) -> Response:
        return _home() if self.lets_in(request) else _page()

    async def _log_in(self, request: Request) -> Response:
        if self._gate.needs_no_token(request):
            return _home()
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                raise HTTPException(415, "a login is a form")
            token = self._gate.holder(request, _token_in(await json_body(request, LONGEST_FORM)))
        except HTTPException as refusal:
            return _page(refusal)
        self._sessions.end(_word(request))
        answer = _home()
        answer.set_cookie(
            _cookie(request),
            self._sessions.begin(token),
            max_age=sessions.SECONDS,
            path="/",
            secure=_is_encrypted(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _log_out(self, request: Request) -> Response:
        if self._gate.needs_no_token(request):
            return _home()
        self._sessions.end(_word(request))
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(
            _cookie(request), "/", secure=_is_encrypted(request), httponly=True, samesite="strict"
        )
        return answer


def _page(refusal: HTTPException | None = None) -> Response:
    if refusal is None:
        return html("login.html", problem=None)
    answer = html("login.html", status=refusal.status_code, problem=refusal.detail)
    answer.headers.update(refusal.headers or {})
    return answer


def _home() -> Response:
    return RedirectResponse(HOME, 303)


def _token_in(form: bytes) -> str:
    """What was typed into the form's one field; what is no such form holds no token."""
    try:
        return parse_qs(form.decode("ascii"), max_num_fields=1).get("token", [""])[0].strip()
    except ValueError:
        return ""


def _cookie(request: Request) -> str:
    """The name of the cookie. Browsers give the heads of all ports of a machine the same cookies."""
    _, port = request.scope["server"]
    return f"mnist-tune-{port}"


def _word(request: Request) -> str:
    return request.cookies.get(_cookie(request), "")


def _is_encrypted(request: Request) -> bool:
    """Whether the browser's connection is; a proxy that ends it tells so by the page's origin alone."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
