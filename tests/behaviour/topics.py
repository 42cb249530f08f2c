"""The table's files: a topic each, with its rows in order. What is wrong with a row is that row's own failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.yamldoc import dump, load
from tests.behaviour.table import Request, Row, slug

ROWS = Path(__file__).parent / "rows"


class Entry(BaseModel):
    """A row's place in the table.

    Attributes:
        topic: File name of its topic.
        raw: As it is written.
        mesh: What the Mesh says that the row is in.
        row: None if it can't be read.
        problem: Why not.
    """

    topic: str
    raw: Mapping[str, Any]
    mesh: Mapping[str, Any] = {}
    row: Row | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """Unique in the table."""
        return slug(str(self.raw.get("rule", "")))

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.topic}-{self.name}"

    def text(self) -> str:
        """The row as YAML."""
        return dump(dict(self.raw))


class Topic(BaseModel):
    """A file of rows.

    Attributes:
        title: Its `topic`.
        about: A sentence or two.
        mesh: What the Mesh says; topics that say different things have Envoys of their own.
    """

    name: str
    title: str
    about: str
    mesh: Mapping[str, Any] = {}
    entries: tuple[Entry, ...]


def topics(folder: Path = ROWS) -> tuple[Topic, ...]:
    """The whole table, by the names of its files."""
    return tuple(_topic(path) for path in sorted(folder.glob("*.yaml")))


def _topic(path: Path) -> Topic:
    (content,) = load(path.read_bytes(), file=path.name)
    mesh = content.get("mesh", {})
    entries = tuple(entry(path.stem, raw, mesh=mesh) for raw in content["rows"])
    return Topic(name=path.stem, title=content["topic"], about=content["about"], mesh=mesh, entries=entries)


def entry(topic: str, raw: Mapping[str, Any], *, mesh: Mapping[str, Any] | None = None) -> Entry:
    """Read one row; what is wrong with it is its own failure."""
    try:
        spelled = {**raw, "requests": [_request(item) for item in raw.get("requests", ())]}
        row = Row.model_validate(spelled)
        for request in row.requests:
            _ = request.headers
    except (ValidationError, ValueError) as error:
        return Entry(topic=topic, raw=raw, mesh=mesh or {}, problem=str(error))
    return Entry(topic=topic, raw=raw, mesh=mesh or {}, row=row)


def _request(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request in full: `LINE: OUTCOME`, or a mapping with `send`, in which the outcome's fields stand beside the request's."""
    if "send" not in item:
        if len(item) != 1:
            raise ValueError(f"write `LINE: OUTCOME`, or `send: LINE` and more: {dict(item)}")
        ((line, outcome),) = item.items()
        return {"send": line, "expect": _outcome(outcome)}
    own = {name: value for name, value in item.items() if name in Request.model_fields and name != "expect"}
    rest = {name: value for name, value in item.items() if name not in own and name != "expect"}
    return {**own, "expect": {**_outcome(item.get("expect", {})), **rest}}


def _outcome(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"from": value}
    if isinstance(value, int):
        return {"status": value}
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"an outcome is a backend, a status or a mapping: {value!r}")


def duplicates(entries: Sequence[Entry]) -> list[str]:
    """Names that two rows have."""
    names = [item.name for item in entries]
    return sorted({name for name in names if names.count(name) > 1})
