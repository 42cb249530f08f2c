"""Commits as values: who, when, which words and trailers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from reconciler.gitrepo.errors import CorruptRepositoryError

_PERSON = re.compile(rb"(.*?<[^>]*>) (-?\d+)")
_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_GIT_MADE = ("Signed-off-by: ", "(cherry picked from commit ")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInfo:
    """One commit.

    Attributes:
        parents: Full ids; none for a root.
        subject: The first paragraph of the message, on one line.
        body: The rest, trailers included.
        trailers: Values by exact key, in order.
        author: `Name <email>`.
        committer: `Name <email>`; who made the commit of it, which a merge in a browser or an amendment changes.
        at: Commit time, UTC.
    """

    id: str
    parents: tuple[str, ...]
    subject: str
    body: str
    trailers: Mapping[str, tuple[str, ...]]
    author: str
    committer: str = ""
    at: datetime


def commit_info(commit: str, data: bytes) -> CommitInfo:
    """Read a commit object.

    Not GitPython's parser, which fails on an encoding that Python does not know.

    Raises:
        CorruptRepositoryError: It is not one.
    """
    head, _, rest = data.partition(b"\n\n")
    headers: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        headers.setdefault(name, []).append(
            value
        )  # the lines of a signature begin with a space: name "", never looked up
    encoding = headers.get(b"encoding", [b"utf-8"])[0].decode("ascii", "replace")
    author = _PERSON.match(headers.get(b"author", [b""])[0])
    committer = _PERSON.match(headers.get(b"committer", [b""])[0])
    if author is None or committer is None:
        raise CorruptRepositoryError(f"{commit} is not a readable commit", hint="run git fsck in this repository")
    message = _decoded(rest, encoding).replace("\r\n", "\n").strip("\n")
    subject, _, body = message.partition("\n\n")
    return CommitInfo(
        id=commit,
        parents=tuple(parent.decode("ascii") for parent in headers.get(b"parent", [])),
        subject=" ".join(subject.split("\n")).strip(),
        body=body.strip("\n"),
        trailers=trailers(body),
        author=_decoded(author[1], encoding),
        committer=_decoded(committer[1], encoding),
        at=datetime.fromtimestamp(int(committer[2]), UTC),
    )


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding, "replace")
    except LookupError:
        return text.decode("utf-8", "replace")


def trailers(body: str) -> Mapping[str, tuple[str, ...]]:
    """The trailers of a message's body, as `git interpret-trailers --parse` finds them.

    They are the last paragraph, if all its lines are trailers, or a quarter of them with one that Git itself writes. A line
    that begins with a space continues the one before. Keys are compared exactly. A line of three dashes ends nothing: it
    comes from merge messages more often than from patches.
    """
    last = body.rstrip().rpartition("\n\n")[2]
    lines = [line for line in last.split("\n") if line.strip()]
    found: list[tuple[str, str]] = []
    other = 0
    for line in lines:
        if line[0] in " \t" and found:
            key, value = found[-1]
            found[-1] = (key, f"{value} {line.strip()}".strip())
        elif (match := _TRAILER.fullmatch(line)) is not None:
            found.append((match[1], match[2].strip()))
        elif not line.startswith(_GIT_MADE):
            other += 1
    by_git = any(line.startswith(_GIT_MADE) for line in lines)
    if other and not (by_git and 3 * (len(lines) - other) >= other):
        found = []
    values: dict[str, tuple[str, ...]] = {}
    for key, value in found:
        values[key] = (*values.get(key, ()), value)
    return MappingProxyType(values)
