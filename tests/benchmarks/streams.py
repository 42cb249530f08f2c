"""What thousands of delta streams cost the ADS server, and how long one changed route takes to reach the last of them.

    python -m tests.benchmarks.streams [--streams 2000] [--services 1000] [--changes 30] [--clients 1] [--own]

The server is the product's, in a process of its own; each stream is a connection of its own, of a client that does as little as
it can (`raw_streams`), in one more process or several. The view is compiled from a mesh: three clusters a service, their
endpoints, a route configuration of 1.5 MB and a small one, which changes. With `--own` no two views are equal. With
`--services 0` views are empty: what is left is the cost of a stream.

`received` and `ACKed` are from the call to publish to the last stream; `one stream` is over all streams and changes. CPU is
of the server and of the clients, in milliseconds a change. `own` memory is what only the server's process has.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from tests.benchmarks.ads_server import process, quantile, serve
from tests.benchmarks.raw_streams import LISTENER, ROUTE, load

Figures = dict[str, float]


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Load the ADS server with delta streams.")
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--services", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--clients", type=int, default=1, help="processes that the streams are spread over")
    parser.add_argument("--own", action="store_true", help="no two views are equal")
    given = parser.parse_args()
    figures = measure(given)
    print(f"\n{given.streams} streams, {given.services} services, {given.changes} changes")
    for name, value in figures.items():
        print(f"  {name:38}{value:12.1f}")
    print(
        json.dumps(
            {"benchmark": "streams", "python": platform.python_version(), "given": vars(given), "results": figures}
        )
    )


def measure(given: argparse.Namespace) -> Figures:
    """All figures: milliseconds, and memory in MB, or in KB a stream."""
    with ExitStack() as stack:
        server = stack.enter_context(process(serve, given.services, given.streams, given.own))
        address, names = server.recv()
        clients = [stack.enter_context(process(load)) for _ in range(given.clients)]
        return _measured(given, server, clients, address, names)


def _measured(
    given: argparse.Namespace, server: Connection, clients: list[Connection], address: str, names: Any
) -> Figures:
    empty = told(server, "usage")
    watched = ROUTE if given.services else LISTENER
    each = given.streams // len(clients)
    for index, client in enumerate(clients):
        client.send(("open", range(index * each, (index + 1) * each), address, names, watched))
    for client in clients:
        client.recv()
    time.sleep(2)  # the server accepts what the kernel has taken; nobody waits for this
    connected = told(server, "usage")
    began = time.perf_counter()
    published = told(server, "publish")
    _, spent = arrivals(clients)
    full = told(server, "settled")
    filled = told(server, "usage")
    out = {
        "server, empty: rss MB": empty["rss"] / 1024,
        "server, empty: own MB": empty["own"] / 1024,
        "server, full: rss MB": filled["rss"] / 1024,
        "a stream, connected: own KB": (connected["own"] - empty["own"]) / given.streams,
        "a stream, full: own KB": (filled["own"] - empty["own"]) / given.streams,
        "connect: server CPU ms a stream": (connected["cpu"] - empty["cpu"]) * 1000 / given.streams,
        "fill: all s": full["acked"] - began,
        "fill: publish s": published["published"] - published["started"],
        "fill: server CPU s": full["cpu"] - connected["cpu"],
        "fill: client CPU s": spent,
        "server, after fill: rss peak MB": full["rss"] / 1024,
    }
    if given.services:
        out |= changes(given.changes, server, clients)
        after = told(server, "usage")
        out["a stream, after changes: own KB"] = (after["own"] - empty["own"]) / given.streams
        out |= {
            f"sent to one proxy: {name}": value
            for name, value in told(server, "sent").items()
            if name in {"resources", "bytes"}
        }
    return out


def changes(count: int, server: Connection, clients: list[Connection]) -> Figures:
    """One changed route after another, each to the last ACK."""
    samples: dict[str, list[float]] = {"published": [], "received": [], "ACKed": [], "server CPU": [], "client CPU": []}
    each: list[float] = []
    for _ in range(count):
        before = 0.0
        for client in clients:
            client.send(("expect", ROUTE))
        before = sum(client.recv()[1] for client in clients)
        idle = told(server, "usage")
        done = told(server, "publish")
        came, spent = arrivals(clients)
        each += [at - done["started"] for at in came]
        samples["published"].append(done["published"] - done["started"])
        samples["received"].append(max(came) - done["started"])
        samples["ACKed"].append(done["acked"] - done["started"])
        samples["server CPU"].append(done["cpu"] - idle["cpu"])
        samples["client CPU"].append(spent - before)
    samples["one stream"] = each
    return {
        f"change: {name} {word} ms": quantile(values, part) * 1000
        for name, values in samples.items()
        for word, part in (("p50", 0.5), ("p99", 0.99))
    }


def told(server: Connection, command: str) -> Figures:
    """What the server process answers."""
    server.send(command)
    found: Figures = server.recv()
    return found


def arrivals(clients: list[Connection]) -> tuple[list[float], float]:
    """When each stream had what is expected, and the CPU seconds of the clients so far."""
    answers = [client.recv() for client in clients]
    return [at for came, _ in answers for at in came], sum(spent for _, spent in answers)


if __name__ == "__main__":
    main()
