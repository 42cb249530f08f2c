"""The document of services as text for a terminal and as markdown. Pure.

Names, labels and addresses come from registries, which are not to be trusted: every word is escaped, and long ones are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.cli.registries import doubt_lines, registry_rows, standing_words
from reconciler.cli.services.choice import well
from reconciler.cli.tables import markdown_table, text_table
from reconciler.cli.wellbeing import WORDS, silent_lines
from reconciler.model.key import Key
from reconciler.model.seen import Trouble
from reconciler.plan import escape_markdown, shorten, visible

_INSTANCES = 25
"""Of one service, in text, after which the rest is a number."""

_CELL = 100
"""Characters of a cell: a label of a registry's may have thousands."""

_CALLERS = 8
_PLATFORM = {"unhealthy": Trouble.UNHEALTHY, "draining": Trouble.DRAINING}


def services_text(document: Mapping[str, Any], *, detailed: bool, everything: bool) -> str:
    """The services, a line each or in detail.

    Args:
        document: With sight.
        detailed: Show instances.
        everything: Leave out none of them.
    """
    registries = document["registries"]
    lines = [visible(f"{name:<8}  {value}") for name, value in _facts(document)]
    lines += ["", *text_table(registry_rows(registries, now=document["now"]))] if registries else []
    lines += map(visible, doubt_lines(registries, full=everything))
    if detailed:
        for item in document["services"]:
            lines += ["", visible(item["host"]), *_detail(document, item, everything=everything)]
    elif document["services"]:
        lines += ["", *text_table(_rows(document))]
    else:
        lines += ["", "There are no services to show."]
    notes = [*_notes(document)]
    lines += ["", *map(visible, notes)] if notes else []
    return "\n".join(lines)


def services_markdown(document: Mapping[str, Any], *, detailed: bool, everything: bool) -> str:
    """The same as markdown."""
    registries = document["registries"]
    lines = [f"- {name}: {escape_markdown(value)}" for name, value in _facts(document)]
    lines += ["", *markdown_table(registry_rows(registries, now=document["now"]))] if registries else []
    doubts = [*doubt_lines(registries, full=everything)]
    lines += ["", *(f"- {escape_markdown(line)}" for line in doubts)] if doubts else []
    if detailed:
        for item in document["services"]:
            rows, more = _instances(document, item, everything=everything)
            lines += ["", f"### {escape_markdown(item['host'])}", ""]
            lines += [f"- {name}: {escape_markdown(value)}" for name, value in _service_facts(document, item)]
            lines += ["", *markdown_table(rows)] if len(rows) > 1 else []
            lines += ["", *(f"- {escape_markdown(line)}" for line in more)] if more else []
    else:
        lines += ["", *markdown_table(_rows(document))]
    notes = [*_notes(document)]
    lines += ["", *(f"- {escape_markdown(line)}" for line in notes)] if notes else []
    return "\n".join(lines)


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    daemon = document["daemon"]
    source = f"the daemon (process {daemon['pid']})" if daemon is not None else "this command; no daemon was asked"
    return [("commit", f"{document['commit'][:10]} of {document['ref']}"), ("source", source)]


def _rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("SERVICE", "PORTS", "INSTANCES", "FROM", "CALLERS")]
    rows += [
        (_label(document, item), _cell(_ports(item)), _health(item), _cell(_from(document, item)), _callers(item))
        for item in document["services"]
    ]
    return rows


