"""What Git has to show to whoever looks: rollouts, the timeline of both branches, single commits; as documents for the API and the page.

Reads a repository of its own, so that it never holds up a pass, and never fetches: the loop does. Who asks at the same time takes turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.clock import Clock, rfc3339
from reconciler.model.key import Key

if TYPE_CHECKING:
    from reconciler.cycle.chronology import Entry
    from reconciler.cycle.past import Standpoint
    from reconciler.gitrepo import Repository
    from reconciler.rollouts.timeline import Pair, Point, Timeline

_POINTS = 400
_BODY = 4000
_SHOWN_TRAILERS = ("Rollout", "Rollout-Step", "Rollout-Decision", "Policy-Commit", "Outcome", "Proxies")

Document = Mapping[str, Any]


class History:
    """Documents from Git.

    Args:
        repository: Closed by whoever opened it; nobody else reads it.
        ref: The policy branch.
        record: Names the record branch, at this instant.
        clock: For what is left until something falls due.
    """

    def __init__(self, repository: Repository, ref: str, *, record: Callable[[], str], clock: Clock) -> None:
        from reconciler.cli.rollout.reading import Reader
        from reconciler.cycle.chronology import Chronology

        self._reader = Reader(repository, ref)
        self._chronology = Chronology(repository, ref)
        self._record = record
        self._clock = clock
        self._turn = threading.Lock()
        self._ref = ref
        self._known: tuple[tuple[str, str | None], Standpoint] | None = None

    def rollouts(self) -> Document:
        """As `reconcile rollout list --output json`, and of each what it moves.

        Raises:
            ReconcilerError: Git or its policies can't be read.
        """
        from reconciler.cli.rollout.documents import listed
        from reconciler.cli.rollout.reading import seen_of

        with self._turn:
            point = self._standpoint()
            rollouts = [seen_of(point, policy) for policy in point.mesh.rollouts]
            return listed(point, rollouts, now=self._clock.now())

    def rollout(self, namespace: str, name: str) -> Document:
        """As `reconcile rollout show --output json`, and its `curve`.

        Raises:
            UnknownPathError: There is no such rollout.
            ReconcilerError: Git or its policies can't be read.
        """
        from reconciler.cli.rollout.documents import shown
        from reconciler.cli.rollout.reading import UnknownRolloutError, find, seen_of
        from reconciler.rollouts.chronicle import events
        from reconciler.rollouts.picture import picture
        from reconciler.web import UnknownPathError

        with self._turn:
            point, now = self._standpoint(), self._clock.now()
            try:
                seen = seen_of(point, find(point.mesh, Key(namespace, name)))
            except UnknownRolloutError as error:
                raise UnknownPathError(diagnostics=error.diagnostics) from error
            written, recorded = self._reader.past(seen, point)
            document = shown(point, seen, events(written, recorded), now=now)
            curve = _curve(picture(written, recorded, seen.course, now=now))
        return document | {"rollout": document["rollout"] | {"curve": curve}}

    def timeline(self, *, before: str, limit: int) -> Document:
        """Both branches.

        Raises:
            CursorError: There is no such page.
            ReconcilerError: Git can't be read.
        """
        with self._turn:
            page = self._chronology.page(self._record(), before=before, limit=limit)
        return {
            "schema_version": 1,
            "entries": [_entry(item) for item in page.entries],
            "next": page.following or None,
        }

    def commit(self, commit: str) -> Document:
        """One commit of either branch.

        Raises:
            UnknownPathError: It is on neither.
            ReconcilerError: Git can't be read.
        """
        from reconciler.cycle.chronology import UnknownCommitError
        from reconciler.web import UnknownPathError

        with self._turn:
            try:
                entry, patch = self._chronology.commit(commit, self._record())
            except UnknownCommitError as error:
                raise UnknownPathError(diagnostics=error.diagnostics) from error
        body = entry.info.body
        return {
            "schema_version": 1,
            **_entry(entry),
            "body": body[:_BODY],
            "cut": len(body) > _BODY,
            "files": [{"path": item.path, "action": item.action, "text": item.text} for item in patch.files],
            "more": patch.more,
        }

    def _standpoint(self) -> Standpoint:
        """Read again only when one of the branches has moved."""
        repository = self._reader.repository
        now = (repository.resolve(self._ref), repository.branch(self._record()))
        if self._known is None or self._known[0] != now:
            self._known = (now, self._reader.standpoint())
        return self._known[1]


def _entry(entry: Entry) -> dict[str, Any]:
    info = entry.info
    return {
        "branch": "record" if entry.recorded else "policy",
        "kind": str(entry.kind),
        "commit": info.id,
        "parents": list(info.parents),
        "at": rfc3339(info.at),
        "by": info.author.partition(" <")[0],
        "subject": info.subject[:_BODY],
        "trailers": {name: info.trailers[name][0] for name in _SHOWN_TRAILERS if name in info.trailers},
    }


def _curve(drawn: Timeline) -> dict[str, Any]:
    return {
        "start": _time(drawn.start),
        "end": _time(drawn.end),
        "weight": _points(drawn.weight),
        "success": _pair(drawn.success),
        "duration": _pair(drawn.duration),
        "percentile": drawn.percentile,
        "moments": [
            {"at": _time(item.at), "mark": str(item.mark), "label": item.label, "words": item.words}
            for item in drawn.moments
        ],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {"canary": _points(pair.canary), "stable": _points(pair.stable), "limit": pair.limit}


def _points(points: Sequence[Point]) -> list[list[Any]]:
    """Time and value of each, thinned out evenly where there are more than a screen shows; the last is always there."""
    step = -(-len(points) // _POINTS) or 1
    kept = [*points[::step], *(points[-1:] if (len(points) - 1) % step else ())]
    return [[_time(point.at), round(point.value, 4)] for point in kept]


def _time(at: datetime) -> str:
    return rfc3339(at, timespec="auto")
