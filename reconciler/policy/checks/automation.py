"""Rules for what the Mesh says of the reconciler's own messages: pull requests at a forge, and notifications."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.model.proxy import Forge, Notification, RecordMode, RecordSettings
from reconciler.policy.checks.addresses import url_problem
from reconciler.policy.checks.shared import check_file, idle, is_plain_path
from reconciler.policy.findings import Report

_REPOSITORY = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]*/(?!\.{1,2}\Z)[-A-Za-z0-9_.]+(?<!\.git)\Z")
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
    if forge.github is None:
        report.error("one-of", "exactly one forge is needed", hint="write `github: {...}`", key=True)
        return
    below = report.below("github")
    if not _REPOSITORY.match(forge.github.repository):
        message = f"{forge.github.repository!r} is not a repository's owner and name"
        below.error("value", message, "repository", hint="write it like owner/name")
    problem = url_problem(forge.github.api, secret=True)
    if problem:
        below.error("address", problem, "api", hint=_SAFELY)
    check_file(forge.github.token_file, below, "tokenFile")


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