def _label(document: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    return _cell(str(item["host"]).removesuffix(f".svc.{document['domain']}"))


def _ports(item: Mapping[str, Any]) -> str:
    return ", ".join(f"{port['number']}/{port['protocol']}" for port in item["ports"])


def _health(item: Mapping[str, Any]) -> str:
    """`3/4 healthy, 1 draining`, and what callers have against instances that their platforms call healthy."""
    counts = item["counts"]
    if not counts["instances"]:
        return {"STATIC": "none", "NONE": "any address"}.get(item["resolution"], "by DNS")
    parts = [f"{counts['healthy']}/{counts['instances']} healthy"]
    parts += [f"{counts[health]} {health}" for health in ("unhealthy", "draining") if counts[health]]
    found: dict[Trouble, int] = {}
    lacking = 0
    for endpoint in item["endpoints"]:
        if endpoint["seen"] is not None:
            lacking += bool(endpoint["seen"]["lacking"])
            for trouble in _troubles(endpoint):
                found[trouble] = found.get(trouble, 0) + 1
    parts += [f"{found[trouble]} {WORDS[trouble]}" for trouble in Trouble if trouble in found]
    parts += [f"{lacking} not everywhere yet"] if lacking else []
    return ", ".join(parts)


def _troubles(endpoint: Mapping[str, Any]) -> list[Trouble]:
    """What callers have against an instance, besides what its platform says itself."""
    known = _PLATFORM.get(endpoint["health"])
    return [trouble for trouble in map(Trouble, endpoint["seen"]["troubles"]) if trouble is not known]


def _from(document: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    sources = ["git"] if item["declared"] is not None else []
    return ", ".join([*sources, *(_registry(document, name) for name in item["registries"])])


def _registry(document: Mapping[str, Any], name: str) -> str:
    """Its name, and how it stands if what it lists is not certain."""
    found = next((item for item in document["registries"] if item["registry"] == name), None)
    if found is None or found["state"] == "live":
        return name
    return f"{name} ({standing_words(found, now=document['now'])})"


def _callers(item: Mapping[str, Any]) -> str:
    names, total = item["callers"]["proxies"], item["callers"]["of"]
    if not names:
        return "nobody"
    if len(names) == total:
        return f"all {total}"
    shown = [Key.parse(name).short() for name in names[:_CALLERS]]
    more = f" and {len(names) - _CALLERS} more" if len(names) > _CALLERS else ""
    return f"{len(names)} of {total}: {', '.join(shown)}{more}"


def _service_facts(document: Mapping[str, Any], item: Mapping[str, Any]) -> list[tuple[str, str]]:
    ports = [
        f"{port['number']} {port['name']} {port['protocol']}"
        + ("" if port["callers"] is None else f" ({len(port['callers'])} of these callers)")
        for port in item["ports"]
    ]
    facts = [
        ("namespace", item["namespace"]),
        ("ports", _cell("; ".join(ports))),
        ("kind", f"{item['resolution']}, {item['location']}"),
        ("addresses", _cell(", ".join(item["addresses"]))),
        ("declared", _place(item["declared"])),
        ("registries", ", ".join(_registry(document, name) for name in item["registries"])),
        (
            "exported",
            "" if item["export_to"] == ["*"] else _cell(f"to {', '.join(item['export_to']) or 'nobody'}"),
        ),
        ("callers", _callers(item)),
        ("instances", _health(item)),
    ]
    return [(name, value) for name, value in facts if value]


def _detail(document: Mapping[str, Any], item: Mapping[str, Any], *, everything: bool) -> list[str]:
    rows, more = _instances(document, item, everything=everything)
    return [
        *(visible(f"  {name:<10}  {value}") for name, value in _service_facts(document, item)),
        *(["", *text_table(rows, indent="  ")] if len(rows) > 1 else []),
        *(f"  {visible(line)}" for line in more),
    ]


def _instances(
    document: Mapping[str, Any], item: Mapping[str, Any], *, everything: bool
) -> tuple[list[tuple[str, ...]], list[str]]:
    """A row an instance, and what is to be said after them. Of many those come first that are not well."""
    endpoints: Sequence[Mapping[str, Any]] = item["endpoints"]
    left = 0
    if not everything and len(endpoints) > _INSTANCES:
        left = len(endpoints) - _INSTANCES
        endpoints = sorted(endpoints, key=well)[:_INSTANCES]
    rows: list[tuple[str, ...]] = [("ADDRESS", "LABELS", "LOCALITY", "WEIGHT", "HEALTH", "FROM", "CALLERS")]
    rows += [_row(document, endpoint) for endpoint in endpoints]
    lines = [f"and {left} more (--all)"] if left else []
    others = item["others"]
    shown = others if everything else others[:_INSTANCES]
    lines += [f"{_OTHERS[item['resolution'] == 'STATIC']} {_other(other)}" for other in shown]
    lines += [f"and {len(others) - len(shown)} more (--all)"] if len(shown) < len(others) else []
    return rows, lines


_OTHERS = {True: "not listed, and callers have it:", False: "callers have"}


def _other(item: Mapping[str, Any]) -> str:
    place = f"{item['address']}:{item['port']}" if item["port"] else item["address"]
    troubles = [f"{WORDS[Trouble(name)]} at {number}" for name, number in item["troubles"].items()]
    return _cell("; ".join([f"{place} at {_of(item['having'], item['callers'])}", *troubles]))


def _row(document: Mapping[str, Any], item: Mapping[str, Any]) -> tuple[str, ...]:
    if item["registry"] is not None:
        source = _registry(document, item["registry"])
    else:
        source = f"git: {_place(item['declared'])}" if item["declared"] is not None else "git"
    labels = ",".join(f"{name}={value}" for name, value in sorted(item["labels"].items()))
    return (
        _cell(_address(item)), _cell(labels) or "-", _cell(item["locality"]) or "-", str(item["weight"]), item["health"],
        _cell(source), _sight(item["seen"], item),
    )  # fmt: skip


def _address(item: Mapping[str, Any]) -> str:
    address = (
        f"[{item['address']}]" if item["address"].count(":") > 1 and "/" not in item["address"] else item["address"]
    )
    ports = sorted(set(item["ports"].values()))
    if item["address"].startswith("unix://") or not ports:
        return str(item["address"])
    return f"{address}:{','.join(map(str, ports))}"


def _sight(seen: Mapping[str, Any] | None, endpoint: Mapping[str, Any]) -> str:
    """How callers see an instance: `well at 4`, `ejected (outlier) at 2 of 4`, `not yet there at 1 of 4`."""
    if seen is None:
        return "-"
    callers = seen["callers"]
    parts = [f"{WORDS[trouble]} at {_of(seen['troubles'][trouble], callers)}" for trouble in _troubles(endpoint)]
    parts += [f"not yet there at {_of(seen['lacking'], callers)}"] if seen["lacking"] else []
    return ", ".join(parts) or f"there at {_of(seen['having'], callers)}"


def _of(number: int, callers: int) -> str:
    return f"all {callers}" if number == callers > 1 else f"{number} of {callers}"


def _place(declared: Mapping[str, Any] | None) -> str:
    if declared is None:
        return ""
    return f"{declared['file']}:{declared['line']}" if declared["line"] is not None else str(declared["file"])


def _notes(document: Mapping[str, Any]) -> Iterator[str]:
    for item in _first(document["unused"]):
        yield f"{item['host']} is listed by {', '.join(item['registries'])}, and is no service: nobody says its ports"
    if len(document["unused"]) > _INSTANCES:
        yield f"and {len(document['unused']) - _INSTANCES} more hosts that are no services (-o json has all)"
    elsewhere = [item["proxy"] for item in document["proxies"] if not item["configured_here"]]
    more = f" and {len(elsewhere) - _CALLERS} more" if len(elsewhere) > _CALLERS else ""
    if elsewhere:
        yield f"others configure {', '.join(elsewhere[:_CALLERS])}{more}: what they may call is not known here"
    yield from silent_lines(document["health"]["silent"])


def _first(items: Sequence[Any]) -> Iterable[Any]:
    return items[:_INSTANCES]


def _cell(text: str) -> str:
    return shorten(visible(text), _CELL)
