"""Faults in what holds changes."""

from __future__ import annotations

from tests.policy.rules.documents import doc


def _freeze(rest: str) -> str:
    return doc("Mesh", f"spec: {{freezes: [{{name: night, {rest}}}]}}\n")


CASES: list[tuple[str, str]] = [
    ("time-zone", _freeze("schedule: 0 1 * * *, duration: 1h, timeZone: ^Europe/Berlim")),
    ("time-zone", _freeze("schedule: 0 1 * * *, duration: 1h, timeZone: ^../../etc/localtime")),
    ("time-zone", _freeze("schedule: 0 1 * * *, duration: 1h, timeZone: ^Europe")),
    ("time-zone", _freeze("schedule: 0 1 * * *, duration: 1h, timeZone: ^''")),
    ("schedule", _freeze("schedule: ^0 25 * * *, duration: 1h")),
    ("schedule", _freeze("schedule: ^0 0 1 * * *, duration: 1h")),
    ("schedule", _freeze("schedule: ^'@daily', duration: 1h")),
    ("schedule", _freeze("schedule: ^0 0 30 2 *, duration: 1h")),
    ("schedule", _freeze("schedule: ^0 18 * * FRIDAY, duration: 1h")),
    ("duration", _freeze("schedule: 0 1 * * *, duration: ^24h1m")),
    ("duration", _freeze("schedule: '*/5 * * * *', duration: ^6m")),
    ("duration", _freeze("schedule: 0 1 * * *, duration: ^30s")),
    ("enum", _freeze("schedule: 0 1 * * *, duration: 1h, kind: ^deny")),
    ("missing-field", doc("Mesh", "spec: {freezes: [^{name: a, schedule: 0 1 * * *}]}\n")),
    (
        "duplicate-value",
        doc(
            "Mesh",
            "spec: {freezes: [{name: a, schedule: 0 1 * * *, duration: 1h}, {name: ^a, schedule: 0 2 * * *, duration: 1h}]}\n",
        ),
    ),
    ("value", doc("Mesh", "spec: {suspend: {reason: x, until: ^tomorrow}}\n")),
    ("value", doc("Mesh", "spec: {suspend: {reason: x, until: ^'2026-08-31T06:00:00'}}\n")),
    ("missing-field", doc("Mesh", "spec: {^suspend: {until: '2026-08-31T06:00:00Z'}}\n")),
]
