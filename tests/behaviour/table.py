"""A row of the table of behaviour: a rule, the policy that it speaks of, and requests with their outcomes.

    - rule: An exact path is that path alone, whatever its query.
      http:
      - match: [{uri: {exact: /a}}]
        route: [{destination: {host: blue}}]
      - route: [{destination: {host: green}}]
      requests:
      - GET /a?x=1: blue
      - GET /a/: green

`Row`, `Request` and `Outcome` list all that may be written. Names like `$host` and `$port` are each row's own: see
`policies.py`, which turns rows into documents. Files of rows are read by `topics.py`. Knows nothing of Envoys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

GATEWAY, SIDECAR, OWN = "gateway", "sidecar", "own"

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
        tls: The newest version of TLS that the client knows, such as `1.2`.
        client: Shows a client certificate of this name.
        protocol: `h2` speaks HTTP/2 without an upgrade, or over TLS by ALPN.
        source: The address to connect from.
        to: Where the application connects to, as `address:port`: the connection is redirected to its sidecar, or to `at`.
    """

    send: str
    at: str | int = ""
    body: str = ""
    sni: str = ""
    tls: str = ""
    client: str = ""
    protocol: str = ""
    source: str = ""
    to: str = ""
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


class OwnSidecar(Part):
    """A sidecar that one row has beside the shared ones, where the row is about callers; its workload is at `$away`.

    Attributes:
        namespace: Of all three documents.
        workload: What its WorkloadEntry says beside `address` and `labels` (`app: $name`).
        sidecar: What its Sidecar says; by default it calls every host of the row, by a proxying listener at `$own`.
        certificates: Of its Proxy.
    """

    namespace: str = "default"
    workload: Mapping[str, Any] = {}
    sidecar: Mapping[str, Any] = {}
    certificates: Mapping[str, Any] = {}


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
        own: A sidecar of the row's own.
        findings: The codes of what loading the policy reports, as often as it does. A policy that is refused is not served.
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
    own: OwnSidecar | None = None
    findings: tuple[str, ...] = ()
    through: tuple[str, ...] = (GATEWAY, SIDECAR)
    requests: tuple[Request, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.requests and not self.findings:
            raise ValueError("a row without requests or findings says nothing")
        return self

    @property
    def name(self) -> str:
        """The rule as a readable part of a host name."""
        return slug(self.rule)


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
