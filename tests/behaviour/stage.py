"""The whole table on a few Envoys: every row's policies in one mesh, compiled and served once.

A row whose policy does not load, or that an Envoy refuses, is told apart before the others are served: `refusals` says why.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.cli.demo.ports import Ports
from reconciler.compile import Prototypes, bootstrap
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stopwatch
from reconciler.envoy.binary import EnvoyExitedError, EnvoyProcess
from reconciler.errors import PolicyError, ReconcilerError, Severity
from tests.behaviour.backends import http_backend, local_backend, proxied_backend
from tests.behaviour.base import base
from tests.behaviour.client import Call
from tests.behaviour.journal import Journal
from tests.behaviour.places import Places
from tests.behaviour.policies import BACKENDS, documents, filled, text
from tests.behaviour.redirected import redirected
from tests.behaviour.streams import deaf_backend, h2_backend, tcp_backend, tunnel_backend
from tests.behaviour.table import GATEWAY, OWN, Outcome, Request, Row
from tests.behaviour.whole import whole
from tests.policy.memory import MemoryTree

_PORTS = ("edge", "client", "server", "inbound", "client_out", "client_in", "server_out", "server_in")


@dataclass
class Stage:
    """What stands during a session.

    Attributes:
        refusals: By row, why it is not served.
        reports: By row that speaks of findings, the codes of them.
    """

    places: Places
    journal: Journal
    folder: Path
    refusals: dict[str, str] = field(default_factory=dict)
    reports: dict[str, Counter[str]] = field(default_factory=dict)

    def policy(self, row: Row) -> str:
        """A row's documents as they are loaded."""
        return text(documents(row, self.places.of(row.name)))

    def outcome(self, row: Row, request: Request) -> Outcome:
        """What should come of a request, with the row's names filled in."""
        written = request.expect.model_dump(by_alias=True, exclude_unset=True)
        return Outcome.model_validate(filled(written, self.places.of(row.name)))

    def call(self, row: Row, request: Request, way: str, number: int) -> Call:
        """A request as it is sent through one of the ways in; `{n}` becomes its number."""
        names = self.places.of(row.name)
        headers = [(name, str(filled(value, names)).replace("{n}", str(number))) for name, value in request.headers]
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("host", str(names("host"))))
        door = "edge" if way == GATEWAY else "own" if way == OWN else "client"
        at = str(filled(request.at, names) or names(f"{door}_out" if request.to else door))
        to, _, to_port = str(filled(request.to, names)).rpartition(":")
        address, _, port = at.rpartition(":")
        sni = str(filled(request.sni, names))
        context = (
            self.places.client(request.client, http2=request.protocol == "h2", newest=request.tls) if sni else None
        )
        return Call(
            place=(address or "127.0.0.1", int(port)),
            method=request.method,
            target=str(filled(request.target, names)).replace("{n}", str(number)),
            headers=headers,
            body=request.body,
            sni=sni,
            context=context,
            protocol=request.protocol,
            source=request.source,
            to=(to, int(to_port)) if to else None,
        )


def token() -> str:
    """What tells a request from all others."""
    return uuid.uuid4().hex


@contextmanager
def standing(rows: Sequence[Row], folder: Path, *, mesh: Mapping[str, Any] | None = None) -> Iterator[Stage]:
    """Backends and Envoys that serve these rows.

    Args:
        rows: With different names.
        folder: With a short path, for Unix sockets.
        mesh: What the Mesh says.
    """
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        places = Places(ports, folder / "certs")
        stage = Stage(places, Journal(), folder)
        places.share({"folder": str(folder), "local": f"{folder}/local"})
        places.share({name: places.port() for name in _PORTS})
        places.share({name: stack.enter_context(http_backend(name, stage.journal)) for name in (*BACKENDS, "app")})
        places.share({"h2": stack.enter_context(h2_backend("h2", stage.journal))})
        places.share({"proxied": stack.enter_context(proxied_backend("proxied", stage.journal))})
        places.share({"tunnel": stack.enter_context(tunnel_backend("tunnel"))})
        places.share({"deaf": stack.enter_context(deaf_backend())})
        stack.enter_context(local_backend("local", stage.journal, f"{folder}/local"))
        for name in ("blue", "green"):
            places.share({f"tcp_{name}": stack.enter_context(tcp_backend(f"tcp_{name}"))})
            secure, context = f"tls_{name}", places.server(f"{name}.example.com")
            places.share({secure: stack.enter_context(http_backend(secure, stage.journal, context))})
        places.issue("*.example.com", file="example")
        for name in ("one.example.com", "two.example.com", "client.example.com"):
            places.issue(name, file=name)
        places.estrange()
        for name in ("client", "server"):
            places.identify(name, file=name)
        served = _Mesh(stage, rows, mesh or {})
        accepted, desired = served.loaded()
        running = ExitStack()
        stack.callback(running.close)
        rejected = served.start(desired, running)
        if rejected:
            running.close()
            served.blame(accepted, rejected)
            rest = [row for row in accepted if row.name not in stage.refusals]
            again = served.start(served.compile(rest), running)
            assert not again, f"the Envoys refuse what no row alone has: {again}"
        yield stage


