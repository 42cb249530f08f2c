"""Which commit brought what a proxy refuses: a search of the policy branch since that proxy had what it should. Writes nothing.

A resource's version says whether two commits ask for the same of a proxy, however they say it; so the search compiles
commits and compares, and reads no diff. What a proxy was once verified to have is sound; what it had when a receipt said
`rejected` is suspected, since a receipt does not say which resource it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.history import ARRIVED
from reconciler.cycle.report import Stopwatch
from reconciler.errors import PermanentError, ReconcilerError
from reconciler.gitrepo import CommitInfo, Repository
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceId
from reconciler.record import Record

FOLDERS = ("policies", "envoy-templates")
REVERTS = "Reverts"
"""The trailer of our own reverts: the id of what was reverted."""

_COMMITS_BACK = 50
_RECEIPTS_BACK = 200

Subject = tuple[Key, ResourceId]
"""One resource of one proxy."""


class NotRevertedError(PermanentError):
    """What a proxy refused stays on the policy branch; what was sent to it before stays live."""

    default_code = "revert-held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One resource that one proxy refused.

    Attributes:
        version: The one that was refused.
        words: Of the outcome; others' words, not escaped.
    """

    proxy: Key
    id: ResourceId
    version: str
    words: str

    @property
    def subject(self) -> Subject:
        """What it is about, whatever the version."""
        return self.proxy, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """What may have brought a refused resource.

    Attributes:
        commits: The likeliest first; another one counts only if undoing the one before leads back to what is refused.
        refused: Versions of the resource that are known, or suspected, to be refused.
    """

    commits: tuple[CommitInfo, ...]
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Landed:
    """One commit of the line, with the version of a resource at it; None if it can't be compiled."""

    info: CommitInfo
    version: str | None


class Search:
    """Searches for several refusals of one pass. Each commit is compiled once, and only the versions asked for are kept."""

    def __init__(
        self,
        repository: Repository,
        compiler: Compiler,
        record: Record,
        subjects: Collection[Subject],
        watch: Stopwatch,
    ) -> None:
        self._repository = repository
        self._compiler = compiler
        self._record = record
        self._subjects = tuple(subjects)
        self._watch = watch
        self._known: dict[str, Mapping[Subject, str] | None] = {}

    def suspects(self, refusal: Refusal, *, head: str) -> Suspects:
        """What to undo on top of `head`.

        First the commit since which the resource has had the refused version without a break. If that is itself a revert, and
        after it: the other commits that changed the resource since it was sound, the newest first, and never a revert.

        Raises:
            NotRevertedError: Nothing in Git since the proxy was last verified explains it, or not for sure; says why.
        """
        base, rejected = self._receipts(refusal.proxy)
        sound = self.version(base, refusal.subject)
        if sound is None:
            raise NotRevertedError(f"{base[:12]}, which it last applied, can't be compiled any more")
        if sound == refusal.version:
            raise NotRevertedError(
                f"it applied the same at {base[:12]}, so the cause is not in Git",
                hint="look at its host: a port that something else has taken, a file that is gone",
            )
        line = self._line(refusal, base=base, head=head)
        suspected = {self.version(commit, refusal.subject) for commit in rejected} - {None, sound}
        commits = tuple(
            item.info for item in _in_question(line, refusal.version, sound) if not self._is_revert(item, line)
        )
        if not commits:
            raise NotRevertedError(
                f"since {base[:12]}, which it applied, only reverts have changed it, and a revert is not reverted",
            )
        refused = frozenset(item for item in suspected if item is not None) | {refusal.version}
        return Suspects(commits=commits, refused=refused)

    def version(self, commit: str, subject: Subject) -> str | None:
        """The version of a resource at a commit: "" if it is not there, None if the commit can't be compiled."""
        if commit not in self._known:
            try:
                desired = self._compiler.desired(self._repository.tree(commit), self._watch)
                self._known[commit] = self.versions(desired)
            except ReconcilerError:
                self._known[commit] = None
        known = self._known[commit]
        return known[subject] if known is not None else None

    def versions(self, desired: Desired) -> Mapping[Subject, str]:
        """The versions of everything that was asked for."""
        found: dict[Subject, str] = {}
        for key, id_ in self._subjects:
            resource = desired.views[key].resources.get(id_) if key in desired.views else None
            found[key, id_] = resource.version if resource is not None else ""
        return found

    def _receipts(self, key: Key) -> tuple[str, tuple[str, ...]]:
        """The commit that a proxy was last brought to, and those since at which it refused something."""
        rejected: list[str] = []
        for receipt in islice(self._record.history(datetime.fromtimestamp(0, UTC)), _RECEIPTS_BACK):
            entry = receipt.proxies.get(key)
            if entry is not None and entry.outcome in ARRIVED:
                return receipt.policy_commit, tuple(rejected)
            if entry is not None and entry.outcome is OutcomeKind.REJECTED:
                rejected.append(receipt.policy_commit)
        raise NotRevertedError(
            "no receipt shows anything as applied there, so there is nothing to go back to",
            hint="a proxy's first push has to be mended by a commit",
        )

    def _line(self, refusal: Refusal, *, base: str, head: str) -> list[_Landed]:
        """What has landed since a commit, newest first, with the version of a resource at each."""
        if not self._repository.is_ancestor(base, head):
            raise NotRevertedError(
                f"{base[:12]}, which it last applied, is not in the history of {head[:12]} any more",
            )
        infos = list(islice(self._repository.log(head, exclude=base, first_parent=True), _COMMITS_BACK + 1))
        if len(infos) > _COMMITS_BACK:
            raise NotRevertedError(f"more than {_COMMITS_BACK} commits have landed since it last applied one")
        found: list[_Landed] = []
        for newer, info in zip([None, *infos], infos, strict=False):
            if newer is not None and info.id not in self._known and self._same(newer, info):
                self._known[info.id] = self._known.get(newer.id)
            found.append(_Landed(info, self.version(info.id, refusal.subject)))
        return found

    def _same(self, one: CommitInfo, other: CommitInfo) -> bool:
        return self._repository.same(one.id, other.id, FOLDERS)

    def _is_revert(self, item: _Landed, line: list[_Landed]) -> bool:
        """Whether a commit undoes an older one of the line: by our trailer, or, since a rebase or squash drops that, by content.

        A person's revert counts too. To undo it would bring back what somebody took away.
        """
        info = item.info
        if REVERTS in info.trailers or not info.parents:
            return True
        older = (other.info for other in line[line.index(item) + 1 :])
        return any(self._undoes(info, other) for other in older)

    def _undoes(self, info: CommitInfo, other: CommitInfo) -> bool:
        reversal = self._repository.reversal(other.id, onto=info.parents[0])
        return bool(reversal.paths) and reversal.tree_id == self._repository.tree_id(info.id)


def _in_question(line: list[_Landed], refused: str, sound: str) -> Iterator[_Landed]:
    """The commits that may have brought a version, the likeliest first; those that can't be compiled are passed over."""
    compiled = [item for item in line if item.version is not None]
    first: _Landed | None = None
    for item in compiled:
        if item.version != refused:
            break
        first = item
    if first is None:
        return
    yield first
    before = [*(item.version for item in compiled[1:]), sound]
    for item, old in zip(compiled, before, strict=True):
        if item is not first and item.version != old:
            yield item
