"""Waking streams from other threads."""

from __future__ import annotations

import asyncio
import threading

from reconciler.xds.waking import Wakers


def test_every_event_is_set_whoever_wakes_it_and_however_many_do() -> None:
    """A wake-up that got lost would be a proxy that is not told of a change until the next one."""

    async def wait() -> None:
        wakers = Wakers(asyncio.get_running_loop())
        events = [asyncio.Event() for _ in range(200)]
        wakes = [wakers.waker(event) for event in events]
        for _ in range(20):
            threads = [
                threading.Thread(target=lambda part: [wake() for wake in part], args=(wakes[n::4],)) for n in range(4)
            ]
            for thread in threads:
                thread.start()
            async with asyncio.timeout(10):
                for event in events:
                    await event.wait()
                    event.clear()
            for thread in threads:
                thread.join()
        wakes[0]()
        assert events[0].is_set()

    asyncio.run(wait())


def test_a_closed_loop_is_left_alone() -> None:
    """A pass may publish while the server stops."""
    loop = asyncio.new_event_loop()

    async def made() -> Wakers:
        return Wakers(loop)

    wakers = loop.run_until_complete(made())
    loop.close()
    event = asyncio.Event()
    thread = threading.Thread(target=wakers.waker(event))
    thread.start()
    thread.join()
    assert not event.is_set()
