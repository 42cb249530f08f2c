from __future__ import annotations

import json
from pathlib import Path

from reconciler.cli.demo.journey import FOLLOWED, TEMPLATE, TEMPLATE_PATH, Hop, journeys, shown
from reconciler.compile import Prototypes
from reconciler.policy import load
from reconciler.settings import shipped
from tests.policy.memory import MemoryTree

A, B, APP = "127.0.0.1:1000", "127.0.0.1:2000", "127.0.0.1:3000"


def line(start: str, came: tuple[str, str], cluster: str, went: tuple[str, str], request: str = "id-1") -> str:
    """What Envoy logs, in the form of the template."""
    entry = {
        "request": request, "start": start, "peer": came[0], "at": came[1], "cluster": cluster, "local": went[0],
        "to": went[1], "status": 200, "bytes": 35,
    }  # fmt: skip
    return json.dumps(entry)


def logs(folder: Path, **texts: str) -> dict[str, Path]:
    """Log files, by proxy."""
    out = {}
    for name, text in texts.items():
        out[name] = folder / f"{name}.log"
        out[name].write_text(text)
    return out


def test_a_request_is_put_together_from_all_logs_in_the_order_of_its_way(tmp_path: Path) -> None:
    """Its id joins the lines, time orders them, and a connection's two ends say who spoke to whom."""
    link = ("127.0.0.1:1001", B)
    caller = line("10.000002", ("127.0.0.1:9", A), "outbound|80||b", link)
    callee = line("10.000100", link, "inbound|2000||", ("127.0.0.1:2001", APP))
    files = logs(tmp_path, b=f"[2026-01-01 00:00:00.0][1][warning] something else\n{callee}\n", a=f"{caller}\n")
    (journey,) = journeys(files)
    assert journey.request == "id-1"
    assert [hop.proxy for hop in journey.hops] == ["a", "b"]
    assert journey.counters == {("a", "outbound|80||b"): 1, ("b", "inbound|2000||"): 1}
    assert journey.arrival(journey.hops[0]) == journey.hops[1]
    assert journey.arrival(journey.hops[1]) is None
    assert list(shown(journey, "->")) == [
        "a  :1000  -> outbound|80||b -> :2000   200, 35 bytes",
        "b  :2000  -> inbound|2000|| -> :3000   200, 35 bytes",
    ]


def test_another_connection_to_the_same_place_is_another_request(tmp_path: Path) -> None:
    """An address alone proves nothing: somebody else may have called too."""
    caller = line("1.0", ("127.0.0.1:9", A), "outbound|80||b", ("127.0.0.1:1001", B))
    callee = line("2.0", ("127.0.0.1:7777", B), "inbound|2000||", ("127.0.0.1:2001", APP))
    (journey,) = journeys(logs(tmp_path, a=caller, b=callee))
    assert journey.arrival(journey.hops[0]) is None


def test_requests_are_told_apart_and_a_line_that_is_half_written_waits(tmp_path: Path) -> None:
    """The first one comes first; what is still being written is not read."""
    first = line("1.0", ("x:1", A), "outbound|80||b", ("x:2", B), request="first")
    second = line("2.0", ("x:1", A), "outbound|80||b", ("x:2", B), request="second")
    found = journeys(logs(tmp_path, a=f"{second}\n{first[:40]}", b=first))
    assert [journey.request for journey in found] == ["first", "second"]
    assert [len(journey.hops) for journey in found] == [1, 1]
    assert isinstance(found[0].hops[0], Hop)


def test_the_demos_access_log_is_a_valid_template_that_knows_whom_to_follow() -> None:
    """It overrides the shipped one without a complaint, and names the requests that the demo sends for this."""
    root = shipped("policies")
    files = {f"policies/{file.relative_to(root)}": file.read_text() for file in root.rglob("*.yaml")}
    loaded = load(MemoryTree({**files, TEMPLATE_PATH: TEMPLATE.decode()}))
    assert [str(item) for item in loaded.diagnostics] == []
    log = Prototypes.parse(loaded.templates).access_log
    (mine, failures) = log.filter.or_filter.filters
    assert mine.header_filter.header.string_match.exact == FOLLOWED
    assert failures.status_code_filter.comparison.value.default_value == 500
