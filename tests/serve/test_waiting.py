"""The event loop waits for answers of another thread: each is heard, whoever else has gone away."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from mnist_tune.contract.study import LeaseLost
from mnist_tune.serve.waiting import Waiting

MANY = 2_000
SECONDS = 60


def answering(asked: list[Future[int]]) -> threading.Thread:
    """A thread that gives the answers, one after another, while the loop goes on with those who wait."""

    def answer() -> None:
        for number, each in enumerate(asked):
            each.set_result(number)

    return threading.Thread(target=answer)


async def heard(asked: list[Future[int]], waiting: Waiting, *threads: threading.Thread) -> list[int]:
    waits = [asyncio.create_task(waiting.answer(each)) for each in asked]
    await asyncio.sleep(0)
    for thread in threads:
        thread.start()
    async with asyncio.timeout(SECONDS):
        return await asyncio.gather(*waits)


def test_every_answer_is_heard_however_they_come() -> None:
    asked: list[Future[int]] = [Future() for _ in range(MANY)]
    threads = [answering(asked[part::4]) for part in range(4)]
    answers = asyncio.run(heard(asked, Waiting(), *threads))
    assert answers == [index // 4 for index in range(MANY)]


def test_an_answer_that_was_there_before_is_heard() -> None:
    asked: Future[int] = Future()
    asked.set_result(7)
    assert asyncio.run(heard([asked], Waiting())) == [7]


def test_a_refusal_is_raised_to_the_one_who_asked() -> None:
    async def ask() -> None:
        waiting = Waiting()
        refused: Future[int] = Future()
        answered: Future[int] = Future()
        waits = [asyncio.create_task(waiting.answer(each)) for each in (refused, answered)]
        await asyncio.sleep(0)
        refused.set_exception(LeaseLost())
        answered.set_result(7)
        with pytest.raises(LeaseLost):
            await waits[0]
        assert await waits[1] == 7

    asyncio.run(ask())


def test_who_has_gone_away_takes_no_answer_from_others_and_undoes_nothing() -> None:
    async def ask() -> None:
        waiting = Waiting()
        asked: list[Future[int]] = [Future() for _ in range(3)]
        waits = [asyncio.create_task(waiting.answer(each)) for each in asked]
        await asyncio.sleep(0)
        waits[0].cancel()
        thread = answering(asked)
        thread.start()
        async with asyncio.timeout(SECONDS):
            answers = await asyncio.gather(*waits, return_exceptions=True)
        thread.join(SECONDS)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert answers[1:] == [1, 2]
        assert asked[0].result(0) == 0

    asyncio.run(ask())


def test_an_answer_after_the_end_of_the_loop_disturbs_nobody() -> None:
    asked: Future[int] = Future()

    async def leave() -> None:
        wait = asyncio.create_task(Waiting().answer(asked))
        await asyncio.sleep(0)
        wait.cancel()

    asyncio.run(leave())
    asked.set_result(7)  # an error in what hears of it would be logged, which fails the test of this folder
    assert asked.result(0) == 7
