"""The commands `token add`, `token list` and `token revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DatabaseOption, JsonOption, TokensOption
from mnist_tune.errors import MnistTuneError
from mnist_tune.processes import standard_streams
from mnist_tune.serve.roles import Role

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_tune.serve.tokens import Tokens

app = typer.Typer(help="Who may use the head of a storage.", no_args_is_help=True)
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="What the token is called: whose it is, or where.", show_default=False
    ),
]


@app.callback()
def token() -> None:
    """Who may use the head of a storage."""


@app.command("add")
def add(
    name: NameArgument,
    role: Annotated[
        Role,
        typer.Option(
            "--role", help="A viewer looks, a worker works too, an admin may do all.", show_default=False
        ),
    ],
    storage: DatabaseOption = None,
    tokens: TokensOption = None,
) -> None:
    """Make a token, and print it: only now, since its hash alone is kept.

    Whoever has it may use the head as its role allows. A head that is running accepts it at once.

    Example: mnist-tune token add gpu-1 --role worker
    """
    kept = _tokens(storage, tokens)
    made = kept.add(name, role)
    standard_streams.work_on()
    try:
        options.print_exactly(made)  # all other output hides tokens
    except MnistTuneError as error:
        kept.revoke(name)  # nobody has seen it
        raise MnistTuneError(f"{error}; no token was made") from None
    options.say(
        f"the token of '{name}', a {role}; it is not shown again, and {kept.path} has its hash", err=True
    )


@app.command("list")
def list_(storage: DatabaseOption = None, tokens: TokensOption = None, as_json: JsonOption = False) -> None:
    """List the tokens by their names, never what they are.

    Example: mnist-tune token list
    """
    from mnist_tune.text.times import local_time

    kept = _tokens(storage, tokens)
    found = kept.listed()
    if as_json:
        options.print_json([each._asdict() for each in found])
        return
    for each in found:
        options.say(f"{each.name}: {each.role}, made {local_time(each.made)}, id {each.id}")
    if not found:
        options.say(f"no tokens in {kept.path}; make one with: mnist-tune token add NAME --role ROLE")


@app.command("revoke")
def revoke(name: NameArgument, storage: DatabaseOption = None, tokens: TokensOption = None) -> None:
    """Forget a token: a head that is running refuses it from the next request on.

    Example: mnist-tune token revoke gpu-1
    """
    kept = _tokens(storage, tokens)
    kept.revoke(name)
    options.say(f"revoked the token of '{name}' in {kept.path}")


def _tokens(storage: str | None, file: Path | None) -> Tokens:
    from mnist_tune.files.locations import tokens_file
    from mnist_tune.serve.tokens import Tokens
    from mnist_tune.storage.engine import storage_url

    return Tokens(tokens_file(storage_url(storage), file))
