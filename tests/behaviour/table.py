"""The table of behaviour, as it is written: topics, rows, requests and what should come of them.

A topic is a file in `rows/`. A row is a rule, the policy that it speaks of, and requests with their outcomes:

    - rule: An exact path is that path alone, whatever its query.
      http:
      - match: [{uri: {exact: /a}}]
        route: [{destination: {host: blue}}]
      - route: [{destination: {host: green}}]
      requests:
      - GET /a?x=1: blue
      - GET /a/: green

`Row`, `Request` and `Outcome` list all that may be written. Names like `$host` and `$port` are each row's own: see
`policies.py`, which turns rows into documents. This module reads; it knows nothing of Envoys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.yamldoc import dump, load

ROWS = Path(__file__).parent / "rows"
GATEWAY, SIDECAR = "gateway", "sidecar"

_LINE = re.compile(r"(?:(?P<times>\d+) (?P<how>x|at once) )?(?P<method>[A-Z]+)(?: (?P<target>\S+))?(?P<headers>.*)")
_HEADER = re.compile(r"""\s+([\w.:@-]+?):(?:"([^"]*)"|(\S*))""")
_SLUG_LENGTH = 50  # a label of a host name has 63 characters, and rows add suffixes


class Part(BaseModel):
    """A value that is written in a row: a field that it doesn't have is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """What should come of a request, or of each of several. Written as a backend's name (`blue`) or a status (`404`) alone, or in full.

    Attributes:
        from_: `from`: the backend that answered, or one of these.
        status: Of the response; 200 where a backend is expected and nothing is said.
        body: Of the response, word for word.
        answer: Headers of the response; null for one that it must not have. `~ REGEX` matches the whole value.
        saw: Headers as the answering backend saw them, in the same way; and `method`, `path`, `body`, `protocol`
            (`HTTP/1.1`, `HTTP/2`), `sni`, `client` (the name in the client's certificate) and `nth` (of its connection).
        reached: How many requests reached each backend in the end, retries and copies included.
        copies: What backends other than the answering one saw, as in `saw`; waited for.
        certificate: The name in the certificate that the server showed.
        at_least: Seconds that it took, where the policy is about time.
        at_most: Seconds; generous, as machines are busy.
        closed: Whether the connection ended without a response.
        split: Of several requests: percent by backend, as near as chance allows (it fails once in 10^9 runs).
        counts: Of several requests: how many each backend answered, exactly.
        spread: Of several requests: the backends that answered, each at least once.
        statuses: Of several requests: the statuses that came, each at least once.
        sticky: Of several requests, with `{n}` counted up in them: repeated, each goes where it went before, and not all
            to one backend.
        one: Of several requests: one and the same backend answered all.
        within: Seconds in which it has to come true, if it need not at once.
    """

    from_: str | tuple[str, ...] = Field((), alias="from")
    status: int | None = None
    body: str | None = None
    answer: Mapping[str, str | None] = {}
    saw: Mapping[str, str | None] = {}
    reached: Mapping[str, int] | None = None
    copies: Mapping[str, Mapping[str, str | None]] = {}
    certificate: str = ""
    at_least: float = 0
    at_most: float = 30
    closed: bool = False
    split: Mapping[str, float] = {}
    counts: Mapping[str, int] = {}
    spread: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    sticky: bool = False
    one: bool = False
    within: float = 0

    @property
    def backends(self) -> tuple[str, ...]:
        """Who may answer."""
        return (self.from_,) if isinstance(self.from_, str) else self.from_

    @property
    def of_many(self) -> bool:
        """Whether it speaks of several requests together."""
        return bool(self.split or self.counts or self.spread or self.statuses or self.sticky or self.one)


class Request(Part):
    """What is sent. Its line is `[N x|N at once] METHOD TARGET [name:value ...]`, or `TCP text` for a plain connection.

    A header `host` replaces the row's host. Backends do as headers tell them: `want:503,delay=200ms,reset` (a step for each
    try), `want-blue:503` (only there), `give-NAME:value` (a response header).

    Attributes:
        send: The line.
        at: A port of 127.0.0.1, or `address:port`; by default where `Row.through` says.
        body: Sent with the request.
        sni: Speaks TLS and asks for this name.
        client: Shows a client certificate of this name.
        protocol: `h2` speaks HTTP/2 without an upgrade, or over TLS by ALPN.
        source: The address to connect from.
    """

    send: str
    at: str | int = ""
    body: str = ""
    sni: str = ""
    client: str = ""
    protocol: str = ""
    source: str = ""
    expect: Outcome = Outcome()

    @property
    def _parts(self) -> re.Match[str]:
        found = _LINE.fullmatch(self.send)
        if found is None:
            raise ValueError(f"not a request: {self.send!r}")
        return found

    @property
    def times(self) -> int:
        """How often it is sent."""
        return int(self._parts["times"] or 1)

    @property
    def at_once(self) -> bool:
        """Whether all are sent at the same time."""
        return self._parts["how"] == "at once"

    @property
    def method(self) -> str:
        """`GET` and the like, or `TCP`."""
        return self._parts["method"]

    @property
    def target(self) -> str:
        """The path with its query; of TCP the text."""
        return self._parts["target"] or ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """As written; names may come twice."""
        rest = self._parts["headers"]
        found = [(item[1], item[2] if item[2] is not None else item[3]) for item in _HEADER.finditer(rest)]
        if _HEADER.sub("", rest).strip():
            raise ValueError(f"not headers: {rest.strip()!r}")
        return tuple(found)


class Row(Part):
    """A rule and how it is tried.

    Attributes:
        rule: One sentence.
        http: `http` of a VirtualService for `$host`, on the gateway and on sidecars.
        tls: Its `tls`.
        tcp: Its `tcp`.
        traffic_policy: `trafficPolicy` of a DestinationRule for `$host`; the row then has a service of its own.
        subsets: Its `subsets`; endpoints carry the label `backend`.
        service: What differs from the row's own service, at which blue, green and red are endpoints of port 80; null
            leaves a field out.
        egress: Listeners that the client's Sidecar gets.
        ingress: Listeners that the server's Sidecar gets.
        policies: Other documents; `apiVersion` and `metadata` may be left out.
        through: Where requests go in, if they don't say so; each way in turn.
        requests: In this order.
    """

    model_config = ConfigDict(alias_generator=lambda name: re.sub(r"_(\w)", lambda found: found[1].upper(), name))

    rule: str
    http: tuple[Any, ...] = ()
    tls: tuple[Any, ...] = ()
    tcp: tuple[Any, ...] = ()
    traffic_policy: Mapping[str, Any] | None = None
    subsets: tuple[Any, ...] = ()
    service: Mapping[str, Any] | None = None
    egress: tuple[Any, ...] = ()
    ingress: tuple[Any, ...] = ()
    policies: tuple[Mapping[str, Any], ...] = ()
    through: tuple[str, ...] = (GATEWAY, SIDECAR)
    requests: tuple[Request, ...]

    @property
    def name(self) -> str:
        """The rule as a readable part of a host name."""
        return slug(self.rule)


class Entry(BaseModel):
    """A row's place in the table.

    Attributes:
        topic: File name of its topic.
        raw: As it is written.
        row: None if it can't be read.
        problem: Why not.
    """

    topic: str
    raw: Mapping[str, Any]
    row: Row | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """Unique in the table."""
        return slug(str(self.raw.get("rule", "")))

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.topic}-{self.name}"

    def text(self) -> str:
        """The row as YAML."""
        return dump(dict(self.raw))


class Topic(BaseModel):
    """A file of rows.

    Attributes:
        title: Its `topic`.
        about: A sentence or two.
    """

    name: str
    title: str
    about: str
    entries: tuple[Entry, ...]


def topics(folder: Path = ROWS) -> tuple[Topic, ...]:
    """The whole table, by the names of its files."""
    return tuple(_topic(path) for path in sorted(folder.glob("*.yaml")))


def _topic(path: Path) -> Topic:
    (content,) = load(path.read_bytes(), file=path.name)
    entries = tuple(entry(path.stem, raw) for raw in content["rows"])
    return Topic(name=path.stem, title=content["topic"], about=content["about"], entries=entries)


def entry(topic: str, raw: Mapping[str, Any]) -> Entry:
    """Read one row; what is wrong with it is its own failure."""
    try:
        spelled = {**raw, "requests": [_request(item) for item in raw.get("requests", ())]}
        row = Row.model_validate(spelled)
        for request in row.requests:
            _ = request.headers
    except (ValidationError, ValueError) as error:
        return Entry(topic=topic, raw=raw, problem=str(error))
    return Entry(topic=topic, raw=raw, row=row)


def _request(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request in full: `LINE: OUTCOME`, or a mapping with `send`, in which the outcome's fields stand beside the request's."""
    if "send" not in item:
        if len(item) != 1:
            raise ValueError(f"write `LINE: OUTCOME`, or `send: LINE` and more: {dict(item)}")
        ((line, outcome),) = item.items()
        return {"send": line, "expect": _outcome(outcome)}
    own = {name: value for name, value in item.items() if name in Request.model_fields and name != "expect"}
    rest = {name: value for name, value in item.items() if name not in own and name != "expect"}
    return {**own, "expect": {**_outcome(item.get("expect", {})), **rest}}


def _outcome(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"from": value}
    if isinstance(value, int):
        return {"status": value}
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"an outcome is a backend, a status or a mapping: {value!r}")


def slug(text: str) -> str:
    """Lower-case words with dashes, cut after a whole word."""
    words = re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
    out = ""
    for word in words:
        longer = f"{out}-{word}" if out else word
        if len(longer) > _SLUG_LENGTH:
            break
        out = longer
    return out


def duplicates(entries: Sequence[Entry]) -> list[str]:
    """Names that two rows have."""
    names = [item.name for item in entries]
    return sorted({name for name in names if names.count(name) > 1})
