"""Rules for what the Mesh says of the reconciler's own messages: pull requests at a forge, and notifications."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.model.proxy import Forge, Notification, RecordMode, RecordSettings
from reconciler.policy.checks.addresses import url_problem
from reconciler.policy.checks.shared import check_file, idle, is_plain_path
from reconciler.policy.findings import Report

_REPOSITORY = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]*/(?!\.{1,2}\Z)[-A-Za-z0-9_.]+(?<!\.git)\Z")
_PROJECT = re.compile(
    r"(?:[0-9]+|[A-Za-z0-9_][-A-Za-z0-9_.]*(?:/(?!\.{1,2}(?:/|\Z))[-A-Za-z0-9_.]+)+(?<!\.git))\Z"
)  # fmt: skip
_SAFELY = "it is told a secret, so write https://, or an address of this machine"


def check_record(record: RecordSettings, report: Report) -> None:
    """Pull requests need a forge, and a forge pull requests."""
    if record.mode is RecordMode.PULL_REQUEST and record.forge is None:
        hint = "add `forge: {github: {repository: owner/name, tokenFile: /path}}`"
        report.error("missing-field", "pull-request needs a forge to open them at", "mode", hint=hint)
    if record.mode is RecordMode.COMMIT and record.forge is not None:
        hint = "add `mode: pull-request`, or remove it"
        idle(report, "a forge is asked only where steps are pull requests", "forge", hint=hint)
    if record.forge is not None:
        _check_forge(record.forge, report.below("forge"))


def _check_forge(forge: Forge, report: Report) -> None:
    if (forge.github is None) == (forge.gitlab is None):
        given = "neither" if forge.github is None else "both"
        hint = "write `github: {...}` or `gitlab: {...}`"
        report.error("one-of", f"exactly one forge is needed; here is {given}", hint=hint, key=True)
        return
    if forge.github is not None:
        _check_place(forge.github.repository, _REPOSITORY, "repository", report.below("github"))
        _check_access(forge.github.api, forge.github.token_file, report.below("github"))
    if forge.gitlab is not None:
        _check_place(forge.gitlab.project, _PROJECT, "project", report.below("gitlab"))
        _check_access(forge.gitlab.api, forge.gitlab.token_file, report.below("gitlab"))


def _check_place(name: str, form: re.Pattern[str], field: str, report: Report) -> None:
    if not form.match(name):
        what = {"repository": "a repository's owner and name", "project": "a project's path or number"}[field]
        hint = {"repository": "write it like owner/name", "project": "write it like group/project, or a number"}[field]
        report.error("value", f"{name!r} is not {what}", field, hint=hint)


def _check_access(api: str, token_file: str, report: Report) -> None:
    problem = url_problem(api, secret=True)
    if problem:
        report.error("address", problem, "api", hint=_SAFELY)
    check_file(token_file, report, "tokenFile")


def check_notifications(notifications: Iterable[Notification], report: Report) -> None:
    """Each with a place to go to that nobody can listen in on."""
    for number, item in enumerate(notifications):
        below = report.below("notifications", number)
        if bool(item.url) == bool(item.url_file):
            given = "both" if item.url else "neither"
            message = f"exactly one of url and urlFile is needed; here is {given}"
            below.error("one-of", message, hint="a URL that is a secret, as Slack's are, belongs into a file")
        problem = url_problem(item.url, secret=True) if item.url else ""
        if problem:
            below.error("address", problem, "url", hint=_SAFELY)
        if item.url_file and not is_plain_path(item.url_file):
            message = f"{item.url_file!r} is not an absolute path without `.` and `..`"
            below.error("value", message, "urlFile", hint="write it like /etc/reconciler/webhook")
