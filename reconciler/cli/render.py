"""`reconcile render`: the view of one proxy, or what rate limit services count by, offline, as YAML or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, settings
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.model.mesh import Mesh
    from reconciler.model.resource import View


def render(
    proxy: Annotated[str | None, typer.Option("--proxy", metavar="NAME", help="NAME or NAMESPACE/NAME.")] = None,
    rate_limits: Annotated[
        bool, typer.Option("--rate-limits", help="Render what rate limit services count by instead.")
    ] = False,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="With --rate-limits: this domain alone.")
    ] = None,
    repo: Repo = ".",
    ref: Ref = "main",
    work_tree: Annotated[bool, typer.Option("--work-tree", help="Render uncommitted files.")] = False,
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Print what one proxy should have: listeners, routes, clusters, endpoints, secrets, runtime keys.

    Or, with --rate-limits, the configuration of Envoy's reference rate limit service: a document for each domain.
    """
    from reconciler.cli.offline import compiled, member
    from reconciler.cli.output import print_document, print_documents

    if output is Output.MARKDOWN:
        raise UsageError("render prints YAML (--output text) or JSON (--output json)")
    if rate_limits == (proxy is not None):
        raise UsageError("render wants either --proxy NAME or --rate-limits")
    if domain is not None and not rate_limits:
        raise UsageError("--domain is for --rate-limits")
    chosen = settings(repo=repo, ref=ref, cache=cache)
    if proxy is not None:
        found = member(chosen, proxy, work_tree=work_tree)
        print_document(_document(found.desired.views[found.proxy.key]), output)
        return 0
    desired, _ = compiled(chosen, work_tree=work_tree)
    print_documents("domains", _domains(desired.mesh, domain), output)
    return 0


def _domains(mesh: Mesh, wanted: str | None) -> list[dict[str, Any]]:
    """What services count by: of all domains, or of one."""
    from reconciler.compile.counting import service_configurations

    found = service_configurations(mesh.rate_limits)
    if not found:
        raise UsageError("no RateLimit here has global limits", hint="local limits need no service")
    if wanted is None:
        return list(found.values())
    if wanted not in found:
        raise UsageError(f"no RateLimit here has the domain {wanted}", hint=f"there are {', '.join(found)}")
    return [found[wanted]]


def _document(view: View) -> dict[str, Any]:
    from reconciler.model.protos import decode, to_dict
    from reconciler.model.resource import ResourceType

    names = {
        ResourceType.LISTENER: "listeners",
        ResourceType.ROUTE: "routes",
        ResourceType.CLUSTER: "clusters",
        ResourceType.ENDPOINTS: "endpoints",
        ResourceType.SECRET: "secrets",
    }
    document: dict[str, Any] = {
        name: [to_dict(decode(item)) for item in view.of_type(type_)]
        for type_, name in names.items()
        if view.of_type(type_)
    }
    runtime = {item.id.name: item.body.decode() for item in view.of_type(ResourceType.RUNTIME)}
    return document | ({"runtime": runtime} if runtime else {})
