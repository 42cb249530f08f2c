"""`reconcile rollout history`: what happened to a rollout, from the commits of both branches alone."""

from __future__ import annotations

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, require_text_or_json, settings
from reconciler.cli.rollout.options import NAMESPACE, Name, Namespace, key_of


def history(
    name: Name,
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    namespace: Namespace = NAMESPACE,
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Show what happened to a rollout: steps, people's commits, what was measured and verified. Rebuilt from Git alone."""
    from reconciler.cli.output import print_json, put, say
    from reconciler.cli.rollout.documents import told
    from reconciler.cli.rollout.reading import find, reader, seen_of
    from reconciler.cli.rollout.words import history_text
    from reconciler.rollouts.chronicle import events

    require_text_or_json(output, "rollout")
    key = key_of(name, namespace)
    with reader(settings(repo=repo, ref=ref, cache=cache)) as git:
        point = git.look()
        seen = seen_of(point, find(point.mesh, key))
        document = told(point, seen, events(*git.past(seen, point)))
    if output is Output.JSON:
        print_json(document)
    else:
        say(point.errors)
        put(history_text(document))
    return 0
