"""Evidence of rollouts beside the proxies of a receipt: one file for each, `rollouts/<namespace>/<name>.yaml`. Pure.

Plain values go in and come out; what they mean is said in `rollouts`. A file that somebody broke is a note and never an error:
its rollout goes on from the status on `main`, and no receipt waits for it. Readers of receipts that know nothing of rollouts
look into `proxies/` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.record.paths import key_in, path_in
from reconciler.yamldoc import YamlError, dump, load

ROLLOUTS = "rollouts"


def path_of_rollout(key: Key) -> str:
    """Where a rollout's evidence is.

    Raises:
        InputError: A name can't be a file's.
    """
    return path_in(ROLLOUTS, key, "rollout")


def rollout_of(path: str) -> Key | None:
    """Whose evidence this is, or None if no rollout can have it."""
    return key_in(ROLLOUTS, path)


def content(evidence: Mapping[str, Any]) -> bytes:
    """The file of one rollout.

    Raises:
        BugError: It has what YAML can't hold.
    """
    return dump(_clean(dict(evidence))).encode()


def parse(data: bytes, *, path: str, commit: str) -> Mapping[str, Any] | Diagnostic:
    """One file's plain values, or a note that says what is wrong with it."""
    try:
        documents = load(data, file=path)
    except YamlError as error:
        return broken(path, f"is not YAML: {error.message}", commit=commit)
    said = documents[0] if len(documents) == 1 else None
    return said if isinstance(said, dict) else broken(path, "is not one mapping", commit=commit)


def broken(path: str, what: str, *, commit: str) -> Diagnostic:
    """The note about evidence that can't be used.

    Args:
        path: Its file; `path_of_rollout` knows it.
        what: A verb and its object: `is not YAML`, `has no step`.
        commit: The receipt that it stands in.
    """
    return Diagnostic(
        code="record-evidence",
        message=f"{path} at commit {commit} {what}, so its rollout goes on from its status alone",
        severity=Severity.WARNING,
        hint="nothing has to be done: the next receipt replaces it; or revert the commit that changed it by hand",
        file=path,
    )


def _clean(value: Any) -> Any:
    """The same without what UTF-8 can't hold: words of others come from everywhere."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value
