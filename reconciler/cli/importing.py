"""`reconcile import kubernetes`: Istio's rules of a cluster, once, as files of the policy repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import Output, OutputOption
from reconciler.errors import Diagnostic, PermanentError, Severity

if TYPE_CHECKING:
    from reconciler.cli.newfiles import Written
    from reconciler.discovery.platforms.kubernetes.istio import Exported, Left, Survey

_STDOUT = "-"
_NEXT = """\
Next:
  1. mend what is refused above, and read what else is there: `git diff`, `reconcile validate`
  2. let Mesh list the cluster's services too: `discovery: [{name: cluster, kubernetes: {}}]`
  3. commit the files; `reconcile --dry-run` shows what they change
  4. when Git is what counts, remove these objects from the cluster: they are not followed
"""


class ForeignNameError(PermanentError):
    """The cluster lists an object whose name or namespace Kubernetes does not allow, so no file can be named after it."""

    default_code = "import-name"


def application() -> typer.Typer:
    """The verbs below `reconcile import`."""
    app = typer.Typer(
        name="import",
        no_args_is_help=False,
        add_completion=False,
        rich_markup_mode=None,
        help="Policies from elsewhere, once, as files of this repository.",
    )
    app.callback()(_import)
    app.command("kubernetes")(kubernetes)
    return app


def _import() -> None:
    """Policies from elsewhere, once, as files of this repository."""


def kubernetes(
    kubeconfig: Annotated[
        str,
        typer.Option("--kubeconfig", metavar="FILE", help="Default: KUBECONFIG, ~/.kube/config, or the pod's account."),
    ] = "",
    context: Annotated[str, typer.Option("--context", help="Of the kubeconfig; its current one by default.")] = "",
    namespace: Annotated[
        list[str], typer.Option("--namespace", "-n", metavar="NAME", help="Only this namespace; may be repeated.")
    ] = [],
    output_dir: Annotated[
        str, typer.Option("--output-dir", metavar="FOLDER", help="Where files go; `-` prints them instead.")
    ] = "policies/imported",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist with other content.")] = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Write Istio's traffic rules of a cluster as files, one for each, and say what of them is refused here."""
    from reconciler.cli.newfiles import write
    from reconciler.cli.output import print_documents
    from reconciler.clock import SystemClock
    from reconciler.discovery.platforms.kubernetes.istio import survey
    from reconciler.policy.kinds import ISTIO, KINDS

    found = survey(
        kubeconfig=kubeconfig,
        context=context,
        namespaces=namespace,
        kinds=[kind for kind, (group, _) in KINDS.items() if group == ISTIO],
        clock=SystemClock(),
    )
    if output_dir == _STDOUT:
        print_documents("documents", [_document(item) for item in found.objects], output)
        return 0
    folder = Path(output_dir)
    written = write(_files(folder, found.objects), force=force)
    verdict = _verdict(folder) if found.objects else ()
    _print(found, written, verdict, output)
    return 1 if any(item.severity is Severity.ERROR for item in verdict) else 0


def _files(folder: Path, objects: Sequence[Exported]) -> dict[Path, bytes]:
    """By path: a folder for each namespace, a file for each object."""
    from reconciler.policy.checks.formats import is_name
    from reconciler.yamldoc import dump

    files = {}
    for item in objects:
        if not (is_name(item.name) and is_name(item.namespace)):  # a path is made of them
            raise ForeignNameError(
                f"the cluster lists a {item.kind} called {item.namespace}/{item.name}",
                hint="that is no name of Kubernetes; is it an API server that was asked?",
            )
        path = folder / item.namespace / f"{item.kind.lower()}-{item.name}.yaml"
        files[path] = dump(_document(item)).encode()
    return files


def _document(item: Exported) -> dict[str, Any]:
    """As a person would write it: nothing of what API servers add, keys in a fixed order."""
    labels = {"labels": _sorted(item.labels)} if item.labels else {}
    return {
        "apiVersion": item.api_version,
        "kind": item.kind,
        "metadata": {"name": item.name, "namespace": item.namespace, **labels},
        "spec": _sorted(item.spec),
    }


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _verdict(folder: Path) -> tuple[Diagnostic, ...]:
    """What `reconcile validate` says of the repository that the folder is in, or of the folder if it is in none."""
    from dataclasses import replace

    from reconciler.cli.folder import policy_folder
    from reconciler.cycle import Compiler
    from reconciler.cycle.report import Stopwatch, silent
    from reconciler.errors import PolicyError

    above = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.name == "policies"), None)
    chosen = policy_folder(folder if above is None else _near(above.parent))
    try:
        found = Compiler().desired(chosen.tree, Stopwatch(silent)).warnings
    except PolicyError as error:
        found = error.diagnostics
    return tuple(replace(item, file=chosen.shown(item.file)) for item in found)


def _near(path: Path) -> Path:
    """As it looks from where the user stands."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _print(found: Survey, written: Written, verdict: Sequence[Diagnostic], output: Output) -> None:
    from reconciler.cli.output import print_json, put
    from reconciler.plan import diagnostic_markdown, diagnostic_text, escape_markdown

    if output is Output.JSON:
        print_json(
            {
                "schema_version": 1,
                "written": [str(path) for path in written.changed],
                "unchanged": [str(path) for path in written.unchanged],
                "not_imported": [
                    {"kind": item.kind, "group": item.group, "count": item.count, "why": item.why}
                    for item in found.left
                ],
                "errors": [item.as_json() for item in verdict if item.severity is Severity.ERROR],
                "warnings": [item.as_json() for item in verdict if item.severity is Severity.WARNING],
            }
        )
        return
    if output is Output.MARKDOWN:
        lines = [f"- {escape_markdown(line)}" for line in _summary(found, written)]
        lines += [f"- {diagnostic_markdown(item)}" for item in verdict]
        put("\n".join(lines))
        return
    refused = [diagnostic_text(item) for item in verdict]
    put("\n".join([*_summary(found, written), *refused, "", _NEXT]), end="")


def _summary(found: Survey, written: Written) -> list[str]:
    total = len(written.changed) + len(written.unchanged)
    kinds: dict[str, int] = {}
    for item in found.objects:
        kinds[item.kind] = kinds.get(item.kind, 0) + 1
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    lines = [f"Read {total} objects{': ' if told else ''}{told}."]
    lines += [f"Wrote {path}" for path in written.changed]
    if written.unchanged:
        lines.append(f"{len(written.unchanged)} files were there already, with the same content.")
    return lines + [_left(item) for item in found.left]


def _left(item: Left) -> str:
    from reconciler.policy.kinds import INSTEAD

    count = "some, perhaps (they may not be read)" if item.count is None else str(item.count)
    why = item.why or INSTEAD.get(item.kind, "")
    return f"Not imported: {count} {item.kind} ({item.group}){f': {why}' if why else ''}"
