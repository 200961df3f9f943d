"""The command `dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import ArtifactsOption, CheckpointsOption, DatabaseOption
from mnist_tune.errors import UserError
from mnist_tune.storage.named import named_storage


def dashboard(
    storage: DatabaseOption = None,
    host: Annotated[str, typer.Option("--host", help="The address or name to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 is any that is free.")] = 8080,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen where other machines can reach it.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse every request that would change something.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")] = False,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Show the studies of a storage in the browser, also while workers are on them.

    It is optuna-dashboard, with metric names, learning curves, and each trial's parameters, failure and
    files filled in.

    Example: mnist-tune dashboard
    """
    from mnist_tune.dashboard.server import Server, find_address, open_browser, serve
    from mnist_tune.processes import standard_streams

    standard_streams.work_on()
    _check_storage(*named_storage(storage))
    address = find_address(host, allow_remote=allow_remote)
    opened, folders = storages.storage(storage), storages.folders(storage, checkpoints, artifacts)
    server = Server(address, port)
    url = address.url(server.server_port)

    from mnist_tune.dashboard.app import guarded_app
    from mnist_tune.dashboard.guards import local_names, remote_names

    names = local_names(host) if address.is_loopback else remote_names(host)
    app = guarded_app(opened, folders, names, read_only=read_only)
    if not address.is_loopback:
        may = "see every study" if read_only else "see and delete every study"
        options.say(f"the dashboard has no login: whoever can reach {url} may {may}")

    def on_start() -> None:
        options.say(f"dashboard on {url} (Ctrl-C ends it)")
        if not no_open:
            open_browser(url)

    serve(server, app, on_start)


def _check_storage(text: str, source: str) -> None:
    """Refuse the address of a head. Raises UserError."""
    from mnist_tune.serve.address import is_head

    if is_head(text):
        raise UserError(
            f"{source}: names a head, and this needs the database itself; run it on the head's machine, "
            "or have the head show it: mnist-tune serve --dashboard"
        )
