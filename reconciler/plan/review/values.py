"""What a preview says, as values that JSON can carry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import Diagnostic, Severity
from reconciler.plan.words import count


class Verdict(StrEnum):
    """What a preview comes to.

    INVALID: the merged policies can't be applied. CONFLICT: Git can't merge them. FAILED: it could not be computed, for a reason that
    is not the pull request's.
    """

    CHANGES = "changes"
    NOTHING = "nothing"
    REFUSED = "refused"
    INVALID = "invalid"
    CONFLICT = "conflict"
    FAILED = "failed"

    @property
    def usable(self) -> bool:
        """Whether there is a plan behind it."""
        return self in {Verdict.CHANGES, Verdict.NOTHING, Verdict.REFUSED}


@dataclass(frozen=True, slots=True)
class Share:
    """What one destination gets of a route's traffic.

    Attributes:
        destination: The subset where that says enough, else the cluster.
        before: Percent.
        after: Percent.
    """

    destination: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChange:
    """One route whose traffic goes elsewhere, that is new, or that goes.

    Attributes:
        kind: `moved`, `new` or `gone`.
        host: Whose requests; "" for runtime keys.
        service: What people call it: the VirtualService's name.
        route: Its name, or what it matches.
        shares: All destinations that get something before or after; those that are 0 on both sides are left out.
        proxies: Names, in short, of those it changes on.
    """

    kind: str
    host: str
    service: str
    route: str
    shares: tuple[Share, ...]
    proxies: tuple[str, ...]

    @property
    def moved(self) -> float:
        """Percent of the route's traffic that goes elsewhere."""
        return sum(max(0.0, share.after - share.before) for share in self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A message with the proxies that it is about.

    Attributes:
        diagnostic: What is said; its line is one of the head commit, or None where that file is another there.
        proxies: Names, in short; none for what is about policies.
        before: Whether the base had it already.
    """

    diagnostic: Diagnostic
    proxies: tuple[str, ...] = ()
    before: bool = False

    @property
    def error(self) -> bool:
        """Whether it stops the pull request."""
        return self.diagnostic.severity is Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Changes that all of some proxies need.

    Attributes:
        proxies: Names, in short.
        changes: How many resources.
        lines: What changes in each, as a plan in text shows it.
    """

    proxies: tuple[str, ...]
    changes: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another open pull request that changes the same routes' files.

    Attributes:
        number: Its number.
        title: Its title.
        url: Where people find it.
        files: What both change.
        own: Whether it is a step that the reconciler proposes.
    """

    number: int
    title: str
    url: str
    files: tuple[str, ...]
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A preview.

    Attributes:
        verdict: What it comes to.
        base_ref: Name of the branch that is merged into.
        base: Its commit; "" if it could not be read.
        head: The commit that is merged.
        headline: `reviews v2 0% -> 5%` if that is all that happens, else "".
        create: Resources to create, over all proxies.
        update: To update.
        delete: To delete.
        touched: Proxies that change.
        proxies: Proxies that there are.
        routes: What happens to traffic: routes that go first, then the largest moves.
        refused: What guards object to, and nobody has acknowledged.
        remarks: Errors, then warnings that are new, then others.
        conflicts: Policy files that Git can't merge.
        details: What changes on which proxies, those on the most proxies first.
        files: Policy files that the routes of `routes`, and whatever else the pull request changes, stand in.
        digest: Of the plan; "" without one.
        envoy: Version of the Envoy that has accepted the configuration; "" if none was asked.
        version: Of the reconciler that made this.
        live: What a daemon says that merging would change on the live fleet, in words; "" if none was asked.
        unsigned: Whether commits have to be signed, and nobody who may has signed the head.
    """

    verdict: Verdict
    base_ref: str
    base: str
    head: str
    headline: str = ""
    create: int = 0
    update: int = 0
    delete: int = 0
    touched: int = 0
    proxies: int = 0
    routes: tuple[RouteChange, ...] = ()
    refused: tuple[Remark, ...] = ()
    remarks: tuple[Remark, ...] = ()
    conflicts: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""
    envoy: str = ""
    version: str = ""
    live: str = ""
    unsigned: bool = False

    @property
    def traffic(self) -> str:
        """What happens to routes, as `1 route is gone, traffic moves on 2 routes`; "" if nothing does."""
        kinds = Counter(item.kind for item in self.routes)
        words = {"gone": "{} {} gone", "moved": "traffic moves on {}", "new": "{} {} new"}
        return ", ".join(
            form.format(count(kinds[kind], "route"), "is" if kinds[kind] == 1 else "are")
            for kind, form in words.items()
            if kinds[kind]
        )
