"""A pool closes whatever its workers do at that moment."""

import asyncio
from typing import Any, cast

from stepforge.pipelines.run.pool import Pool, Worker


class AnswersWhenCancelled:
    """Its answer comes in just as the call is cancelled: ``asyncio.wait_for`` then loses the cancellation."""

    failure = None

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def started(self) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(asyncio.sleep(0))

    async def call(self, method: str, *arguments: Any) -> str:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "answer"
        raise AssertionError

    async def close(self) -> None: ...


async def close_during_a_call() -> str:
    worker = AnswersWhenCancelled()
    pool = Pool([cast(Worker, worker)], 1)
    call = asyncio.create_task(pool.call("do"))
    await worker.asked.wait()
    await asyncio.wait_for(pool.close(), 10)
    return str(await call)


def test_a_pool_closes_when_an_answer_meets_the_cancellation() -> None:
    assert asyncio.run(close_during_a_call()) == "answer"
