"""The whole table on a few Envoys: every row's policies in one mesh, compiled and served once.

A row whose policy does not load, or that an Envoy refuses, is told apart before the others are served: `refusals` says why.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.cli.demo.ports import Ports
from reconciler.compile import Prototypes
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stopwatch
from reconciler.envoy.binary import EnvoyProcess
from reconciler.errors import ReconcilerError
from reconciler.http import HttpClient
from reconciler.model.key import Key
from reconciler.settings import AdminSettings
from tests.behaviour.backends import http_backend
from tests.behaviour.base import PROXIES, base
from tests.behaviour.client import Call
from tests.behaviour.journal import Journal
from tests.behaviour.places import Places
from tests.behaviour.policies import BACKENDS, documents, filled, text
from tests.behaviour.streams import h2_backend, tcp_backend
from tests.behaviour.table import GATEWAY, Outcome, Request, Row
from tests.behaviour.whole import whole
from tests.compile.envoys import write_bootstrap, write_view
from tests.policy.memory import MemoryTree

_REJECTED = r"update_rejected|create_failure"


@dataclass
class Stage:
    """What stands during a session.

    Attributes:
        refusals: By row, why it is not served.
    """

    places: Places
    journal: Journal
    folder: Path
    refusals: dict[str, str] = field(default_factory=dict)

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
        at = str(filled(request.at, names) or names("edge" if way == GATEWAY else "client"))
        address, _, port = at.rpartition(":")
        sni = str(filled(request.sni, names))
        context = self.places.client(request.client, http2=request.protocol == "h2") if sni else None
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
        )


def token() -> str:
    """What tells a request from all others."""
    return uuid.uuid4().hex


@contextmanager
def standing(rows: Sequence[Row], folder: Path) -> Iterator[Stage]:
    """Backends and Envoys that serve these rows.

    Args:
        rows: With different names.
        folder: With a short path, for Unix sockets.
    """
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        places = Places(ports, folder / "certs")
        stage = Stage(places, Journal(), folder)
        places.share({name: places.port() for name in ("edge", "client", "server", "inbound")})
        places.share({name: stack.enter_context(http_backend(name, stage.journal)) for name in (*BACKENDS, "app")})
        places.share({"h2": stack.enter_context(h2_backend("h2", stage.journal))})
        for name in ("blue", "green"):
            places.share({f"tcp_{name}": stack.enter_context(tcp_backend(f"tcp_{name}"))})
            secure, context = f"tls_{name}", places.server(f"{name}.example.com")
            places.share({secure: stack.enter_context(http_backend(secure, stage.journal, context))})
        places.issue("*.example.com", file="example")
        for name in ("one.example.com", "two.example.com", "client.example.com"):
            places.issue(name, file=name)
        mesh = _Mesh(stage, rows)
        accepted, desired = mesh.loaded()
        running = ExitStack()
        stack.callback(running.close)
        rejected = mesh.start(accepted, desired, running)
        if rejected:
            running.close()
            mesh.blame(accepted, rejected)
            rest = [row for row in accepted if row.name not in stage.refusals]
            again = mesh.start(rest, mesh.compile(rest), running)
            assert not again, f"the Envoys refuse what no row alone has: {again}"
        yield stage


class _Mesh:
    """Rows into one mesh, and the mesh into Envoys."""

    def __init__(self, stage: Stage, rows: Sequence[Row]) -> None:
        self._stage, self._rows = stage, rows
        self._compiler = Compiler()

    def compile(self, rows: Sequence[Row]) -> Desired:
        """What these rows come to, by the product's own loading."""
        stage = self._stage
        names = [(row, stage.places.of(row.name)) for row in rows]
        egress = [item for row, own in names for item in filled(row.egress, own)]
        ingress = [item for row, own in names for item in filled(row.ingress, own)]
        files = {f"policies/rows/{row.name}.yaml": stage.policy(row) for row in rows}
        shared = base(stage.places.of("base"), stage.folder, egress=egress, ingress=ingress)
        tree = MemoryTree({"policies/base.yaml": shared, **{path: text for path, text in files.items() if text}})
        return self._compiler.desired(tree, Stopwatch(lambda *_: None))

    def loaded(self) -> tuple[list[Row], Desired]:
        """The rows that load, each tried by itself if not all do, and what they come to together."""
        with suppress(Exception):  # whatever it is, the rows say below which of them has it
            return [*self._rows], self.compile(self._rows)
        accepted = [row for row in self._rows if not self._fails(row)]
        return accepted, self.compile(accepted)

    def _fails(self, row: Row) -> bool:
        try:
            self.compile([row])
        except ReconcilerError as error:
            found = "\n".join(str(item) for item in error.diagnostics)
            self._stage.refusals[row.name] = f"it does not load:\n{found}\n\n{self._stage.policy(row)}"
        except Exception as error:  # noqa: BLE001 -- a fault of the compiler is this row's failure, not the table's
            self._stage.refusals[row.name] = f"it can't be compiled: {error!r}"
        return row.name in self._stage.refusals

    def start(self, rows: Sequence[Row], desired: Desired, running: ExitStack) -> str:
        """Start the Envoys; what they refuse, or ""."""
        prototypes = Prototypes.parse(desired.templates)
        said = ""
        for name in PROXIES:
            key = Key("default", name)
            proxy = desired.mesh.proxy(key)
            assert proxy is not None, rows
            write_view(whole(desired.views[key]), self._stage.folder / name)
            file = write_bootstrap(proxy, prototypes, self._stage.folder / f"{name}.json")
            log = self._stage.folder / f"{name}.log"
            running.enter_context(EnvoyProcess(bootstrap=file, admin=proxy.spec.admin, log=log))
            if _counted(proxy.spec.admin, _REJECTED):
                said += f"{name}: {log.read_text(errors='replace')}\n"
        return said

    def blame(self, rows: Sequence[Row], said: str) -> None:
        """Find the rows that the Envoys refuse, by halves."""
        if len(rows) == 1:
            self._stage.refusals[rows[0].name] = f"an Envoy refuses it: {said}"
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            with ExitStack() as running:
                refused = self.start(half, self.compile(half), running)
            if refused:
                self.blame(half, refused)


def _counted(admin: str, pattern: str) -> int:
    with HttpClient(admin, AdminSettings()) as client:
        found: Any = json.loads(client.get(f"/stats?type=Counters&format=json&filter={pattern}").body)
    values: Mapping[str, int] = {item["name"]: item["value"] for item in found["stats"] if "value" in item}
    return sum(values.values())
