"""An address on the web that is told of events."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from urllib.parse import urlsplit

import httpx

from mnist_tune import __version__
from mnist_tune.errors import UserError
from mnist_tune.serve.notify import receiver
from mnist_tune.serve.notify.events import Event
from mnist_tune.serve.notify.receiver import NotTold, key_of
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import first_line

SIGNATURE = "Mnist-Tune-Signature"
STATUS_REDIRECT, STATUS_ERROR = 300, 400


class WebReceiver:
    """An address to which each event is posted as JSON, signed if there is a secret."""

    def __init__(self, url: str, secret: str | None) -> None:
        """Raises UserError: it is no address of the web."""
        self.key = key_of(url)
        try:
            parts = urlsplit(url)
            address = httpx.URL(url)
            self._auth = (address.username, address.password) if address.userinfo else None
            self._address = address.copy_with(userinfo=b"", fragment=None)
            port = parts.port
        except (ValueError, httpx.InvalidURL):
            # It is not shown: it may hold a secret.
            raise UserError("--notify: this is no URL; write https://HOST/PATH") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise UserError("--notify: events are sent to http:// and https:// only; write https://HOST/PATH")
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.shown = visible(f"{address.scheme}://{host}{'' if port is None else f':{port}'}")
        self._secret = secret
        self._client: httpx.AsyncClient | None = None

    async def tell(self, event: Event) -> None:
        """See `Receiver`. Redirections are not followed, and of the answer only the status is read."""
        body = event.model_dump_json().encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"mnist-tune/{__version__}",
            "Mnist-Tune-Event": str(event.event),
            "Mnist-Tune-Event-Id": event.id,
        }
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, int(time.time()), body)
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=receiver.SECONDS, follow_redirects=False)
        try:
            async with (
                asyncio.timeout(receiver.SECONDS),  # the client's own times are those of each piece
                self._client.stream(
                    "POST", self._address, content=body, headers=headers, auth=self._auth
                ) as answer,
            ):
                status = answer.status_code
        except TimeoutError:
            raise NotTold(f"no answer within {receiver.SECONDS:g} s") from None
        except httpx.TimeoutException:
            raise NotTold("no answer in time") from None
        except httpx.ConnectError as error:
            raise NotTold(f"cannot be reached: {first_line(str(error))}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NotTold(f"the connection failed ({type(error).__name__})") from None
        if STATUS_REDIRECT <= status < STATUS_ERROR:
            raise NotTold(f"it answers with a redirection ({status}), which is not followed")
        if not httpx.codes.is_success(status):
            raise NotTold(f"it answers with status {status}")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def signature(secret: str, moment: int, body: bytes) -> str:
    """What a receiver compares: when a body was sent, in seconds since 1970, and the HMAC of both."""
    told = hmac.new(secret.encode("utf-8", "surrogateescape"), b"%d.%s" % (moment, body), hashlib.sha256)
    return f"t={moment},v1={told.hexdigest()}"
