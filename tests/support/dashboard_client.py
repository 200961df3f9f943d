"""The dashboard's application, asked as a browser on this machine would ask it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from mnist_tune.dashboard.app import dashboard_app
from mnist_tune.dashboard.guards import local_names
from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import folders, opened_again

HOME = "127.0.0.1:8080"
HERE = local_names("127.0.0.1")
REASON = "ValueError: <script>alert(1)</script>\n  ```\n# not a headline\n![](http://elsewhere/x.png) $x$"


@dataclass(frozen=True)
class Reply:
    """The application's answer to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to a WSGI application as a browser on this machine would."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, method: str, path: str, content: Any = None, **headers: str) -> Reply:
        body = b"" if content is None else json.dumps(content).encode()
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_HOST": HOME,
            "HTTP_ACCEPT_ENCODING": "gzip",
        }
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        setup_testing_defaults(environ)
        said: list[Any] = []
        parts = self.app(environ, lambda *head: said.append(head))
        return Reply(int(said[0][0].split()[0]), dict(said[0][1]), b"".join(parts))

    def detail(self, study: OpenStudy) -> Any:
        """All that the page asks for about a study."""
        return self("GET", f"/api/studies/{study.study_id}").json


def app_of(study: OpenStudy, folder: Path) -> Any:
    """The dashboard without its guard, with a storage of its own, as another process would have it."""
    return dashboard_app(opened_again(study).storage, folders(folder))
