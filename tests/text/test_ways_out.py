"""Only a few modules write text to the outside."""

from __future__ import annotations

import ast
from pathlib import Path

import mnist_tune

PRINTERS = {
    "mnist_tune/__main__.py",
    "mnist_tune/processes/new_process.py",
    "mnist_tune/text/console.py",
    "mnist_tune/text/log_handler.py",
    "mnist_tune/cli/__init__.py",
    "mnist_tune/cli/commands.py",
    "mnist_tune/cli/options.py",
    "mnist_tune/launch/remote_worker.py",
    "mnist_tune/serve/dashboard_process.py",  # to the head alone, which hides secrets when it logs a line
}
"""The modules that may write text to the outside; all others use them."""


def test_there_is_no_other_way_out() -> None:
    root = Path(mnist_tune.__file__).parent
    others = []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "typer.echo",
                "typer.secho",
                "Console",
                "sys.stdout.write",
                "sys.stderr.write",
            ):
                others.append(path.relative_to(root.parent).as_posix())
    assert set(others) <= PRINTERS
