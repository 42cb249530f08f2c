"""What merging a pull request would do: the merge of what the base is now and its head, validated, compared and judged.

Offline, as `preview`. A text that merges cleanly is no proof: two heads that each move another weight of one split merge into
weights that don't add up, so what is validated is the merge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from functools import partial
from itertools import islice

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.history import VerifiedSplits, everybody
from reconciler.cycle.preview import difference, judged
from reconciler.cycle.report import Stage, Stopwatch
from reconciler.cycle.standstill import notes
from reconciler.errors import Diagnostic, PolicyError, Severity
from reconciler.gitrepo import Merged, Repository
from reconciler.model.mesh import Mesh
from reconciler.model.origin import Finding
from reconciler.model.plan import Plan
from reconciler.model.rollout import Phase
from reconciler.model.tree import FileKind, Tree
from reconciler.plan import Split
from reconciler.policy import locate
from reconciler.policy.files import POLICIES, TEMPLATES
from reconciler.record import Record
from reconciler.rollouts.course import course_of
from reconciler.rollouts.weights import service_of, shares

_BACK = 50
_ROLLBACK = timedelta(days=30)
"""As for passes: how old a receipt may be that exempts the split it shows."""

_FOLDERS = (POLICIES, TEMPLATES)
_UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.PAUSED})
_LONGEST = 5_000
"""Lines of a file above which nobody looks for the line that a message has at the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePreview:
    """What merging would do.

    Attributes:
        merged: The merge.
        conflicts: Policy files that Git can't merge; then nothing below is known.
        plan: What it would change on which proxies, judged; None if the merged policies can't be applied.
        errors: What is wrong with them.
        known: What is said of the base already.
        changed: Policy files that merging changes.
    """

    merged: Merged
    conflicts: tuple[str, ...] = ()
    plan: Plan | None = None
    errors: tuple[Diagnostic, ...] = ()
    known: frozenset[Diagnostic] = frozenset()
    changed: tuple[str, ...] = ()


Asked = Callable[[Desired, Tree], tuple[Diagnostic, ...]]
"""Shows what was compiled from a tree to the real Envoy: everything that it says."""


def preview_merge(
    repository: Repository,
    base: str,
    head: str,
    *,
    compiler: Compiler,
    watch: Stopwatch,
    envoy: Asked | None = None,
    allow: Collection[str] = (),
    record: Callable[[str], str | None] = lambda _: None,
    now: datetime | None = None,
    trusted: Callable[[str], bool] = everybody,
) -> MergePreview:
    """What merging `head` into `base` would do.

    Args:
        repository: Has both, and their histories back to where they parted.
        base: What is merged into, by full id.
        head: What is merged, by full id.
        compiler: Compiles both.
        watch: For the time it takes.
        envoy: Asks the real Envoy too.
        allow: Guard codes that are overridden, beside those of the commits that are merged.
        record: The tip of a record branch by its name, if it can be had: what its receipts show as verified is no increase.
        now: For the age of receipts; without it none counts.
        trusted: Whether what a commit acknowledges counts, by who has signed it.

    Raises:
        ReconcilerError: Git can't be read, or can't merge them.
    """
    with watch.stage(Stage.CHECKOUT):
        merged = repository.merged(base, head)
    changed = tuple(path for path in merged.changed if _is_policy(path))
    conflicts = tuple(path for path in merged.conflicts if _is_policy(path))
    if conflicts:
        return MergePreview(merged=merged, conflicts=conflicts, changed=changed)
    before, doubts, known = _before(repository, base, compiler, watch)
    try:
        desired = compiler.desired(merged.tree, watch)
    except PolicyError as error:
        return MergePreview(merged=merged, errors=error.diagnostics, known=known, changed=changed)
    said = envoy(desired, merged.tree) if envoy is not None else ()
    errors = tuple(item for item in said if item.severity is Severity.ERROR)
    if before is None:
        return MergePreview(merged=merged, errors=(*doubts, *errors), known=known, changed=changed)
    plan = difference(before, desired, watch=watch)
    plan = judged(plan, desired, allow=allow, repository=repository, base=base, head=head, watch=watch,
                  verified=partial(_verified, repository, compiler, desired, record, now, watch), trusted=trusted)  # fmt: skip
    more = (item for item in said if item.severity is Severity.WARNING)
    ahead = notes(desired.mesh.settings, now, opened=True) if now is not None else ()
    edited = locate(edited_rollouts(before.source, desired.source), merged.tree)
    return MergePreview(
        merged=merged,
        plan=replace(plan, warnings=(*doubts, *ahead, *edited, *more, *plan.warnings)),
        errors=errors,
        known=known,
        changed=changed,
    )


