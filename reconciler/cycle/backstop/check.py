"""Everything that the real Envoy says against a mesh and its templates, each with the place that it comes from."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.compile.pieces import Batch, Kind, Piece
from reconciler.cycle.backstop.blame import Accused, Templates
from reconciler.cycle.backstop.search import Culprit, OutOfRunsError, Runs, Search
from reconciler.cycle.backstop.synthetic import with_proxies
from reconciler.cycle.backstop.tracing import Tracer
from reconciler.cycle.backstop.world import World
from reconciler.envoy.validation import Validator
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.origin import FieldPath, Finding, Origin

_FOLDER = "envoy-templates"
_RUNS = 400
_SEE = "`reconcile render --proxy {proxy}` shows what Envoy was given"


def check(
    mesh: Mesh, templates: Mapping[str, str], house: Mapping[str, str], *, validator: Validator, limit: int = _RUNS
) -> tuple[Finding, ...]:
    """Show every proxy's configuration to Envoy.

    Args:
        mesh: A valid one. If it has no Proxy, stand-ins are checked.
        templates: The ones in force, by file name.
        house: The ones that the product ships.
        validator: The real Envoy.
        limit: After so many runs the search ends, and says so.

    Raises:
        reconciler.envoy.validation.EnvoyStuckError: Envoy gave no answer.
    """
    whole = with_proxies(mesh)
    return _Check(whole, templates, house, Runs(validator, limit)).findings()


class _Check:
    def __init__(self, mesh: Mesh, templates: Mapping[str, str], house: Mapping[str, str], runs: Runs) -> None:
        self._mesh = mesh
        self._runs = runs
        self._templates = Templates(mesh, templates, house, runs)
        self._tracer = Tracer(mesh)
        self._found: dict[tuple[str, Origin | None, object, str], Finding] = {}

    def findings(self) -> tuple[Finding, ...]:
        """All of them, each once."""
        try:
            while self._round():
                pass
        except OutOfRunsError:
            self._add(
                Finding(
                    code="envoy-unfinished",
                    message=f"Envoy was asked {self._runs.used} times, and there may be more that it refuses",
                    hint="mend what was found, then validate again",
                )
            )
        return tuple(self._found.values())

    def _round(self) -> bool:
        """Everything that is wrong with the templates as they are; True if one had to be mended, which changes all."""
        world = World(self._mesh, self._templates.current)
        for finding in world.findings:
            self._add(finding)
        if not world.batches:
            self._add(_nothing())
        known: set[tuple[Kind, bytes]] = set()
        return any(self._batch(world, batch, known) for batch in world.batches)

    def _batch(self, world: World, batch: Batch, known: set[tuple[Kind, bytes]]) -> bool:
        """Everything that is wrong with a batch; True if a template had to be mended. Adds to the clusters that are fine."""
        search = Search(world.bootstrap, batch.pieces(), self._runs)
        if known and search.passes_without(known):
            known |= search.clusters()
            return False
        for culprit in search.culprits():
            piece = None if culprit.position is None else search.pieces[culprit.position]
            proxies = batch.proxies if piece is None else piece.proxies
            blame = self._templates.blame(Accused(culprit, piece, proxies[0])) if culprit.alone else None
            if blame is not None:
                path = self._templates.written(blame)
                if path is not None:
                    self._add(_of_template(culprit, blame.template, path, proxies))
                self._templates.mend(blame)
                return True
            self._add(self._of_policy(culprit, search, piece, proxies))
        known |= search.clusters()
        return False

    def _of_policy(self, culprit: Culprit, search: Search, piece: Piece | None, proxies: tuple[Key, ...]) -> Finding:
        place = None
        if culprit.position is not None:
            place = self._tracer.trace(tuple(search.pieces), culprit.position, culprit.words)
        return Finding(
            code=_code(culprit),
            message=_message(culprit, _what(piece), proxies),
            hint=_hint(culprit, proxies[0]),
            severity=_severity(culprit),
            origin=place.policy.origin if place else None,
            path=place.path if place else (),
        )

    def _add(self, finding: Finding) -> None:
        self._found.setdefault((finding.code, finding.origin, finding.path, finding.message), finding)


def _of_template(culprit: Culprit, template: str, path: FieldPath, proxies: tuple[Key, ...]) -> Finding:
    return Finding(
        code=_code(culprit),
        message=_message(culprit, "what this template says", proxies),
        hint="mend the field, or leave it out; Envoy's reference says what it takes",
        severity=_severity(culprit),
        origin=Origin(f"{_FOLDER}/{template}", 0),
        path=path,
    )


def _code(culprit: Culprit) -> str:
    code = "envoy-refused"
    if not culprit.fatal:
        code = "envoy-warned"
    elif culprit.needs_file:
        code = "envoy-file-absent"
    return code


def _severity(culprit: Culprit) -> Severity:
    return Severity.ERROR if culprit.fatal and not culprit.needs_file else Severity.WARNING


def _message(culprit: Culprit, what: str, proxies: tuple[Key, ...]) -> str:
    others = f" and {len(proxies) - 1} more" if len(proxies) > 1 else ""
    where = f"{what} (proxy {proxies[0]}{others})"
    if not culprit.fatal:
        return f"Envoy warns about {where}: {culprit.words}"
    if culprit.needs_file:
        return f"Envoy could not check {where} on this machine: {culprit.words}"
    together = "" if culprit.alone else " together with the rest"
    return f"Envoy refuses {where}{together}: {culprit.words}"


def _hint(culprit: Culprit, proxy: Key) -> str:
    if culprit.needs_file:
        return "validate where the file is, or see to it that it is on the proxy's host"
    return _SEE.format(proxy=proxy.short())


def _what(piece: Piece | None) -> str:
    if piece is None:
        return "the bootstrap"
    if piece.kind is Kind.ADMIN:
        return "the address of the admin endpoint"
    inside = f" of listener {piece.path[1]}" if piece.parent is not None else ""
    if piece.kind is Kind.CHAIN:
        return f"filter chain {piece.name or piece.path[2]}{inside}"
    if piece.kind is Kind.ROUTE:
        host, number = piece.path[-2:]
        return f"route {piece.name or number} of virtual host {host}{inside}"
    return f"{piece.kind} {piece.name}{inside}"


def _nothing() -> Finding:
    return Finding(
        code="envoy-nothing",
        message="no proxy takes its configuration from these policies, so Envoy was asked about nothing",
        hint="a proxy that is pushed to by runtime has a configuration of its own: validate that one where it is written",
        severity=Severity.WARNING,
    )
