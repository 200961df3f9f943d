"""When and how often a process is asked to stop, and which signals it ignores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mnist_tune.worker.signals import Interrupted, StopRequest, pass_on
from tests.support.waiting import wait_until

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP

LISTENS = """
import os, signal, sys, time
from mnist_tune.worker.signals import StopRequest
stop = StopRequest()
signal.signal(signal.SIGTERM, lambda *_: None)  # as Ray does
stop.listen()
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    os.kill(os.getpid(), number)
    print(number.name, stop.requested, flush=True)
"""


class Clock:
    """The seconds at which the signals come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr("mnist_tune.worker.signals.time.monotonic", lambda: self.now)


@pytest.mark.parametrize(
    ("signals", "times"),
    [
        ([(TERM, 0.0)], 1),
        ([(INT, 0.0), (INT, 0.2)], 2),  # a human's second Ctrl-C
        ([(INT, 0.0), (INT, 0.2), (INT, 0.4)], 3),
        ([(INT, 0.0), (INT, 0.01)], 1),  # a wrapper hands on what the terminal has told already
        ([(TERM, 0.0), (TERM, 0.02)], 1),  # `timeout` tells its child, then its group
        ([(HUP, 0.0), (HUP, 0.1)], 1),  # a closed terminal, by the kernel and by the shell
        ([(TERM, 0.0), (HUP, 0.1)], 1),  # the end of a session
        ([(INT, 0.0), (TERM, 0.05), (INT, 0.3)], 2),
        ([(TERM, 0.0), (TERM, 1.0)], 2),
        ([(TERM, 0.0), (TERM, 0.4), (TERM, 0.8)], 2),
        ([(TERM, 0.0), (INT, 1.0)], 2),
    ],
)
def test_one_stop_that_is_told_in_several_ways_is_one(
    monkeypatch: pytest.MonkeyPatch, signals: list[tuple[int, float]], times: int
) -> None:
    clock = Clock(monkeypatch)
    stop = StopRequest()
    for number, moment in signals:
        clock.now = 1_000.0 + moment
        stop._on_signal(number, None)
    assert stop.times == times


def test_what_a_process_was_told_and_what_is_passed_on_to_it_are_the_same_stop() -> None:
    reading, writing = os.pipe()
    stop = StopRequest()
    stop.follow(reading)
    stop._on_signal(TERM, None)  # to all processes of a unit
    pass_on(writing, 1)  # and from the one that has got it too
    wait_until(lambda: stop._passed_on == 1)
    assert stop.times == 1
    stop.check_urgent()
    pass_on(writing, 2)  # a human is in a hurry there
    wait_until(lambda: stop.times == 2)
    with pytest.raises(Interrupted, match="the process that started the worker asked it to stop"):
        stop.check_urgent()
    os.close(writing)


def test_two_stops_that_are_passed_on_at_once_are_two() -> None:
    reading, writing = os.pipe()
    pass_on(writing, 2)
    stop = StopRequest()
    stop.follow(reading)
    wait_until(lambda: stop.times == 2)
    os.close(writing)


def test_a_process_that_is_gone_after_it_said_stop_does_not_say_it_again() -> None:
    reading, writing = os.pipe()
    stop = StopRequest()
    others = set(threading.enumerate())
    stop.follow(reading)
    (following,) = set(threading.enumerate()) - others
    pass_on(writing, 1)
    os.close(writing)
    following.join()
    assert (stop.times, stop.reason) == (1, "the process that started the worker asked it to stop")


def test_a_stop_that_nobody_hears_any_more_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pass_on(writing, 1)
    os.close(writing)


def test_waiting_ends_when_a_stop_is_asked_for() -> None:
    stop = StopRequest()
    signal.signal(signal.SIGALRM, lambda *_: stop.request("enough"))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    stop.wait(600)
    assert stop.reason == "enough"


def test_a_guest_in_a_process_listens_to_ctrl_c_alone_and_gives_it_back() -> None:
    stop = StopRequest()
    before = [signal.getsignal(number) for number in (INT, TERM, HUP)]
    with stop.listening():
        assert [signal.getsignal(number) for number in (TERM, HUP)] == before[1:]
        os.kill(os.getpid(), INT)
    assert stop.times == 1
    assert [signal.getsignal(number) for number in (INT, TERM, HUP)] == before


def test_a_guest_leaves_an_ignored_ctrl_c_ignored_and_other_threads_alone() -> None:
    stop = StopRequest()
    before = signal.signal(INT, signal.SIG_IGN)
    try:
        with stop.listening():
            os.kill(os.getpid(), INT)
    finally:
        signal.signal(INT, before)
    assert not stop.requested
    heard = []

    def listen() -> None:
        with stop.listening():
            heard.append(signal.getsignal(INT))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert heard == [before]


@pytest.mark.parametrize("ignored", ["", "HUP", "INT", "TERM", "HUP INT TERM"])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(tmp_path: Path, ignored: str) -> None:
    trap = f"trap '' {ignored}; " if ignored else ""
    answer = subprocess.run(
        ["sh", "-c", f'{trap}exec "$0" -c "$1"', sys.executable, LISTENS],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    heard, expected = False, []
    for name in ("HUP", "INT", "TERM"):
        heard |= name not in ignored.split()
        expected.append(f"SIG{name} {heard}")
    assert answer.stdout.splitlines() == expected


INTERRUPTED_AT = """
import os, signal, sys

class CtrlC:
    @staticmethod
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC)
sys.argv = ["mnist-tune", "studies"]
from mnist_tune.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "ignored"),
    [("typer", False), ("mnist_tune.cli.studies", False), ("sqlalchemy", False), ("typer", True)],
)
def test_ctrl_c_while_something_is_imported_ends_a_command_without_a_word(
    tmp_path: Path, module: str, ignored: bool
) -> None:
    trap = "trap '' INT; " if ignored else ""
    answer = subprocess.run(
        ["sh", "-c", f'{trap}exec "$0" -c "$1"', sys.executable, INTERRUPTED_AT.format(module=module)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "MNIST_TUNE_STORAGE": f"sqlite:///{tmp_path}/studies.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == ""
    if ignored:  # it goes on, to say that there is no such file
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    else:
        assert (answer.returncode, answer.stderr) == (-INT, "")
