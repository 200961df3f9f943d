"""Real workers, kept at a number, and what is done to them and to all processes that they start."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
from tests.support.process_tree import command_line, descendants, training_processes
from tests.system.deeds import (
    A_CUT_EVERY,
    KILLED_AGAIN,
    LOST_ANSWERS,
    ROUND,
    SERVER,
    START_SECONDS,
    Act,
    Cruelty,
    Deed,
    Victim,
)
from tests.system.ways_to_a_study import Way


class WorkerFleet:
    """Workers that run one command line. A new one is started for each that was killed or drained."""

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        output: Path,
        way: Way,
        cruelty: Cruelty,
        seed: int,
    ) -> None:
        """`output` gets all that is printed."""
        self.deeds: list[Deed] = []
        self.problems: list[str] = []
        self._arguments, self._environment = arguments, dict(environment)
        self._output = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._way = way
        self._cruelty = cruelty
        self._random = random.Random(seed)
        self._deadline = time.monotonic() + cruelty.limit
        self._workers: list[ChildProcess] = []
        self._started: dict[int, int] = {}
        self._drained: set[int] = set()
        self._condemned: set[int] = set()
        """The workers that were killed or asked to leave."""
        self._lasting: list[tuple[float, Callable[[], object], Deed]] = []
        """When each stall and cut is to end, and how."""
        self._is_finished = self._owes_a_cut = False
        self._acts = self._in_rounds()

    def torment(self, grace: float) -> None:
        """Do all this, with stalls and cuts of about the grace period, until a worker says it is finished."""
        while not self._is_finished:
            if time.monotonic() > self._deadline:
                self.problems.append(f"not finished after {self._cruelty.limit:g} s")
                break
            self._end_what_lasts(time.monotonic())
            self._fill()
            time.sleep(self._random.uniform(0, 2 * self._cruelty.every))
            self._bury()
            self._do_something(grace)
        self._end_what_lasts(float("inf"))

    def let_all_leave(self) -> None:
        """Wait until every worker has left by itself."""
        for worker in self._workers:
            if worker.wait(max(1.0, self._deadline - time.monotonic())) is None:
                self.problems.append(f"worker {worker.pid} does not leave")
                worker.kill()
                worker.wait(10)
        self._bury()
        os.close(self._output)

    def count(self, act: Act) -> Counter[str]:
        """How often this was done to which victims."""
        return Counter(deed.victim for deed in self.deeds if deed.act == act)

    def _do_something(self, grace: float) -> None:
        act, may_last = next(self._acts), not self._lasting
        self._owes_a_cut |= act == "cut"  # while something else lasts, it has to wait
        if self._owes_a_cut and may_last:
            self._owes_a_cut = False
            self._cut(grace)
        elif act == "drain":
            self._drain()
        elif act == "lose":
            self._note_lost_answers()
            self._way.lose_an_answer()
            self.deeds.append(Deed("lose", "storage", 0))
        elif (found := self._victim()) is not None:
            if act == "stall" and may_last:
                self._stall(found, grace)
            else:
                self._kill(found, grace)

    def _in_rounds(self) -> Iterator[Act]:
        for number in itertools.count(1):
            acts = list(Counter(ROUND).elements())
            if self._way.link is not None:
                acts += ["lose"] * LOST_ANSWERS
            if number % A_CUT_EVERY == 0:
                acts.append("cut")
            yield from self._random.sample(acts, len(acts))

    def _victim(self) -> Deed | None:
        names, weights = zip(*self._cruelty.victims.items(), strict=True)
        (name,) = self._random.choices(names, weights)
        found = list(self._processes(name))
        return self._random.choice(found) if found else None

    def _processes(self, name: Victim) -> Iterator[Deed]:
        """Who could be that victim now, as what would be done to it."""
        if name == "fork server":
            servers = {pid for pid in descendants(os.getpid()) if command_line(pid)[:2] == SERVER}
            children = {pid for server in servers for pid in descendants(server)}
            # A child has its server's name until it has one of its own.
            yield from (Deed("kill", name, pid) for pid in sorted(servers - children))
            return
        if name == "head":
            if self._way.head is not None and self._way.head.is_alive:
                yield Deed("kill", name, self._way.head.pid)
            return
        for worker in self._workers:
            if name == "worker":
                yield Deed("kill", name, worker.pid)
                continue
            for training in training_processes(worker.pid):
                if name == "training process":
                    yield Deed("kill", name, training, keepers=(worker.pid,))
                    continue
                for pid in descendants(training):
                    is_watchdog = command_line(pid)[-1:] != [] and "watchdog.py" in command_line(pid)[-1]
                    if is_watchdog == (name == "watchdog"):
                        yield Deed("kill", name, pid, keepers=(worker.pid, training))

    def _kill(self, deed: Deed, grace: float) -> None:
        if deed.victim in ("fork server", "head") and self._is_stalled(deed.victim):
            return
        deed.began = time.monotonic_ns()
        if deed.victim == "head":
            self._kill_head(deed, grace)
            return
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(deed.pid, signal.SIGKILL)
            self.deeds.append(deed)
            self._condemned.add(deed.pid)
            if deed.victim == "training process":  # a worker whose first one dies while it loads leaves
                self._condemned |= set(deed.keepers)

    def _kill_head(self, deed: Deed, grace: float) -> None:
        head = self._way.head
        assert head is not None

        def start_again() -> None:
            head.start()
            if self._random.random() < KILLED_AGAIN:
                time.sleep(self._random.uniform(0, START_SECONDS))
                head.kill()
                self.deeds.append(Deed("kill", "head", head.pid, deed.began, time.monotonic_ns()))
                head.start()
            head.wait_until_it_answers()

        head.kill()
        self.deeds.append(deed)
        pause = self._random.choice([0.0, 0.0, self._random.uniform(0, 1.5 * grace)])
        self._lasting.append((time.monotonic() + pause, start_again, deed))

    def _stall(self, deed: Deed, grace: float) -> None:
        deed.act, deed.began = "stall", time.monotonic_ns()
        with suppress(ProcessLookupError):
            os.kill(deed.pid, signal.SIGSTOP)
            self._let_last(deed, grace, lambda: os.kill(deed.pid, signal.SIGCONT))

    def _cut(self, grace: float) -> None:
        deed = Deed("cut", "storage", 0)
        self._let_last(deed, grace, self._way.cut().close)

    def _let_last(self, deed: Deed, grace: float, end: Callable[[], object]) -> None:
        self.deeds.append(deed)
        self._lasting.append((time.monotonic() + grace * self._random.uniform(0.8, 2.0), end, deed))

    def _drain(self) -> None:
        able = [worker for worker in self._workers if worker.pid not in self._drained]
        if able:
            worker = self._random.choice(able)
            self._drained.add(worker.pid)
            self._condemned.add(worker.pid)
            self.deeds.append(Deed("drain", "worker", worker.pid))
            worker.send_signal(signal.SIGTERM)

    def _end_what_lasts(self, now: float) -> None:
        for until, end, deed in list(self._lasting):
            if until <= now:
                self._lasting.remove((until, end, deed))
                with suppress(ProcessLookupError):  # it was killed meanwhile
                    end()
                deed.ended = time.monotonic_ns()

    def _is_stalled(self, victim: Victim) -> bool:
        return any(deed.victim == victim for _, _, deed in self._lasting)

    def _fill(self) -> None:
        # A worker that starts needs all of them: without a storage it leaves with an error.
        needed: tuple[Victim, ...] = ("fork server", "storage", "head")
        if any(self._is_stalled(each) for each in needed):
            return
        fork_server.begin(fork_server.WORKERS)
        while len(self._workers) < self._cruelty.workers:
            worker = ChildProcess(
                "mnist_tune.__main__:main",
                argv=["mnist-tune", *self._arguments],
                stdout=self._output,
                stderr=self._output,
                environment=fork_server.environment() | self._environment,
                own_session=True,
            )
            started = time.monotonic_ns()
            worker.start()
            self._workers.append(worker)
            self._started[worker.pid] = started

    def _bury(self) -> None:
        """Take note of the workers that have ended."""
        self._note_lost_answers()
        for worker in list(self._workers):
            ending = worker.poll()
            if ending is None:
                continue
            self._workers.remove(worker)
            self._is_finished |= ending.code == 0
            if ending.code != 0 and not (worker.pid in self._condemned or self._was_cut_off(worker.pid)):
                self.problems.append(f"worker {worker.pid} {ending}")

    def _note_lost_answers(self) -> None:
        """The answer to a worker's first request may be lost long after that was decided."""
        if self._way.link is not None and self._way.link.has_lost_it:
            for deed in self.deeds:
                if deed.act == "lose" and deed.ended is None:
                    deed.ended = time.monotonic_ns()

    def _was_cut_off(self, worker: int) -> bool:
        """Whether the storage did not answer while it started, so that it has left with an error."""
        silences = [deed for deed in self.deeds if deed.keeps_away or deed.act == "lose"]
        ends = [deed.ended or time.monotonic_ns() for deed in silences]
        return any(end > self._started[worker] for end in ends)
