"""`reconcile render`: the view of one proxy, offline, as Envoy's own YAML or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, settings
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.model.resource import View


def render(
    proxy: Annotated[str, typer.Option("--proxy", metavar="NAME", help="NAME or NAMESPACE/NAME.")],
    repo: Repo = ".",
    ref: Ref = "main",
    work_tree: Annotated[bool, typer.Option("--work-tree", help="Render uncommitted files.")] = False,
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Print what one proxy should have: listeners, routes, clusters, endpoints, secrets, runtime keys."""
    from reconciler.cli.offline import member
    from reconciler.cli.output import print_document

    if output is Output.MARKDOWN:
        raise UsageError("render prints YAML (--output text) or JSON (--output json)")
    found = member(settings(repo=repo, ref=ref, cache=cache), proxy, work_tree=work_tree)
    print_document(_document(found.desired.views[found.proxy.key]), output)
    return 0


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
