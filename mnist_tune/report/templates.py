"""Pages from templates: what a study has stored is text on them, and only our own scripts run."""

from __future__ import annotations

import base64
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mnist_tune.text.visible import visible_text


def templates(package: str, folder: str) -> Environment:
    """The templates in a folder of a package. What fills them is escaped, but our own markup."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def allowed(*texts: str) -> str:
    """These scripts or styles as a content policy names those that a browser may use: by their hashes."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _visible(value: object) -> object:
    """Make a value for a template safe to show; our own markup stays as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible_text(value)
