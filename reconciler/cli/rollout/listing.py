"""`reconcile rollout list`: every rollout of the policy branch, a row each."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, require_text_or_json, settings


def listing(
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only rollouts of this namespace.")] = "",
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Show all rollouts: phase, step, weight, whether that is verified, and why they wait. Asks only Git."""
    from reconciler.cli.output import print_json, put, say
    from reconciler.cli.rollout.documents import listed
    from reconciler.cli.rollout.reading import reader, seen_of
    from reconciler.cli.rollout.words import list_text
    from reconciler.clock import SystemClock

    require_text_or_json(output, "rollout")
    with reader(settings(repo=repo, ref=ref, cache=cache)) as git:
        point = git.look()
    chosen = [policy for policy in point.mesh.rollouts if namespace in {"", policy.key.namespace}]
    document = listed(point, [seen_of(point, policy) for policy in chosen], now=SystemClock().now())
    if output is Output.JSON:
        print_json(document)
    else:
        say(point.errors)
        put(list_text(document))
    return 0
