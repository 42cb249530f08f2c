"""What receipts look like: a message with trailers, and one file for each proxy. Pure; reading is as strict as writing.

The subject names the change and how far it got; the trailers are `Policy-Commit`, `Plan-Digest`, `Outcome` (`applied` or
`partial`) and `Proxies` (applied/total). Times are the commit's, so that equal states have equal trees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import BugError, Diagnostic, InputError
from reconciler.gitrepo import CommitInfo
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record.errors import RecordUnreadableError
from reconciler.yamldoc import YamlError, dump, load

FOLDER = "proxies"
POLICY_COMMIT = "Policy-Commit"
APPLIED = "applied"
PARTIAL = "partial"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_TRAILERS = {
    POLICY_COMMIT: re.compile(r"[0-9a-f]{40}"),
    "Plan-Digest": re.compile(r"[0-9a-f]*"),
    "Outcome": re.compile(f"{APPLIED}|{PARTIAL}"),
}
_HINT = "revert the commit that changed it by hand; the next receipt replaces it in any case"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a receipt is to say.

    Attributes:
        policy_commit: What was applied, full id.
        plan_digest: Of the plan that was carried out.
        subject: One line.
        proxies: Every proxy of the mesh; one that is not here leaves the tree.
    """

    policy_commit: str
    plan_digest: str
    subject: str
    proxies: Mapping[Key, ProxyReceipt]

    @property
    def outcome(self) -> str:
        """`applied` if every proxy has its view, else `partial`."""
        return APPLIED if self.applied == len(self.proxies) else PARTIAL

    @property
    def applied(self) -> int:
        """How many proxies have their view."""
        return sum(receipt.outcome is OutcomeKind.APPLIED for receipt in self.proxies.values())

    def message(self) -> str:
        """The commit message.

        Raises:
            BugError: The subject is empty, or an id is none.
        """
        subject = " ".join("".join(char if char.isprintable() else " " for char in self.subject).split())
        values = {
            POLICY_COMMIT: self.policy_commit,
            "Plan-Digest": self.plan_digest,
            "Outcome": self.outcome,
        }
        wrong = [name for name, value in values.items() if not _TRAILERS[name].fullmatch(value)]
        if wrong or not subject:
            raise BugError(f"a receipt can't have this {wrong[0] if wrong else 'empty subject'}: {values}")
        lines = [f"{name}: {value}" for name, value in values.items()]
        return "\n".join([subject, "", *lines, f"Proxies: {self.applied}/{len(self.proxies)}", ""])

    def files(self) -> dict[str, bytes]:
        """Content by path.

        Raises:
            InputError: A name can't be a file's.
        """
        return {path_of(key): _content(self.proxies[key]) for key in sorted(self.proxies)}


def path_of(key: Key) -> str:
    """Where a proxy's file is.

    Raises:
        InputError: A name is not one that Kubernetes would allow, so it might lead out of its folder.
    """
    for name in (key.namespace, key.name):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} can't be the name of a proxy or its namespace in the record",
                code="record-name",
                hint="use letters, digits, dots and hyphens, as Kubernetes does",
            )
    return f"{FOLDER}/{key.namespace}/{key.name}.yaml"


def key_of(path: str) -> Key | None:
    """Whose file this is, or None if no proxy can have it."""
    folder, _, rest = path.partition("/")
    namespace, _, file = rest.partition("/")
    name = file.removesuffix(".yaml")
    right = folder == FOLDER and name != file and _NAME.fullmatch(namespace) and _NAME.fullmatch(name)
    return Key(namespace, name) if right else None


def parse_trailers(info: CommitInfo, branch: str) -> dict[str, str]:
    """The trailers of a receipt, each exactly once and well formed.

    Raises:
        RecordUnreadableError: Names the commit and the trailer.
    """
    found: dict[str, str] = {}
    for name, form in _TRAILERS.items():
        values = info.trailers.get(name, ())
        if len(values) != 1 or not form.fullmatch(values[0]):
            what = f"has the {name} {', '.join(values)!r}" if values else f"has no {name}"
            raise RecordUnreadableError(f"commit {info.id} on {branch} {what}, so it is no receipt", hint=_HINT)
        found[name] = values[0]
    return found


def parse_proxy(data: bytes, *, path: str, commit: str) -> ProxyReceipt:
    """Read one proxy's file.

    Raises:
        RecordUnreadableError: Names the file, its commit and what is wrong.
    """
    try:
        documents = load(data, file=path)
    except YamlError as error:
        raise unreadable(f"is not YAML: {error.message}", path=path, commit=commit) from error
    said = documents[0] if len(documents) == 1 else None
    if not isinstance(said, dict):
        raise unreadable("is not one mapping", path=path, commit=commit)
    return ProxyReceipt(**_fields(said, path, commit))


def unreadable(what: str, *, path: str, commit: str) -> RecordUnreadableError:
    """The error for a file of a receipt."""
    message = f"{path} at commit {commit} {what}"
    return RecordUnreadableError(
        diagnostics=[Diagnostic(code=RecordUnreadableError.default_code, message=message, hint=_HINT, file=path)]
    )


def _fields(said: dict[str, Any], path: str, commit: str) -> dict[str, Any]:
    wanted = {"view", "proof", "outcome", "detail"}
    odd = sorted(set(said) ^ (wanted if "detail" in said else wanted - {"detail"}))
    if odd:
        raise unreadable(f"should have view, proof, outcome and detail: see {', '.join(odd)}", path=path, commit=commit)
    wrong = sorted(name for name, value in said.items() if not isinstance(value, str))
    if wrong:
        raise unreadable(f"has no text in {', '.join(wrong)}", path=path, commit=commit)
    try:
        return {**said, "outcome": OutcomeKind(said["outcome"])}
    except ValueError:
        raise unreadable(f"has the unknown outcome {said['outcome']!r}", path=path, commit=commit) from None


def _content(receipt: ProxyReceipt) -> bytes:
    said = {"view": receipt.view, "proof": receipt.proof, "outcome": str(receipt.outcome)}
    if receipt.detail:
        # Words of others may hold what UTF-8 can't.
        said["detail"] = receipt.detail.encode("utf-8", "backslashreplace").decode()
    return dump(said).encode()
