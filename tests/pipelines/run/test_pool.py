"""A pool closes whatever its workers do at that moment."""

import asyncio
from typing import Any, cast

import pytest

from stepforge.pipelines.run import pool as pools
from stepforge.pipelines.run.pool import Pool, Worker

pytestmark = pytest.mark.anyio


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


async def test_a_pool_closes_when_an_answer_meets_the_cancellation() -> None:
    worker = AnswersWhenCancelled()
    pool = Pool([cast(Worker, worker)], 1)
    call = asyncio.create_task(pool.call("do"))
    await worker.asked.wait()
    await asyncio.wait_for(pool.close(), 10)
    assert await call == "answer"


class NeverUp(AnswersWhenCancelled):
    """The cluster has no room for it."""

    def started(self) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(asyncio.sleep(60))


async def wait_for_workers() -> None:
    pool = Pool([cast(Worker, NeverUp()), cast(Worker, AnswersWhenCancelled())], 1)
    await asyncio.sleep(0.1)
    await pool.close()


async def test_workers_that_do_not_come_up_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await wait_for_workers()
    assert not capsys.readouterr().err
    monkeypatch.setattr(pools, "SLOW_START_SECONDS", 0.0)
    await wait_for_workers()
    assert "of 2 workers are not up after 0 s: still loading, or the cluster has no room" in capsys.readouterr().err