class Placer:
    """Gives a message about a merged file the line that it has at the head; none where that is not the head's.

    What is linked to and annotated is the head: a line that the base has moved would be another one there.

    Args:
        merged: What the messages are about.
        head: What people see.
    """

    def __init__(self, merged: Tree, head: Tree) -> None:
        self._merged = merged
        self._head = head
        self._lines: dict[str, dict[int, int] | None] = {}

    def __call__(self, found: Diagnostic) -> Diagnostic:
        """The message with its line at the head."""
        if found.file is None or found.line is None:
            return found
        if found.file not in self._lines:
            self._lines[found.file] = _same_lines(_text(self._merged, found.file), _text(self._head, found.file))
        lines = self._lines[found.file]
        if lines is None:
            return found
        line = lines.get(found.line)
        return replace(found, line=line, column=found.column if line else None)


def _same_lines(ours: list[bytes] | None, theirs: list[bytes] | None) -> dict[int, int] | None:
    """By line of the one text the line of the other, both from 1; None if they are equal."""
    if ours == theirs:
        return None
    if ours is None or theirs is None or max(len(ours), len(theirs)) > _LONGEST:
        return {}
    blocks = SequenceMatcher(a=ours, b=theirs, autojunk=False).get_matching_blocks()
    return {block.a + step + 1: block.b + step + 1 for block in blocks for step in range(block.size)}


def edited_rollouts(before: Mesh, after: Mesh) -> tuple[Finding, ...]:
    """A warning for each rollout under way whose weights are changed by somebody else's hand: merging that pauses it.

    A step changes the status with the weights, and is no such thing.
    """
    old = {policy.key: policy for policy in before.rollouts}
    found: list[Finding] = []
    for policy in after.rollouts:
        was = old.get(policy.key)
        if was is None or was.status is None or was.status.phase not in _UNDER_WAY or was.status != policy.status:
            continue
        course = course_of(after, policy)
        service = service_of(course, after)
        if service is None or shares(course_of(before, was), before) == shares(course, after):
            continue
        found.append(
            Finding(
                code="rollout-under-way",
                severity=Severity.WARNING,
                message=f"the rollout {policy.key.short()} is under way and moves these weights itself; merging this pauses it",
                hint=f"wait for its end, or `reconcile rollout abort {policy.key.short()}` first",
                origin=service.origin,
                path=("spec", "http"),
            )
        )
    return tuple(found)


def _verified(
    repository: Repository,
    compiler: Compiler,
    desired: Desired,
    record: Callable[[str], str | None],
    now: datetime | None,
    watch: Stopwatch,
) -> tuple[Split, ...]:
    """What receipts show as live, so that going back to it is never refused; nothing where there are none to read."""
    branch = desired.mesh.settings.record.branch
    tip = record(branch) if now is not None else None
    if tip is None or now is None:
        return ()
    receipts = Record(repository, branch, attempts=1, tip=tip)
    return VerifiedSplits(repository, compiler).since(receipts, now - _ROLLBACK, watch)


def _is_policy(path: str) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in _FOLDERS))


def _before(
    repository: Repository, base: str, compiler: Compiler, watch: Stopwatch
) -> tuple[Desired | None, tuple[Diagnostic, ...], frozenset[Diagnostic]]:
    """What proxies have: the base, or the newest commit before it that can be used; what to say of that, and what is known of it."""
    try:
        desired = compiler.desired(repository.tree(base), watch)
    except PolicyError as error:
        known = frozenset(error.diagnostics)
    else:
        return desired, (), frozenset(desired.warnings)
    for commit in islice(repository.log(base, first_parent=True), 1, _BACK):
        try:
            desired = compiler.desired(repository.tree(commit.id), watch)
        except PolicyError:
            continue
        return desired, (_broken_base(base, commit.id),), known
    return None, (_broken_base(base, ""),), known


def _broken_base(base: str, instead: str) -> Diagnostic:
    """The same code as for `--against`; a warning where something older can stand in."""
    what = (
        f"it is compared with {instead[:10]}, the newest commit before it without"
        if instead
        else "nothing can be compared"
    )
    return Diagnostic(
        code="base-unusable",
        message=f"the base ({base[:10]}) has errors of its own, so {what}",
        severity=Severity.WARNING if instead else Severity.ERROR,
        hint="mend the branch; this pull request may do that",
    )


def _text(tree: Tree, path: str) -> list[bytes] | None:
    folder = path.rpartition("/")[0]
    file = next((item for item in tree.files(folder) if item.path == path and item.kind is FileKind.FILE), None)
    return tree.read(file).splitlines() if file is not None else None
