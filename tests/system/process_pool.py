"""Keeps a number of processes alive, whatever happens to them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from signal import SIGCONT, SIGKILL, SIGSTOP

from tests.support.forked_processes import FORK


@dataclass(frozen=True)
class Treatment:
    """What is done to how many workers. Times are in seconds; `kill_every` is a mean."""

    workers: int = 8
    kill_every: float = 0.3
    stalled_at_once: int = 1
    limit: float = 600.0


class ProcessPool:
    """Workers forked from this process, which must have no threads and no open database."""

    def __init__(self, target: Callable[[], None], treatment: Treatment, seed: int) -> None:
        self.kills = 0
        self.stalls = 0
        self._target = target
        self._treatment = treatment
        self._random = random.Random(seed)
        self._deadline = time.monotonic() + treatment.limit
        self._workers = [self._start() for _ in range(treatment.workers)]
        self._stalled: dict[ForkProcess, float] = {}
        """When each stalled worker is to go on."""

    def kill_and_stall(self, grace: float) -> None:
        """Kill workers, and stall some for about the grace period, until one leaves by itself."""
        while time.monotonic() < self._deadline:
            pause = self._random.uniform(0, 2 * self._treatment.kill_every)
            wait([worker.sentinel for worker in self._workers], timeout=pause)
            self._wake(time.monotonic())
            if any(worker.exitcode is not None for worker in self._workers):
                return
            victim = self._random.choice([one for one in self._workers if one not in self._stalled])
            if len(self._stalled) < self._treatment.stalled_at_once:
                self._stall(victim, grace * self._random.uniform(0.8, 2.0))
            else:
                self._kill(victim)

    def let_all_leave(self) -> list[str]:
        """Wait until all have left; returns what is wrong with how they left."""
        self._wake(float("inf"))
        problems = []
        for worker in self._workers:
            worker.join(timeout=max(0.0, self._deadline - time.monotonic()))
            if worker.exitcode != 0:
                problems.append(f"worker {worker.pid} has not left well: {worker.exitcode}")
                worker.kill()
                worker.join()
        return problems

    def _start(self) -> ForkProcess:
        worker = FORK.Process(target=self._target)
        worker.start()
        return worker

    def _kill(self, victim: ForkProcess) -> None:
        victim.kill()
        victim.join()
        if victim.exitcode == -SIGKILL:  # it may have left a moment ago
            self._workers[self._workers.index(victim)] = self._start()
            self.kills += 1

    def _stall(self, victim: ForkProcess, seconds: float) -> None:
        assert victim.pid is not None
        os.kill(victim.pid, SIGSTOP)
        self._stalled[victim] = time.monotonic() + seconds
        self.stalls += 1

    def _wake(self, now: float) -> None:
        for worker in [one for one, until in self._stalled.items() if until <= now]:
            del self._stalled[worker]
            assert worker.pid is not None
            with suppress(ProcessLookupError):  # it had left just before it was to be stalled
                os.kill(worker.pid, SIGCONT)
