"""`reconcile bootstrap`: the bootstrap of one proxy, and the files without which Envoy would not start."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, settings
from reconciler.errors import UsageError


def bootstrap(
    proxy: Annotated[str, typer.Option("--proxy", metavar="NAME", help="NAME or NAMESPACE/NAME.")],
    repo: Repo = ".",
    ref: Ref = "main",
    work_tree: Annotated[bool, typer.Option("--work-tree", help="Use uncommitted files.")] = False,
    output: OutputOption = Output.TEXT,
    cache: Cache = None,
) -> int:
    """Print the Envoy bootstrap of one proxy.

    What Envoy needs to find is created where absent: the folder of its admin socket, and its directory with empty `cds.pb`
    and `lds.pb`.
    """
    from reconciler.cli.offline import member
    from reconciler.cli.output import print_document
    from reconciler.compile import Prototypes
    from reconciler.compile import bootstrap as compile_bootstrap
    from reconciler.model.protos import to_dict
    from reconciler.push import prepare_directory, prepare_socket

    if output is Output.MARKDOWN:
        raise UsageError("bootstrap prints YAML (--output text) or JSON (--output json)")
    found = member(settings(repo=repo, ref=ref, cache=cache), proxy, work_tree=work_tree)
    message = compile_bootstrap(found.proxy, Prototypes.parse(found.desired.templates))
    files = found.proxy.spec.push.files
    if files is not None:
        for created in (*prepare_directory(files.directory), *prepare_socket(found.proxy.spec.admin)):
            print(f"created {created}", file=sys.stderr)
    print_document(to_dict(message), output)
    return 0
