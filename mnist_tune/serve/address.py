"""The address of a head, as it is written where else a database's URL is."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from mnist_tune.errors import UserError

SCHEMES = ("http", "https")
FINGERPRINT = re.compile(r"sha256=([0-9a-f]{64})")


class HeadAddress(NamedTuple):
    """Where a head listens, and the SHA-256 of its own certificate, in hexadecimal digits, if it has one."""

    url: str
    fingerprint: str | None = None

    def __str__(self) -> str:
        return self.url if self.fingerprint is None else f"{self.url}#sha256={self.fingerprint}"

    @property
    def is_loopback(self) -> bool:
        """Whether each machine finds itself there, so that others do not reach the head."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        try:
            address = ip_address(host)
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")
        return address.is_loopback or address.is_unspecified

    def at_port(self, port: int) -> str:
        """The URL of another port of the same machine."""
        return f"{self.url.rpartition(':')[0]}:{port}"

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """The address in `text`; errors call it by `source`, which says where it was written.

        Raises:
            UserError: it is none.
        """
        form = f"{source}: write http://HOST:PORT, or the whole line that 'mnist-tune serve' has printed"
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise UserError(form) from None
        if parts.username or parts.password:
            # The text is not shown: it holds a secret.
            raise UserError(f"{source}: a head takes no user and no password; set $MNIST_TUNE_TOKEN")
        if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
            raise UserError(form)
        fingerprint = None
        if parts.fragment:
            known = FINGERPRINT.fullmatch(parts.fragment)
            if known is None or parts.scheme != "https":
                raise UserError(
                    f"{source}: a certificate's fingerprint is 64 digits: https://HOST:PORT#sha256=..."
                )
            fingerprint = known[1]
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        # What stands before a head, and has a certificate of its own, is at the port that is customary.
        usual = 443 if parts.scheme == "https" and fingerprint is None else 8080
        return cls(f"{parts.scheme}://{host}:{port or usual}", fingerprint)


def is_head(text: str) -> bool:
    """Whether the text of a storage names a head, and not a database."""
    return text.strip().partition("://")[0].lower() in SCHEMES
