"""A task ends even when a cancellation of it was lost."""

import asyncio

from carnet.store import tasks


async def test_a_lost_cancellation_is_said_again(monkeypatch) -> None:
    monkeypatch.setattr(tasks, "PATIENCE", 0.01)
    lost = 0

    async def loses_two() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    async def fails() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise OSError("it was in the middle of something")

    running = [asyncio.create_task(loses_two()), asyncio.create_task(fails())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await tasks.end(*running, None)
    assert lost == 2
    assert running[0].cancelled() and isinstance(running[1].exception(), OSError)
