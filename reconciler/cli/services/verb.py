"""`reconcile services`: what services there are, what is behind them, how that is known, and who may call them.

Reads Git, registries and admin endpoints, or asks the daemon for the first two. Touches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import (
    AdminCa,
    AdminCert,
    AdminKey,
    AdminTimeout,
    Cache,
    KnownDaemon,
    Output,
    OutputOption,
    Ref,
    Repo,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.errors import Diagnostic

_NOT_ASKED = 4


def services(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="HOST", help="Show these in detail: hosts as in policies, or patterns with * and ?."),
    ] = None,
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The namespace that short hosts are of.")
    ] = "default",
    registry: Annotated[str, typer.Option("--registry", metavar="NAME", help="Only what this registry lists.")] = "",
    proxy: Annotated[
        str, typer.Option("--proxy", metavar="NAME", help="Only what this proxy may call, as it sees it.")
    ] = "",
    unhealthy: Annotated[bool, typer.Option("--unhealthy", help="Only what is not well, or has no instances.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all instances of large services too.")] = False,
    repo: Repo = ".",
    ref: Ref = "main",
    output: OutputOption = Output.TEXT,
    daemon: KnownDaemon = None,
    admin_timeout: AdminTimeout = "5s",
    admin_cert: AdminCert = "",
    admin_key: AdminKey = "",
    admin_ca: AdminCa = "",
    cache: Cache = None,
) -> int:
    """Show services: their instances, where each came from, its health, and who may call it. Touches nothing."""
    from reconciler.cli.output import say
    from reconciler.cli.services.choice import chosen, instances_of, unwell_only
    from reconciler.cli.services.sight import asked, with_sight
    from reconciler.cli.services.source import with_lines
    from reconciler.cli.session import Session
    from reconciler.envoy import hosts_seen

    settled = settings(
        repo=repo, ref=ref, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca,
    )  # fmt: skip
    wanted = hosts or []
    with Session(settled) as session:
        document, errors, warnings = _document(session, ref, daemon)
        document = chosen(document, wanted, namespace=namespace, registry=registry, proxy=proxy)
        document = with_sight(document, hosts_seen(asked(document, proxy), session.settings.admin))
        document = instances_of(document, registry) if registry else document
        document = unwell_only(document) if unhealthy else document
        if wanted or output is Output.JSON:
            document = with_lines(session, document)
    errors = (*errors, *_silent(document, registry))
    if output is not Output.JSON:
        say((*errors, *warnings))
    _print(
        document | {"errors": [item.as_json() for item in errors], "warnings": [item.as_json() for item in warnings]},
        output,
        detailed=bool(wanted),
        everything=everything,
    )
    return 1 if errors else _NOT_ASKED if document["health"]["silent"] else 0


def _document(
    session: Session, ref: str, named: Path | None
) -> tuple[dict[str, Any], tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """All services; what is wrong, and what is to be known about it."""
    from reconciler.cli.control import identity
    from reconciler.cli.remote import services_there
    from reconciler.cli.services.source import own_document
    from reconciler.cli.telling import told
    from reconciler.errors import Severity

    document, doubts = told(session.repository, ref, named, services_there)
    if document is not None:
        origin = {"pid": document.pop("pid")}
        return document | {"daemon": origin}, (), doubts
    document, said = own_document(session, ref, repository=identity(session.repository))
    errors = tuple(item for item in said if item.severity is Severity.ERROR)
    return document | {"daemon": None}, errors, (*doubts, *(item for item in said if item not in errors))


def _silent(document: Mapping[str, Any], registry: str) -> Iterator[Diagnostic]:
    """Registries of which nothing is known: nobody can say what is behind the services that they list."""
    from reconciler.errors import Diagnostic

    for item in document["registries"]:
        if item["state"] == "silent" and registry in {"", item["registry"]}:
            problem = item["problem"]
            yield Diagnostic(
                code="discovery-silent",
                message=f"registry {item['registry']} does not answer, and nothing is known of what it lists"
                + (f": {problem['message']}" if problem is not None else ""),
                hint=str(problem.get("hint", "")) if problem is not None else "",
            )


def _print(document: dict[str, Any], output: Output, *, detailed: bool, everything: bool) -> None:
    from reconciler.cli.output import print_json, put
    from reconciler.cli.services.words import services_markdown, services_text

    if output is Output.JSON:
        print_json(document)
        return
    form = services_markdown if output is Output.MARKDOWN else services_text
    put(form(document, detailed=detailed, everything=everything))
