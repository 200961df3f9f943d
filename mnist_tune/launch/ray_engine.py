"""Workers as actors of a Ray cluster: Ray finds them room and starts them again where a node was lost.

Placement only: no queue, no scheduler and no sampler of Ray's. Whatever happens here, the cells are safe.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_tune.errors import FAILED, MISTAKE, MnistTuneError, UserError
from mnist_tune.launch.remote_worker import Left, RemoteWorker
from mnist_tune.launch.request import Order, refuse_file
from mnist_tune.processes.child_process import Ending
from mnist_tune.text.wording import first_line
from mnist_tune.worker.pool import NO_FAILURE

try:
    import ray
    from ray.exceptions import RayError
except ModuleNotFoundError:
    raise UserError("--on ray: needs Ray; run pip install 'mnist-tune[ray]'") from None

RESTARTS = 3
"""Of a worker that failed. One whose node was lost is started again as often as that happens."""
ANSWER_SECONDS = 10.0
SAY_AGAIN_SECONDS = 2.0
LOCAL = "local"
LOCAL_STORE_BYTES = 80 << 20
"""Nearly the least that Ray takes: nothing of ours lies in its object store."""


def connect(order: Order, address: str | None) -> str:
    """Join the cluster at `address` or $RAY_ADDRESS, else start one on this machine; says which it is.

    The cluster on this machine ends with this process.

    Raises:
        UserError: there is no such cluster, or the storage is a file that others cannot reach.
        MnistTuneError: Ray did not start.
    """
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    # Ray sends its makers what it is used for, unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    arguments: dict[str, Any] = {"address": address, "logging_level": "ERROR", "log_to_driver": False}
    if address == LOCAL:
        # On the loopback alone: Ray is for networks that are trusted.
        arguments |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        arguments |= {"object_store_memory": LOCAL_STORE_BYTES}
    else:
        refuse_file(order.url, order.study, f"Ray at {address}")
    try:
        _knock(address)
        # Ray has its workers import from this command's current folder.
        with warnings.catch_warnings(action="ignore"), chdir("/"):  # of what the error says too
            ray.init(**arguments)
    except ImportError as error:
        raise UserError(f"--address {address}: {_first_line(error)}") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({_first_line(error)}); "
            "leave it out for one on this machine"
        ) from None
    except Exception as error:
        raise MnistTuneError(f"Ray did not start: {_first_line(error)}") from None
    nodes = sum(node["Alive"] for node in ray.nodes())
    where = "on this machine" if address == LOCAL else f"at {address}"
    return f"Ray {where}, {nodes} node{'s' if nodes > 1 else ''}"


def _knock(address: str) -> None:
    """See that something listens at HOST:PORT. Ray would try for minutes, deaf to Ctrl-C."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()


def has_room(order: Order) -> bool:
    """Whether any node that is there now could hold a worker, if nothing else ran on it."""
    needed = {"CPU": order.cpus, "GPU": order.gpus} | _resources(order)
    return any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in needed.items())
        for node in ray.nodes()
        if node["Alive"]
    )


def disconnect() -> None:
    """Leave the cluster; one that was started here ends."""
    ray.shutdown()


@dataclass
class _Placed:
    """A worker as an actor, which Ray has found a place for once `is_placed` answers."""

    actor: Any
    is_placed: Any
    restarts: int


class RayPool:
    """The workers of an order, from the moment Ray is asked for them to their ends."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._running: dict[Any, _Placed] = {}
        self._codes: set[int] = set()
        self._failures: list[str] = []
        self._stops = 0
        self._said = 0.0
        # A thread for `run`, one for `stop`, one for `is_placed`; the rest is what Ray is asked for.
        self._actor = ray.remote(RemoteWorker).options(
            num_cpus=order.cpus,
            num_gpus=order.gpus,
            resources=_resources(order),
            max_concurrency=3,
            max_restarts=-1,
            max_task_retries=-1,
        )

    def start(self) -> None:
        """Ask for all workers; those that find no room now are what Ray's autoscaler sees."""
        for _ in range(self._order.workers):
            self._ask(RESTARTS)

    def is_alive(self) -> bool:
        """Whether any worker runs or waits for room. Starts those again that failed."""
        with _the_cluster_there():
            if self._stops and time.monotonic() - self._said > SAY_AGAIN_SECONDS:
                self._say_stop()
            if self._running:
                ended, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
                for run in ended:
                    self._look_at(run)
        return bool(self._running)

    def stop(self, times: int) -> None:
        """Ask every worker to leave: at the end of its epoch or, asked a second time, at once."""
        self._stops = max(self._stops, times)
        with suppress(ConnectionError):  # then they are gone already
            self._forget_waiting()
            self._say_stop()

    def kill(self) -> None:
        """End every worker at once; their cells come back when their leases run out."""
        with suppress(ConnectionError):
            for run in list(self._running):
                ray.kill(self._running.pop(run).actor)

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""
        codes = self._codes - NO_FAILURE
        return MISTAKE if MISTAKE in codes else FAILED if codes else 0

    def failures(self) -> list[str]:
        """What the workers that ended badly said last, one line each."""
        return self._failures

    def _say_stop(self) -> None:
        # Again and again: an actor that Ray starts anew, its node being lost, does not know of it.
        self._said = time.monotonic()
        for placed in self._running.values():
            placed.actor.stop.remote(self._stops)

    def _ask(self, restarts: int) -> None:
        actor = self._actor.remote()
        # As arguments: an actor's environment could be read in Ray's dashboard, and its constructor's
        # arguments are kept by the cluster.
        run = actor.run.remote(
            self._order.study, list(self._order.arguments), self._order.secret_url, str(Path.cwd())
        )
        self._running[run] = _Placed(actor, actor.is_placed.remote(), restarts)

    def _look_at(self, run: Any) -> None:
        placed = self._running.pop(run)  # without its handle Ray ends the actor
        try:
            left = Left(*ray.get(run))
        except RayError as error:
            left = Left(FAILED, _first_line(error))
        if left.code == 0:  # the study is finished: nobody need wait for room any longer
            self._forget_waiting()
        again = left.code not in (MISTAKE, *NO_FAILURE) and placed.restarts > 0 and not self._stops
        if again:
            self._ask(placed.restarts - 1)
            return
        self._codes.add(left.code)
        if left.code not in NO_FAILURE:
            self._failures.append(f"a worker {Ending(left.code)}: {left.last_line}")

    def _forget_waiting(self) -> None:
        for run, placed in list(self._running.items()):
            if not ray.wait([placed.is_placed], timeout=0)[0]:
                ray.kill(placed.actor)
                del self._running[run]


@contextmanager
def _the_cluster_there() -> Iterator[None]:
    """With `ray://`, a lost link is a builtin ConnectionError."""
    try:
        yield
    except ConnectionError as error:
        raise MnistTuneError(
            f"the Ray cluster is gone ({_first_line(error)}); no cell is lost, and the same command goes on"
        ) from None


def _resources(order: Order) -> dict[str, float]:
    try:
        return {name: float(amount) for name, amount in order.options.items()}
    except ValueError:
        raise UserError("--engine-option: with Ray, write RESOURCE=AMOUNT, such as big_disk=1") from None


def _first_line(error: BaseException) -> str:
    return first_line(str(error).strip())
