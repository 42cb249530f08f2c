"""Rules that several kinds have in common: lists, selectors, listen addresses, visibility, files, and words for what is idle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from pathlib import PurePosixPath

from reconciler.model.hosts import is_address
from reconciler.model.secrets import unusable
from reconciler.policy.checks.formats import LABEL_HINT, is_label, label_problem
from reconciler.policy.findings import Report

_ALL, _OWN, _NOBODY = "*", ".", "~"
_MAX_LABELS = 256


def unique(report: Report, what: str, values: Iterable[tuple[object, tuple[str | int, ...]]]) -> None:
    """Note each value that stood before; values come with their paths. None is no value."""
    seen: set[object] = set()
    for value, path in values:
        if value is not None and value in seen:
            report.error(
                "duplicate-value", f"{what} {value} stands here for the second time", *path, hint="keep one of them"
            )
        seen.add(value)


def at_most(report: Report, limit: int, items: Sized, what: str, *path: str | int) -> None:
    """Note a list, mapping or text that Istio's schema takes to be too long."""
    if len(items) > limit:
        report.error("value", f"there are {len(items):,} {what}; at most {limit:,} are allowed", *path, hint="split it")


def check_labels(labels: Mapping[str, str], report: Report, *path: str | int) -> None:
    """Note labels that Kubernetes would refuse; Istio takes no wildcards in selectors either."""
    for name, value in labels.items():
        problem = label_problem(name, value)
        if problem:
            report.error("label", problem, *path, name, hint=LABEL_HINT)


def check_selector(labels: Mapping[str, str], report: Report, *path: str | int) -> None:
    """Note wrong labels, and a selector without any: Istio warns of those too."""
    check_labels(labels, report, *path)
    at_most(report, _MAX_LABELS, labels, "labels", *path)
    if not labels:
        message = "the selector has no labels, so it selects every workload of the namespace"
        hint = "add labels, or remove the selector if that is meant"
        report.warning("no-effect", message, *path[:-1], hint=hint, key=True)


def check_bind(bind: str, report: Report, *path: str | int) -> None:
    """Note a listen address that is no IP address."""
    if bind.startswith("unix://"):
        message = "listening on Unix sockets is not supported"
        report.error("address", message, *path, hint="write an IP address, and the port that clients use")
    elif bind and not is_address(bind):
        message = f"{bind!r} is not an IP address; a listener binds one"
        report.error("address", message, *path, hint="write it like 127.0.0.1, or 0.0.0.0 for all")


def check_export_to(listed: tuple[str, ...], namespace: str, report: Report, *, nobody: bool = False) -> None:
    """Note an `exportTo` that Istio refuses: `*` and `~` stand alone, a namespace stands once (`.` is the own one).

    Args:
        listed: The field.
        namespace: The document's own.
        report: Where the document's spec stands.
        nobody: Whether `~` is allowed: in ServiceEntries only.
    """
    seen: set[str] = set()
    for index, item in enumerate(listed):
        path = ("exportTo", index)
        name = namespace if item == _OWN else item
        if item == _NOBODY and not nobody:
            message = "~ (nobody) is for ServiceEntries only"
            report.error("value", message, *path, hint="write . for its own namespace, or remove the document")
        elif item not in {_ALL, _OWN, _NOBODY} and not is_label(item):
            report.error("name", f"{item!r} is not a namespace", *path, hint="write a namespace, . or *")
        elif name in seen:
            message = f"the namespace {name} stands here for the second time"
            report.error("duplicate-value", message, *path, hint="keep one of them; . is the document's own namespace")
        elif item in {_ALL, _NOBODY} and len(listed) > 1:
            whom = "everybody" if item == _ALL else "nobody"
            message = f"{item} is {whom}, so it can't stand beside other namespaces"
            report.error("one-of", message, *path, hint=f"keep {item} or the others")
        seen.add(name)


def check_file(text: str, report: Report, *path: str | int) -> None:
    """Note the path of a file on the proxy's host that depends on where its Envoy was started, or that no secret can name."""
    _check_path(text, text, report, *path, hint="write it like /etc/envoy/tls/tls.crt")


def check_folder(text: str, report: Report, *path: str | int) -> None:
    """Note the path of a folder on the proxy's host whose files `check_file` would note."""
    _check_path(text, f"{text}/tls.crt", report, *path, hint="write it like /etc/envoy/credentials")


def _check_path(text: str, file: str, report: Report, *path: str | int, hint: str) -> None:
    problem = "is not an absolute path without `.` and `..`" if not is_plain_path(text) else unusable(file)
    if text and problem:
        report.error("value", f"{text!r} {problem}", *path, hint=hint)


def is_plain_path(text: str) -> bool:
    """An absolute path without `.` and `..`, other than the root."""
    return PurePosixPath(text).is_absolute() and not {".", ".."}.intersection(text.split("/")) and bool(text.strip("/"))


def deprecated(report: Report, old: str, newer: str, *path: str | int) -> None:
    """Note a field that Istio has a newer one for."""
    report.warning("deprecated-field", f"{old} is deprecated", *path, hint=f"write {newer}", key=True)


def idle(report: Report, message: str, *path: str | int, hint: str = "remove it") -> None:
    """Note a field that changes nothing where it stands."""
    report.warning("no-effect", message, *path, hint=hint, key=True)
