"""The log of an attempt: printed lines in pieces, and how many of them are kept."""

from __future__ import annotations

import sys
import threading

import pytest

from mnist_tune.worker.attempt_log import MAX_PRINTED, AttemptLog


def texts(log: AttemptLog, most: int = MAX_PRINTED) -> list[str]:
    """The lines without their times."""
    return [line.split(" ", 2)[2] for line in log.lines(most)]


def test_a_line_in_pieces_stands_where_it_ended() -> None:
    log = AttemptLog()
    log.say("one")
    for piece in (b"a ", b"line", b"\nand a"):
        log.printed(piece)
    log.say("two")
    assert texts(log) == ["one", "| a line", "| and a", "two"]
    log.printed(b" second\n")
    assert texts(log) == ["one", "| a line", "two", "| and a second"]


def test_a_line_that_is_drawn_anew_may_be_cut_anywhere() -> None:
    content = b"first\r\nnot this\rnor this\rthis\r\n\rlast\r"
    for size in range(1, len(content) + 1):
        log = AttemptLog()
        for place in range(0, len(content), size):
            log.printed(content[place : place + size])
        assert texts(log) == ["| first", "| this", "| last"], size


def test_all_lines_of_the_worker_are_kept_with_the_newest_of_the_job() -> None:
    log = AttemptLog()
    for number in range(100):
        log.say(f"said {number}")
        log.printed(b"".join(b"%d %d\n" % (number, line) for line in range(2_000)))
    kept = texts(log)
    printed = [line for line in kept if line.startswith("| ")]
    assert [line for line in kept if line.startswith("said")] == [f"said {number}" for number in range(100)]
    [notice] = [line for line in kept if "left out" in line]
    assert notice == f"the job has printed {200_000 - len(printed):,} lines more, which are left out"
    assert printed[-1] == "| 99 1999"
    assert kept.index(notice) + 1 == kept.index(printed[0])
    size = sum(len(line.encode()) + 1 for line in log.lines() if " | " in line)
    assert MAX_PRINTED - 100 < size <= MAX_PRINTED
    [few, last] = texts(log, 40)[-2:]
    assert (few, last) == ("the job has printed 199,999 lines more, which are left out", "| 99 1999")


@pytest.mark.slow
def test_what_is_printed_takes_little_memory_whatever_its_form() -> None:
    for piece in (b"\n", b"x", b"x\r", b"\xff" * 65_536, b"\xff\n" * 30_000, b"a line\n"):
        log = AttemptLog()
        for _ in range(60_000 if len(piece) < 10 else 60):
            log.printed(piece)
        held = sum(sys.getsizeof(block.content) + 500 for block in log._printed)
        assert held + len(log._unfinished.content) < 2 * MAX_PRINTED, piece[:10]
        assert sum(len(line.encode()) for line in log.lines()) < MAX_PRINTED + 10_000, piece[:10]


def test_threads_lose_no_line() -> None:
    log = AttemptLog()

    def say(name: str) -> None:
        for number in range(500):
            log.say(f"{name} {number}")
            log.printed(f"of {name} {number}\n".encode())

    threads = [threading.Thread(target=say, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = texts(log)
    assert len(kept) == len(set(kept)) == 4_000
