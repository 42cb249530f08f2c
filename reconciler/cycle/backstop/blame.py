"""Whether one of a repository's own templates is what Envoy refuses, and which field of it: by compiling without it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from reconciler.compile.pieces import Piece
from reconciler.cycle.backstop.search import Culprit, Runs, Search
from reconciler.cycle.backstop.words import at, spoken, texts
from reconciler.cycle.backstop.world import one_proxy
from reconciler.envoy.validation import Verdict, constraint_path
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.origin import FieldPath
from reconciler.yamldoc import dump, load

_FIXED = {"@type", "name"}
"""Keys that are never taken away to see what happens: without them the rest has no meaning."""


@dataclass(frozen=True, slots=True)
class Blame:
    """A template's field that Envoy refuses.

    Attributes:
        template: File name.
        path: The field, in the template as it is by now; () if the whole has to be looked at.
        place: The value in it that Envoy's words speak of, or the field itself.
    """

    template: str
    path: FieldPath
    place: FieldPath


class _Missing(Enum):
    """Why there is nothing to ask about: the template can't be used so, or makes no such piece."""

    WORLD = "world"
    PIECE = "piece"


@dataclass(frozen=True, slots=True)
class Accused:
    """What Envoy complained about: a piece of one proxy, or its bootstrap."""

    culprit: Culprit
    piece: Piece | None
    proxy: Key


class Templates:
    """The templates in force, and the house's, for one mesh.

    Attributes:
        current: By file name; what is found to be wrong is taken out of them.
    """

    def __init__(self, mesh: Mesh, current: Mapping[str, str], house: Mapping[str, str], runs: Runs) -> None:
        self._mesh = mesh
        self._house = house
        self._runs = runs
        self.current = dict(current)
        self._removed: dict[str, list[FieldPath]] = {}

    @property
    def overridden(self) -> list[str]:
        """The files that differ from the house's."""
        return sorted(name for name, text in self.current.items() if self._house.get(name, text) != text)

    def blame(self, accused: Accused) -> Blame | None:
        """The template whose override makes the difference, or None."""
        for name in self.overridden:
            without = self._ask(accused, name, self._house[name])
            if isinstance(without, Verdict) and not _same(accused.culprit, without):
                path = self._descend(accused, name, without)
                value = at(_read(self.current[name]), path)
                return Blame(name, path, spoken(value, path, accused.culprit.words) or path)
        return None

    def mend(self, found: Blame) -> None:
        """Go on without what is wrong."""
        name, path = found.template, found.path
        text = self.current[name]
        self.current[name] = dump(_without(_read(text), path)) if path else self._house[name]
        self._removed.setdefault(name, []).append(path)

    def written(self, found: Blame) -> FieldPath | None:
        """Where to point in the template as it is written; None at what only misses something that was taken out before."""
        path = found.place
        for gone in reversed(self._removed.get(found.template, ())):
            if gone[: len(path)] == path:
                return None
            path = _shifted(path, gone)
        return path

    def _ask(self, accused: Accused, name: str, text: str) -> Verdict | _Missing:
        """What Envoy says of the accused piece with another text of a template."""
        world = one_proxy(self._mesh, self.current | {name: text}, accused.proxy)
        if world is None or not world.batches:
            return _Missing.WORLD
        pieces = world.batches[0].pieces()
        search = Search(world.bootstrap, pieces, self._runs)
        if accused.piece is None:
            return search.ask(())
        position = next((n for n, piece in enumerate(pieces) if piece.path == accused.piece.path), None)
        return _Missing.PIECE if position is None else search.ask((position,))

    def _descend(self, accused: Accused, name: str, target: Verdict) -> FieldPath:
        """The innermost field without which Envoy says what it says of the house's template.

        If there is none (something else is wrong with the piece as well, or the field is what makes the piece), one without
        which it says something else.
        """
        path: FieldPath = ()
        found: FieldPath | None = ()
        certain = False
        while found is not None:
            path = found
            found, certain = self._guilty(accused, name, path, target, certain=certain)
        return path

    def _guilty(
        self, accused: Accused, name: str, path: FieldPath, target: Verdict, *, certain: bool
    ) -> tuple[FieldPath | None, bool]:
        """A field inside of `path`, and whether it is certain; once it is, nothing uncertain is looked at."""
        whole = _read(self.current[name])
        other: FieldPath | None = None
        for step in _inside(at(whole, path), accused.culprit.words):
            verdict = self._ask(accused, name, dump(_without(whole, (*path, step))))
            if isinstance(verdict, Verdict):
                if _same(accused.culprit, verdict):
                    continue
                if verdict.complaint == target.complaint:
                    return (*path, step), True
                if str(step) in constraint_path(verdict.complaint):  # it only misses the field
                    continue
            if other is None and verdict is not _Missing.WORLD:
                other = (*path, step)
        return (None if certain else other), certain


def _same(culprit: Culprit, verdict: Verdict) -> bool:
    """Whether Envoy still says what it said."""
    return culprit.words == verdict.complaint if culprit.fatal else culprit.words in verdict.warnings


def _read(text: str) -> Any:
    documents = load(text.encode())
    return documents[0] if documents else None


def _inside(value: Any, words: str) -> list[str | int]:
    """What may be taken away of a mapping or list: first what Envoy's words speak of."""
    steps: list[str | int] = []
    if isinstance(value, dict):
        steps = [key for key in value if key not in _FIXED]
    elif isinstance(value, list):
        steps = [*range(len(value))]
    return sorted(steps, key=lambda step: -sum(text in words for text in {str(step), *texts(value[step])}))


def _shifted(path: FieldPath, gone: FieldPath) -> FieldPath:
    """A path as it was before an item of a list went."""
    outer, last = gone[:-1], gone[-1] if gone else ""
    step = path[len(outer)] if len(path) > len(outer) else ""
    if path[: len(outer)] != outer or not isinstance(last, int) or not isinstance(step, int) or step < last:
        return path
    return (*outer, step + 1, *path[len(outer) + 1 :])


def _without(value: Any, path: FieldPath) -> Any:
    out = copy.deepcopy(value)
    del at(out, path[:-1])[path[-1]]
    return out
