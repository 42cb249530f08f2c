"""What receipts look like: a message with trailers, and one file for each proxy. Pure; reading is as strict as writing.

Evidence of rollouts rides along (`evidence`), and a receipt may bring nothing else.

The subject names the change and how far it got; the trailers are `Policy-Commit`, `Plan-Digest`, `Outcome` (`applied` or
`partial`) and `Proxies` (applied/total). Times are the commit's, so that equal states have equal trees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import BugError, Diagnostic
from reconciler.gitrepo import CommitInfo
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record import evidence
from reconciler.record.errors import RecordUnreadableError
from reconciler.record.paths import key_in, path_in
from reconciler.yamldoc import YamlError, dump, load

FOLDER = "proxies"
POLICY_COMMIT = "Policy-Commit"
PLAN_DIGEST = "Plan-Digest"
OUTCOME = "Outcome"
PROXIES = "Proxies"
APPLIED = "applied"
PARTIAL = "partial"

_TRAILERS = {
    POLICY_COMMIT: re.compile(r"[0-9a-f]{40}"),
    PLAN_DIGEST: re.compile(r"[0-9a-f]*"),
    OUTCOME: re.compile(f"{APPLIED}|{PARTIAL}"),
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
        rollouts: The evidence of every rollout of the mesh, as plain values; one that is not here leaves the tree. None: what the
            tip has stays.
    """

    policy_commit: str
    plan_digest: str
    subject: str
    proxies: Mapping[Key, ProxyReceipt]
    rollouts: Mapping[Key, Mapping[str, Any]] | None = None

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
        values = {POLICY_COMMIT: self.policy_commit, PLAN_DIGEST: self.plan_digest, OUTCOME: self.outcome}
        return message_of(self.subject, values, f"{self.applied}/{len(self.proxies)}")

    def files(self) -> dict[str, bytes]:
        """Content by path.

        Raises:
            InputError: A name can't be a file's.
        """
        found = {path_of(key): _content(self.proxies[key]) for key in sorted(self.proxies)}
        return found | rollout_files(self.rollouts or {})


def rollout_files(rollouts: Mapping[Key, Mapping[str, Any]]) -> dict[str, bytes]:
    """The evidence of rollouts, content by path.

    Raises:
        InputError: A name can't be a file's.
    """
    return {evidence.path_of_rollout(key): evidence.content(rollouts[key]) for key in sorted(rollouts)}


def message_of(subject: str, trailers: Mapping[str, str], proxies: str) -> str:
    """A receipt's commit message.

    Args:
        subject: Made one line.
        trailers: `Policy-Commit`, `Plan-Digest` and `Outcome`, in this order.
        proxies: How many of how many are applied, `3/4`; "" to leave it out.

    Raises:
        BugError: The subject is empty, or a trailer could not be read back.
    """
    line = " ".join("".join(char if char.isprintable() else " " for char in subject).split())
    wrong = [name for name, value in trailers.items() if not _TRAILERS[name].fullmatch(value)]
    if wrong or not line:
        raise BugError(f"a receipt can't have this {wrong[0] if wrong else 'empty subject'}: {dict(trailers)}")
    lines = [f"{name}: {value}" for name, value in trailers.items()]
    lines += [f"{PROXIES}: {proxies}"] if proxies else []
    return "\n".join([line, "", *lines, ""])


def path_of(key: Key) -> str:
    """Where a proxy's file is.

    Raises:
        InputError: A name is not one that Kubernetes would allow, so it might lead out of its folder.
    """
    return path_in(FOLDER, key, "proxy")


def key_of(path: str) -> Key | None:
    """Whose file this is, or None if no proxy can have it."""
    return key_in(FOLDER, path)


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
