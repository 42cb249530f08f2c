"""How much is on its way to all peers together."""

from __future__ import annotations

import asyncio

from reconciler.xds import flight as room
from reconciler.xds.flight import Flight

LARGE = b"x" * (room.ROOM // 4)


class Peer:
    """Takes a response when it is told to."""

    def __init__(self, log: list[int]) -> None:
        self.log = log
        self.reads = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.log.append(len(data))
        await self.reads.wait()
        self.log.append(-len(data))


async def send(flight: Flight, peer: Peer, data: bytes = LARGE) -> None:
    await flight.room()
    await flight.write(peer, data)


def test_no_more_than_there_is_room_for_is_on_its_way() -> None:
    """Thousands of proxies that come back at once must not take the memory of thousands of views."""

    async def run() -> None:
        flight, log = Flight(), list[int]()
        peers = [Peer(log) for _ in range(40)]
        tasks = [asyncio.ensure_future(send(flight, peer)) for peer in peers]
        for peer in peers:
            await asyncio.sleep(0)
            peer.reads.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)
        on_its_way = [sum(log[:count]) for count in range(len(log) + 1)]
        assert max(on_its_way) <= room.ROOM
        assert len(log) == 2 * len(peers)

    asyncio.run(run())


def test_peers_that_do_not_read_hold_up_the_others_for_a_moment_only() -> None:
    """A proxy that hangs is a proxy that hangs, however many of them there are."""

    async def run() -> None:
        flight, log = Flight(), list[int]()
        hanging = [asyncio.ensure_future(send(flight, Peer(log))) for _ in range(9)]
        await asyncio.sleep(0)
        assert sum(log) == room.ROOM
        good = Peer(log)
        good.reads.set()
        async with asyncio.timeout(10):
            await send(flight, good)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        async with asyncio.timeout(10):
            await asyncio.gather(*(send(flight, good) for _ in range(9)))

    asyncio.run(run())


def test_one_that_is_lost_while_it_waits_passes_its_turn_on() -> None:
    """A turn that was given to nobody would leave the others waiting for ever."""

    async def run() -> None:
        flight, log = Flight(), list[int]()
        first = [Peer(log) for _ in range(4)]
        tasks = [asyncio.ensure_future(send(flight, peer)) for peer in first]
        await asyncio.sleep(0)
        good = Peer(log)
        good.reads.set()
        waiting = [asyncio.ensure_future(send(flight, good)) for _ in range(3)]
        await asyncio.sleep(0)
        first[0].reads.set()
        waiting[0].cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting[1:])
        for peer in first:
            peer.reads.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_small_responses_need_no_room() -> None:
    """A changed weight goes out to everybody at once."""

    async def run() -> None:
        flight, log = Flight(), list[int]()
        tasks = [asyncio.ensure_future(send(flight, Peer(log), b"x")) for _ in range(50)]
        await asyncio.sleep(0)
        assert len(log) == 50
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
