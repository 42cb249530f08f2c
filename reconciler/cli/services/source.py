"""Where the document of services comes from: the daemon's registries, or registries that this process asks itself.

A daemon may be the only one that can reach a registry, and what it knows is what proxies are sent; so it is asked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.cli.services.inventory import inventory_document
from reconciler.cycle.past import Past
from reconciler.cycle.report import Stopwatch
from reconciler.cycle.targets import unseen
from reconciler.errors import BugError, Diagnostic, PolicyError, ReconcilerError
from reconciler.model.origin import Finding, Origin
from reconciler.policy import locate

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.cycle import Inventory
    from reconciler.model.tree import Tree


def own_document(session: Session, ref: str, *, repository: str) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """The services of a branch as this process finds them; and why it is not the head of the branch, if it isn't, or not all.

    A head that can't be used is no reason to show nothing: then it is the commit that was applied last, as for a pass.

    Raises:
        PolicyError: Neither of them can be used.
        ReconcilerError: Git can't be read.
    """
    session.repository.fetch()
    tree = session.repository.tree(session.repository.resolve(ref))
    errors: tuple[Diagnostic, ...] = ()
    try:
        inventory = _inventory(session, tree)
    except PolicyError as error:
        errors = error.diagnostics
        point = Past(session.repository, ref).standpoint()
        if point.commit == tree.commit:
            raise
        inventory = _inventory(session, session.repository.tree(point.commit))
    document = inventory_document(inventory, repository=repository, ref=ref, now=session.clock.now())
    return document, (*errors, *_strangers(inventory))


def _strangers(inventory: Inventory) -> Iterator[Diagnostic]:
    """A warning where proxies may have announced themselves to a daemon, which nobody asked."""
    for item in unseen(inventory.desired.mesh.proxies, None):
        yield replace(item, hint="start `reconcile daemon --ads HOST:PORT` for this repository; it is asked then")


def _inventory(session: Session, tree: Tree) -> Inventory:
    watch = Stopwatch(session.progress)
    session.discovery.begin(session.compiler, tree, watch)
    session.discovery.adopt(session.compiler.desired(tree, watch))
    found = session.discovery.inventory
    if found is None:
        raise BugError("services were adopted, and there are none")
    return found


def with_lines(session: Session, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the line at which each YAML document begins that it names; null where Git can't tell."""
    places = {*_places(document)}
    try:
        if document["daemon"] is not None:
            session.repository.fetch()  # it may know a newer commit
        tree = session.repository.tree(document["commit"])
        findings = {Finding(code="", message=str(number), origin=Origin(file, number)) for file, number in places}
        lines = {(item.file, int(item.message)): item.line for item in locate(findings, tree)}
    except ReconcilerError:
        lines = {}
    services = [
        {
            **_lined(item, lines),
            "endpoints": [_lined(endpoint, lines) for endpoint in item["endpoints"]],
        }
        for item in document["services"]
    ]
    return {**document, "services": services}


def _places(document: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    for item in document["services"]:
        for one in (item, *item["endpoints"]):
            if one["declared"] is not None:
                yield one["declared"]["file"], one["declared"]["document"]


def _lined(item: dict[str, Any], lines: Mapping[tuple[str | None, int], int | None]) -> dict[str, Any]:
    declared = item["declared"]
    if declared is None:
        return item
    return {**item, "declared": {**declared, "line": lines.get((declared["file"], declared["document"]))}}
