"""What is asked of the desk and what came of it, as values: shared by whoever asks and whoever does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.settings import Identity


class Action(StrEnum):
    """What happened, or would happen, to a policy."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks.

    Attributes:
        identity: Whom the commit is by; None for whom the daemon commits as.
        token: Id for the trailer `Requested-By-Token`.
    """

    identity: Identity | None = None
    token: str = "local"  # noqa: S105 -- an id, and no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One change of one policy.

    Attributes:
        kind: As the document says it.
        key: Namespace and name.
        text: YAML of the one document that there is to be; None to delete it.
        expect: Tags that the policy may have; None if it must not exist. `*` is any.
        file: Where a new policy goes; "" for the usual place.
        message: Words for the commit's message.
        allow: Guard codes that are overridden, and said so in the commit.
        propose: Write to a branch of its own, for a person to merge.
        dry_run: Write nothing.
        by: Who asks.
    """

    kind: str
    key: Key
    text: bytes | None
    expect: frozenset[str] | None
    file: str = ""
    message: str = ""
    allow: frozenset[str] = frozenset()
    propose: bool = False
    dry_run: bool = False
    by: Requester = field(default_factory=Requester)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a wish.

    Attributes:
        action: What was done, or would be.
        commit: Id of the commit; "" if nothing was written.
        branch: Where it is.
        file: Path of the file that the policy is, or was, in.
        tag: Of the policy as it is now; "" if it is gone.
        message: Of the commit.
        diff: As `git apply` takes it.
        plan: What it comes to for the proxies, as `--output json` has it; None where nothing could be compared.
        pull: Address of the pull request; "" without one.
        notes: Warnings.
    """

    action: Action
    commit: str = ""
    branch: str = ""
    file: str = ""
    tag: str = ""
    message: str = ""
    diff: str = ""
    plan: Mapping[str, Any] | None = None
    pull: str = ""
    notes: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One policy as it stands.

    Attributes:
        kind: As the document says it.
        key: Namespace and name.
        tag: Blob id that Git would give the document by itself.
        text: As it was written, in YAML.
        value: The same as plain values.
        file: Path of its file.
        document: Index of the document in the file, from 0.
        line: At which it begins, from 1.
        commit: Of the policy branch.
    """

    kind: str
    key: Key
    tag: str
    text: bytes
    value: Mapping[str, Any]
    file: str
    document: int
    line: int
    commit: str
