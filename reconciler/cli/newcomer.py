"""A proxy that Git doesn't know and that will announce itself: what its command line says, checked as a document would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.cli.offline import compiled
from reconciler.errors import Severity, UsageError
from reconciler.gitrepo import NotARepositoryError
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin
from reconciler.model.proxy import AdsPush, MeshSpec, Proxy, Push
from reconciler.policy.checks.formats import is_label, is_name
from reconciler.policy.checks.proxy import check_proxy
from reconciler.policy.findings import Report
from reconciler.policy.templates import house_templates
from reconciler.settings import Settings, shipped


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for every proxy of a mesh."""

    mesh: MeshSpec
    templates: Mapping[str, str]


def newcomer(
    *, name: str, namespace: str, workload: str, labels: str, locality: str, admin: str
) -> Policy[Proxy]:  # fmt: skip
    """The Proxy document that these options stand for.

    Raises:
        UsageError: A document that says this would be refused.
    """
    spec = Proxy(
        workload=workload,
        labels=_labels(labels),
        locality=locality,
        admin=admin,
        push=Push(ads=AdsPush()),
    )
    key = Key(namespace or DEFAULT_NAMESPACE, name)
    if not is_name(key.name) or not is_label(key.namespace):
        raise UsageError(f"{key} is not a valid namespace and name", hint="letters, digits and hyphens, in lower case")
    origin = Origin("the command line", 0)
    report = Report(origin)
    check_proxy(spec, report)
    wrong = [item for item in report.findings if item.severity is Severity.ERROR]
    if wrong:
        raise UsageError("; ".join(item.message for item in wrong), hint=wrong[0].hint)
    return Policy("Proxy", key, spec, origin)


def surroundings(settings: Settings, *, work_tree: bool, optional: bool) -> Surroundings:
    """The mesh's settings and the templates of a repository, or the defaults.

    Args:
        settings: Where the repository is.
        work_tree: Use uncommitted files.
        optional: Whether there may be no repository.

    Raises:
        PolicyError: The commit can't be used.
        ReconcilerError: Git can't be read.
    """
    try:
        desired, _ = compiled(settings, work_tree=work_tree)
    except NotARepositoryError:
        if not optional or work_tree:
            raise
        return Surroundings(MeshSpec(), house_templates(shipped("envoy-templates")))
    return Surroundings(desired.mesh.settings, desired.templates)


def _labels(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not key or not equals or key in found:
            raise UsageError(f"--labels {text!r} is not a list of labels", hint="write k=v,k2=v2, each label once")
        found[key] = value
    return found
