"""Reading from Git how rollouts stand and how they came there; `rollouts.chronicle` says what it means. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.cycle.history import newest_receipt
from reconciler.errors import Diagnostic, PolicyError
from reconciler.gitrepo import CommitInfo, Repository
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.model.rollout import Rollout
from reconciler.policy import DocumentCache, load
from reconciler.record import Record
from reconciler.rollouts.chronicle import Recorded, Written
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.evidence_plain import from_plain
from reconciler.rollouts.messages import DECISION
from reconciler.rollouts.weights import shares, standing

_POLICIES = "policies"
_EVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standpoint:
    """One commit, as far as rollouts are concerned.

    Attributes:
        head: What the policy branch names.
        commit: What is read: the head, or the newest commit that a receipt shows as applied if the head can't be used.
        mesh: Of that commit.
        receipt: The newest.
        errors: Why the head can't be used, and what is wrong with the record.
    """

    head: str
    commit: str
    mesh: Mesh
    receipt: Receipt | None
    errors: tuple[Diagnostic, ...] = ()


class Past:
    """What Git has of rollouts.

    Args:
        repository: Fetched by whoever wants it newer.
        ref: The policy branch.
    """

    def __init__(self, repository: Repository, ref: str) -> None:
        self._repository = repository
        self._ref = ref
        self._cache = DocumentCache()

    def standpoint(self) -> Standpoint:
        """Where rollouts stand now.

        Raises:
            PolicyError: Neither the head nor what was applied last can be used.
            ReconcilerError: Git can't be read.
        """
        head = self._repository.resolve(self._ref)
        loaded = load(self._repository.tree(head), cache=self._cache)
        branch = loaded.mesh.settings.record.branch if loaded.mesh is not None else Mesh().settings.record.branch
        receipt, broken = newest_receipt(self._record(branch))
        notes = receipt.notes if receipt is not None else ()
        if loaded.mesh is not None:
            return Standpoint(head=head, commit=head, mesh=loaded.mesh, receipt=receipt, errors=(*broken, *notes))
        applied = receipt.policy_commit if receipt is not None else ""
        before = load(self._repository.tree(applied), cache=self._cache).mesh if applied else None
        if before is None:
            raise PolicyError(diagnostics=loaded.errors)
        return Standpoint(
            head=head, commit=applied, mesh=before, receipt=receipt, errors=(*loaded.errors, *broken, *notes)
        )

    def written(self, key: Key, *, head: str) -> tuple[Written, ...]:
        """The commits that touched a rollout or what it moves, oldest first: first parents only, which is what landed."""
        found = list(self._touching(key, head))
        found.reverse()
        return tuple(found)

    def recorded(self, key: Key, branch: str) -> tuple[Recorded, ...]:
        """The receipts with evidence of a rollout, oldest first."""
        found = [
            recorded_of(receipt, key)
            for receipt in self._record(branch).history(_EVER, rollouts=True)
            if key in receipt.rollouts
        ]
        found.reverse()
        return tuple(found)

    def _record(self, branch: str) -> Record:
        return Record(self._repository, branch, attempts=1)

    def _touching(self, key: Key, head: str) -> Iterator[Written]:
        """Newest first; ends where the rollout was not there yet."""
        paths: tuple[str, ...] = ()
        for info in self._repository.log(head, first_parent=True):
            parent = info.parents[0] if info.parents else None
            if parent is not None and self._repository.same(info.id, parent, paths or (_POLICIES,)):
                continue
            mesh = load(self._repository.tree(info.id), cache=self._cache).mesh
            if mesh is None:
                yield _written(info, None, None)
                continue
            policy = next((item for item in mesh.rollouts if item.key == key), None)
            if policy is None:
                return
            paths = _paths(mesh, policy)
            yield _written(info, mesh, policy)
            if parent is not None and any(self._repository.read(parent, path) is None for path in paths):
                paths = ()  # this commit wrote or moved a file: before it, it may have had another name


def recorded_of(receipt: Receipt, key: Key) -> Recorded:
    """One rollout in a receipt."""
    return Recorded(
        commit=receipt.commit,
        at=receipt.at,
        subject=receipt.subject,
        policy_commit=receipt.policy_commit,
        applied=sum(item.outcome is OutcomeKind.APPLIED for item in receipt.proxies.values()),
        proxies=len(receipt.proxies),
        evidence=evidence_of(receipt, key),
    )


def evidence_of(receipt: Receipt | None, key: Key) -> Evidence | None:
    """A rollout's evidence in a receipt; None if there is none, or none that can be read."""
    plain = receipt.rollouts.get(key) if receipt is not None else None
    if plain is None:
        return None
    try:
        return from_plain(plain)
    except ValueError:
        return None


def weight_of(mesh: Mesh, course: Course) -> float | None:
    """Percent that the canary has, by the first of the target's routes; None if none has both subsets."""
    return standing(course, mesh).percent if shares(course, mesh) else None


def _paths(mesh: Mesh, policy: Policy[Rollout]) -> tuple[str, ...]:
    """The files of a rollout and of what it moves."""
    name = policy.resolve(policy.spec.target.virtual_service.name)
    services = [item.origin.file for item in mesh.virtual_services if item.key == name]
    return tuple(dict.fromkeys((policy.origin.file, *services)))


def _written(info: CommitInfo, mesh: Mesh | None, policy: Policy[Rollout] | None) -> Written:
    course = course_of(mesh, policy) if mesh is not None and policy is not None else None
    return Written(
        commit=info.id,
        at=info.at,
        by=info.author.partition(" <")[0],
        subject=info.subject,
        measured=_measured(info),
        course=course,
        weight=weight_of(mesh, course) if mesh is not None and course is not None else None,
    )


def _measured(info: CommitInfo) -> tuple[str, ...]:
    """The measured values in a step's message, which stand indented."""
    if DECISION not in info.trailers:
        return ()
    return tuple(line.strip() for line in info.body.splitlines() if line.startswith("    ") and line.strip())
