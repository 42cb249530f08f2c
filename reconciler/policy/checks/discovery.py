"""Rules for `Mesh.discovery`: each registry is one place that can be asked, by a name that can be shown.

What a plugin makes of its settings it says itself, when it is started.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic.alias_generators import to_camel

from reconciler.model.discovery import KINDS, Protection, Registry
from reconciler.policy.checks.formats import NAME_HINT, is_label
from reconciler.policy.checks.platforms import check_consul, check_etcd, check_kubernetes, check_plugin
from reconciler.policy.checks.shared import idle, unique
from reconciler.policy.checks.targets import check_dns, check_file_sd, check_http_sd
from reconciler.policy.findings import Report

_FIELDS = tuple(map(to_camel, KINDS))


def check_discovery(registries: Sequence[Registry], report: Report) -> None:
    """All registries; the report's paths begin at the list."""
    for number, registry in enumerate(registries):
        _check_registry(registry, report.below(number))
    names = ((registry.name, (number, "name")) for number, registry in enumerate(registries))
    unique(report, "the registry", names)


def _check_registry(registry: Registry, report: Report) -> None:
    if not is_label(registry.name):
        report.error("name", f"{registry.name!r} is not a valid name", "name", hint=NAME_HINT)
    given = [name for name in KINDS if getattr(registry, name) is not None]
    if len(given) != 1:
        what = f"{len(given)} kinds" if given else "no kind"
        hint = f"write one of {', '.join(_FIELDS)}; without settings as in `kubernetes: {{}}`"
        report.error("one-of", f"the registry {registry.name} is of {what}", hint=hint, key=True)
    unique(report, "the network", ((name, ("networks", n)) for n, name in enumerate(registry.networks)))
    _check_protection(registry.protection, report.below("protection"))
    _check_kind(registry, report)


def _check_kind(registry: Registry, report: Report) -> None:
    if registry.file_sd is not None:
        check_file_sd(registry.file_sd, report.below("fileSd"))
    if registry.http_sd is not None:
        check_http_sd(registry.http_sd, report.below("httpSd"))
    if registry.dns is not None:
        check_dns(registry.dns, report.below("dns"))
    if registry.kubernetes is not None:
        check_kubernetes(registry.kubernetes, report.below("kubernetes"))
    if registry.consul is not None:
        check_consul(registry.consul, report.below("consul"))
    if registry.etcd is not None:
        check_etcd(registry.etcd, report.below("etcd"))
    if registry.plugin is not None:
        check_plugin(registry.plugin, report.below("plugin"))


def _check_protection(protection: Protection, report: Report) -> None:
    if not protection.flap_window:
        report.error("duration", "flapWindow must be more than 0s", "flapWindow", hint="the default is 1m")
    if not protection.hold_for and "max_loss_percent" in protection.model_fields_set:
        message = "with holdFor 0s no loss is held, however large"
        idle(report, message, "maxLossPercent", hint="give holdFor a time, or remove this")