class _Mesh:
    """Rows into one mesh, and the mesh into Envoys."""

    def __init__(self, stage: Stage, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
        self._stage, self._rows, self._settings = stage, rows, settings
        self._compiler = Compiler()

    def compile(self, rows: Sequence[Row]) -> Desired:
        """What these rows come to, by the product's own loading."""
        stage = self._stage
        names = [(row, stage.places.of(row.name)) for row in rows]
        egress = [item for row, own in names for item in filled(row.egress, own)]
        ingress = [item for row, own in names for item in filled(row.ingress, own)]
        files = {f"policies/rows/{row.name}.yaml": stage.policy(row) for row in rows}
        shared = base(stage.places.of("base"), mesh=self._settings, egress=egress, ingress=ingress)
        tree = MemoryTree({"policies/base.yaml": shared, **{path: text for path, text in files.items() if text}})
        return self._compiler.desired(tree, Stopwatch(lambda *_: None))

    def loaded(self) -> tuple[list[Row], Desired]:
        """The rows that load, each tried by itself if not all do, and what they come to together."""
        rows = [row for row in self._rows if not row.findings or self._reported(row)]
        with suppress(Exception):  # whatever it is, the rows say below which of them has it
            return rows, self.compile(rows)
        accepted = [row for row in rows if not self._fails(row)]
        return accepted, self.compile(accepted)

    def _reported(self, row: Row) -> bool:
        """Note what loading the row's policy reports; whether it can be served."""
        try:
            found = self.compile([row]).warnings
        except PolicyError as error:
            found = error.diagnostics
        self._stage.reports[row.name] = Counter(item.code for item in found)
        return not any(item.severity is Severity.ERROR for item in found)

    def _fails(self, row: Row) -> bool:
        try:
            self.compile([row])
        except ReconcilerError as error:
            found = "\n".join(str(item) for item in error.diagnostics)
            self._stage.refusals[row.name] = f"it does not load:\n{found}\n\n{self._stage.policy(row)}"
        except Exception as error:  # noqa: BLE001 -- a fault of the compiler is this row's failure, not the table's
            self._stage.refusals[row.name] = f"it can't be compiled: {error!r}"
        return row.name in self._stage.refusals

    def start(self, desired: Desired, running: ExitStack) -> str:
        """Start the Envoys; what they refuse, or ""."""
        prototypes = Prototypes.parse(desired.templates)
        said = ""
        for proxy in desired.mesh.proxies:
            name = proxy.key.name
            view = redirected(desired.views[proxy.key], *self._moved(name))
            file, log = (self._stage.folder / f"{name}.{end}" for end in ("json", "log"))
            file.write_text(json.dumps(whole(view, bootstrap(proxy, prototypes))))
            try:
                running.enter_context(EnvoyProcess(bootstrap=file, admin=proxy.spec.admin, log=log))
            except EnvoyExitedError as error:
                said += f"{name}: {error}\n"
        return said

    def _moved(self, name: str) -> tuple[int, int]:
        """Where the two listeners of interception are for a proxy."""
        rows = {row.name for row in self._rows}
        names = self._stage.places.of(name if name in rows else "base")
        door = "own" if name in rows else "client" if name == "client" else "server"
        return int(names(f"{door}_out")), int(names(f"{door}_in"))

    def blame(self, rows: Sequence[Row], said: str) -> None:
        """Find the rows that the Envoys refuse, by halves."""
        if len(rows) == 1:
            self._stage.refusals[rows[0].name] = f"an Envoy refuses it: {said}"
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            with ExitStack() as running:
                refused = self.start(self.compile(half), running)
            if refused:
                self.blame(half, refused)
