"""The command `serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import ArtifactsOption, CheckpointsOption, DatabaseOption, TokensOption
from mnist_tune.text.times import stamp

GIGABYTE = 10**9


def serve(
    storage: DatabaseOption = None,
    host: Annotated[
        str,
        typer.Option("--host", help="The address or name to listen on; 0.0.0.0 lets other machines in."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 is any that is free.")] = 8080,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Show optuna-dashboard too, for reading, at a port of its own."),
    ] = False,
    dashboard_port: Annotated[
        int | None,
        typer.Option(
            "--dashboard-port",
            min=0,
            max=65535,
            help="Its port. Default: the one after --port.",
            show_default=False,
        ),
    ] = None,
    tokens: TokensOption = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert",
            metavar="FILE",
            help="A certificate in PEM that machines trust. Default: one of the head's own.",
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.", show_default=False)
    ] = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help="Leave encryption to a proxy or a tunnel before the head.")
    ] = False,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    file_quota: Annotated[
        float | None,
        typer.Option(
            "--file-quota",
            metavar="GB",
            min=0,
            help="The most gigabytes that all files of trials may take.",
            show_default=False,
        ),
    ] = None,
    free_disk: Annotated[
        float,
        typer.Option(
            "--free-disk", metavar="GB", min=0, help="Refuse files that would leave less of the disk free."
        ),
    ] = 1.0,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            "--notify",
            metavar="COMMAND|URL",
            help="Who is told when a study finishes, has a new best, or a cell fails for good; for several, "
            "give it again. Default: $MNIST_TUNE_NOTIFY, one a line.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Let workers on other machines work on the studies of this storage. It prints the line that joins one.

    They need no database and no shared folder: states, weights and logs come here. When it stops, they train
    on, and store later. On 127.0.0.1 it needs no login; elsewhere workers have a token and a certificate.

    Example: mnist-tune serve --host 0.0.0.0
    """
    from mnist_tune.processes import standard_streams
    from mnist_tune.serve.dashboard_port import DashboardPort
    from mnist_tune.serve.gate import Gate
    from mnist_tune.serve.notify.notifier import notifying, outbox_for
    from mnist_tune.serve.notify.receivers import named_receivers
    from mnist_tune.serve.opening import Encryption, door, opened, second_listener
    from mnist_tune.serve.room import Room
    from mnist_tune.serve.server import Server
    from mnist_tune.storage.engine import storage_url
    from mnist_tune.study.store import study_names

    standard_streams.work_on()
    is_read = sys.stdout.isatty()

    def log(line: str) -> None:
        options.say(f"{stamp(on_terminal=is_read)} {line}")

    url, folders = storage_url(storage), storages.folders(storage, checkpoints, artifacts)
    # Before a database and tokens are made: a start that fails leaves nothing.
    its_door = door(url, host, port, tokens, Encryption(not no_tls, tls_cert, tls_key))
    beside = None
    if dashboard or dashboard_port is not None:
        beside = second_listener(host, dashboard_port, port)
    receivers = named_receivers(notify)
    with outbox_for(url, receivers, log) as outbox:
        kept = storages.storage(storage, create=True)
        opening = opened(url, its_door, may_show_tokens=is_read)
        room = Room(
            [folder.path for folder in folders],
            None if file_quota is None else int(file_quota * GIGABYTE),
            int(free_disk * GIGABYTE),
        )
        shown = None if beside is None else DashboardPort(beside, kept.engine.url, folders, log)
        gate = Gate(opening.tokens, log, without_tokens=opening.is_local)
        server = Server(kept, folders, gate, room, log, shown)
        server.heed_signals()  # who reads the line may end the head at once
        with notifying(kept, outbox, receivers, log):
            for line in opening.lines(study_names(kept)):
                options.print_exactly(line)  # all other output hides tokens
            if shown is not None:
                options.say(f"dashboard on {opening.address.at_port(shown.port)}")
            if receivers:
                options.say(f"tells of events: {', '.join(receiver.shown for receiver in receivers)}")
            server.run(opening.listener, opening.certificate)
