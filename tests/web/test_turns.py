from __future__ import annotations

import asyncio
import threading

import pytest

from reconciler.web.errors import BusyError
from reconciler.web.turns import Turns


def test_one_too_many_is_told_to_come_back() -> None:
    """What waits is bounded; a place that becomes free is given away, also after a failure."""

    async def scene() -> None:
        turns, go = Turns(2), threading.Event()
        waiting = [asyncio.create_task(turns.take(lambda: go.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="2 requests are waiting"):
            await turns.take(lambda: None)
        go.set()
        assert await asyncio.gather(*waiting) == [True, True]
        with pytest.raises(ZeroDivisionError):
            await turns.take(lambda: 1 // 0)
        assert await turns.take(lambda: 5) == 5

    asyncio.run(scene())
