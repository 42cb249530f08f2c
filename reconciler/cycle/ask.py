"""What one pass is asked to do: a value, made by the command line or the daemon."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.key import Key
from reconciler.model.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one pass is asked to do.

    Attributes:
        dry_run: Stop after the guards; touch nothing.
        exact: Read the content of every proxy, not only what moved since the last pass of this process.
        allow: Guard codes that are overridden.
        plan_digest: Carry the plan out only if it has this digest.
        select: Only these proxies; all of them if empty.
        tree: Uncommitted files to preview instead of the branch's commit.
        unmerged: The tree is what the branch may become, and nobody who may has merged it: its addresses are not asked, and no file that it
            names is read.
        last_good: In a dry run: compare the fleet with the last good commit if the head is unusable.
        fetched: The repository has just been fetched; don't fetch again.
        defers: A daemon is there that can be asked instead: end before any proxy is, if the pass is only a daemon's to do.
    """

    ref: str = "main"
    fetched: bool = False
    defers: bool = False
    dry_run: bool = False
    last_good: bool = False
    exact: bool = True
    allow: frozenset[str] = frozenset()
    plan_digest: str = ""
    select: tuple[Key, ...] = ()
    tree: Tree | None = None
    unmerged: bool = False

    @property
    def whole(self) -> bool:
        """Whether it carries out whatever there is to do, for every proxy: what it finds is true of the fleet."""
        return not (self.dry_run or self.select or self.plan_digest)

    @property
    def previews(self) -> bool:
        """Whether it shows what a pass for the whole fleet would do now."""
        return self.dry_run and not (self.select or self.plan_digest or self.tree or self.last_good)
