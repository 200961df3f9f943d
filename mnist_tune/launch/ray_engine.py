"""Workers as actors of a Ray cluster: Ray finds room for them and restarts them after a lost node.

Ray only places workers; its queues, schedulers and samplers are not used. No failure here loses a cell.
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
from mnist_tune.launch.request import LaunchRequest, refuse_only_here
from mnist_tune.processes.child_process import Ending
from mnist_tune.text.wording import first_line
from mnist_tune.worker.pool import NO_FAILURE

try:
    import ray
    from ray.exceptions import RayError
except ModuleNotFoundError:
    raise UserError("--on ray: needs Ray; run pip install 'mnist-tune[ray]'") from None

RESTARTS = 3
"""How often a failed worker is started again; after a lost node there is no limit."""
ANSWER_SECONDS = 10.0
SAY_AGAIN_SECONDS = 2.0
LOCAL = "local"
LOCAL_STORE_BYTES = 80 << 20
"""Nearly the least that Ray takes: we keep nothing in its object store."""


def connect(order: LaunchRequest, address: str | None) -> str:
    """Join the cluster at `address` or $RAY_ADDRESS, else start one on this machine; says which it is.

    A cluster that was started on this machine ends with this process.

    Raises:
        UserError: there is no such cluster, or other machines cannot reach the storage.
        MnistTuneError: Ray did not start.
    """
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    # Ray reports its usage to its makers unless this is set.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    arguments: dict[str, Any] = {"address": address, "logging_level": "ERROR", "log_to_driver": False}
    if address == LOCAL:
        # On the loopback alone: Ray trusts everything on its network.
        arguments |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        arguments |= {"object_store_memory": LOCAL_STORE_BYTES}
    else:
        refuse_only_here(order, f"Ray at {address}")
    try:
        _knock(address)
        # Ray has its workers import from this command's current folder, so it is changed.
        with warnings.catch_warnings(action="ignore"), chdir("/"):  # the error says the same
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
    """Check that something listens at HOST:PORT. Ray would try for minutes and not react to Ctrl-C."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()


def has_room(order: LaunchRequest) -> bool:
    """Whether any present node could hold a worker if nothing else ran on it."""
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
    """A worker as an actor; Ray has found a place for it once `is_placed` has a result."""

    actor: Any
    is_placed: Any
    restarts: int


class RayPool:
    """The workers of one request, from the call of Ray until their ends."""

    def __init__(self, order: LaunchRequest) -> None:
        self._order = order
        self._running: dict[Any, _Placed] = {}
        self._codes: set[int] = set()
        self._failures: list[str] = []
        self._stops = 0
        self._said = 0.0
        # One thread each for `run`, `stop` and `is_placed`.
        self._actor = ray.remote(RemoteWorker).options(
            num_cpus=order.cpus,
            num_gpus=order.gpus,
            resources=_resources(order),
            max_concurrency=3,
            max_restarts=-1,
            max_task_retries=-1,
        )

    def start(self) -> None:
        """Ask for all workers; Ray's autoscaler sees those for which there is no room now."""
        for _ in range(self._order.workers):
            self._ask(RESTARTS)

    def is_alive(self) -> bool:
        """Whether any worker runs or waits for room; failed ones are started again."""
        with _the_cluster_there():
            if self._stops and time.monotonic() - self._said > SAY_AGAIN_SECONDS:
                self._say_stop()
            if self._running:
                ended, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
                for run in ended:
                    self._look_at(run)
        return bool(self._running)

    def stop(self, times: int) -> None:
        """Ask every worker to leave: at the end of its epoch or, the second time, at once."""
        self._stops = max(self._stops, times)
        with suppress(ConnectionError):  # the workers are gone already
            self._forget_waiting()
            self._say_stop()

    def kill(self) -> None:
        """Kill every worker; their cells come back when their leases run out."""
        with suppress(ConnectionError):
            for run in list(self._running):
                ray.kill(self._running.pop(run).actor)

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""
        codes = self._codes - NO_FAILURE
        return MISTAKE if MISTAKE in codes else FAILED if codes else 0

    def failures(self) -> list[str]:
        """The last output of the workers that failed, one line each."""
        return self._failures

    def _say_stop(self) -> None:
        # Repeated, since an actor that Ray restarts after a lost node has not heard of it.
        self._said = time.monotonic()
        for placed in self._running.values():
            placed.actor.stop.remote(self._stops)

    def _ask(self, restarts: int) -> None:
        actor = self._actor.remote()
        # These secrets are an argument: Ray's dashboard shows an actor's environment, and the cluster keeps
        # the arguments of its constructor.
        run = actor.run.remote(
            self._order.study, list(self._order.arguments), dict(self._order.environment), str(Path.cwd())
        )
        self._running[run] = _Placed(actor, actor.is_placed.remote(), restarts)

    def _look_at(self, run: Any) -> None:
        placed = self._running.pop(run)  # Ray ends the actor when its handle is gone
        try:
            left = Left(*ray.get(run))
        except RayError as error:
            left = Left(FAILED, _first_line(error))
        if left.code == 0:  # the study is finished: nobody needs to wait for room
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
    """Turn a lost link into a MnistTuneError; with `ray://` it is a builtin ConnectionError."""
    try:
        yield
    except ConnectionError as error:
        raise MnistTuneError(
            f"the Ray cluster is gone ({_first_line(error)}); no cell is lost, and the same command goes on"
        ) from None


def _resources(order: LaunchRequest) -> dict[str, float]:
    try:
        return {name: float(amount) for name, amount in order.options.items()}
    except ValueError:
        raise UserError("--engine-option: with Ray, write RESOURCE=AMOUNT, such as big_disk=1") from None


def _first_line(error: BaseException) -> str:
    return first_line(str(error).strip())
