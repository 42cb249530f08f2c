"""One change as files: which file of a commit becomes what. Pure; reading the commit is handed in.

A policy that is there stays in its file and keeps its neighbours byte for byte; a new one gets a file of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.cycle.editing.catalogue import Entry, header_of, shown, tag_of
from reconciler.cycle.editing.errors import PolicyPlaceError, PolicyTextError, PreconditionError, RefusedChangeError
from reconciler.cycle.editing.wishes import Action, Wish
from reconciler.model.key import Key
from reconciler.model.tree import FileKind, TreeFile
from reconciler.policy.files import POLICIES
from reconciler.yamldoc import SpliceError, YamlError, exchange, joined, one, parts, without

_LONGEST_PATH = 240
_LONGEST_NAME = 180
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]*")
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a wish makes of a commit.

    Attributes:
        action: What it is.
        file: Path of the file that changes.
        before: Its content; None if it is not there.
        after: Likewise, then.
        tag: Of the policy then; "" if it is gone.
    """

    action: Action
    file: str
    before: bytes | None
    after: bytes | None
    tag: str


def changed(
    wish: Wish, entry: Entry | None, files: Iterable[TreeFile], read: Callable[[str], bytes | None], commit: str
) -> Changed:
    """Carry a wish out on the files of a commit.

    Args:
        wish: What is wanted.
        entry: Where the policy is; None if it is nowhere.
        files: All below `policies/`.
        read: Content of a file of the commit.
        commit: Its id.

    Raises:
        PreconditionError: The policy is not as it was seen, or is there and must not be.
        PolicyTextError: The text is not one document of this kind and name.
        PolicyPlaceError: It can't be written there.
        RefusedChangeError: The file can't be changed in place.
    """
    require_own(wish)
    before = read(entry.file) if entry is not None else None
    now = shown(entry, before or b"", commit).tag if entry is not None else ""
    _require_seen(wish, now)
    if entry is None:
        return _created(wish, files, read)
    try:
        if wish.text is None:
            return Changed(
                action=Action.DELETE,
                file=entry.file,
                before=before,
                after=without(before or b"", entry.document),
                tag="",
            )
        if wish.file not in {"", entry.file}:
            raise PolicyPlaceError(
                f"{wish.kind} {wish.key} is in {entry.file}", hint="leave `file` out: a policy stays"
            )
        after = exchange(before or b"", entry.document, wish.text)
    except (SpliceError, YamlError) as error:
        raise RefusedChangeError(
            f"{entry.file} can't be changed in place: {error.message}", hint=error.diagnostics[0].hint
        ) from None
    action = Action.NONE if after == before else Action.UPDATE
    return Changed(action=action, file=entry.file, before=before, after=after, tag=_tag(after, entry.document))


def require_own(wish: Wish) -> None:
    """Refuse a text that is anything but one document of this kind and name.

    Raises:
        PolicyTextError: It is.
    """
    if wish.text is None:
        return
    try:
        value = one(wish.text)
    except YamlError as error:
        raise PolicyTextError(diagnostics=error.diagnostics) from None
    header = header_of(value)
    if header is None or header[0] != wish.kind or header[1] != wish.key:
        said = f"{header[0]} {header[1]}" if header is not None else "no policy of ours"
        raise PolicyTextError(
            f"the document is {said}, and is sent to {wish.kind} {wish.key}",
            hint="apiVersion, kind, metadata.name and metadata.namespace (`default` if absent) say what a document is",
        )


def place_of(kind: str, key: Key) -> str:
    """Where a new policy goes, unless somebody says otherwise."""
    name = f"{kind.lower()}-{key.name}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{POLICIES}/{key.namespace}/{name}.yaml"


def require_place(path: str, files: Iterable[TreeFile]) -> None:
    """Refuse a path that is no plain YAML file below `policies/`, or would stand in the way of what is there.

    Raises:
        PolicyPlaceError: It is refused.
    """
    steps = path.split("/")
    if steps[0] != POLICIES or len(path) > _LONGEST_PATH or any(not _STEP.fullmatch(step) for step in steps):
        raise PolicyPlaceError(
            "`file` is no path of a policy file",
            hint=f"write {POLICIES}/FOLDER/NAME.yaml in letters, digits, -, _ and .",
        )
    if len(steps) == 1 or not path.endswith((".yaml", ".yml")):
        raise PolicyPlaceError("`file` does not end in .yaml", hint="only YAML files are read")
    folders = {"/".join(steps[:count]).casefold(): "/".join(steps[:count]) for count in range(1, len(steps) + 1)}
    for item in files:
        there = item.path.split("/")
        for count in range(1, len(there) + 1):
            above = "/".join(there[:count])
            same = folders.get(above.casefold())
            if same is None:
                continue
            leaf = count == len(there)
            plain = leaf and item.kind is FileKind.FILE
            if same != above or (leaf and not (plain and above == path)) or (not leaf and above == path):
                raise PolicyPlaceError(f"{same} can't be beside {above}", hint="choose another name for the file")


def _require_seen(wish: Wish, now: str) -> None:
    what = f"{wish.kind} {wish.key}"
    if wish.expect is None:
        if now:
            raise PreconditionError(
                f"{what} is there already", hint="read it, and send its ETag as If-Match to change it"
            )
    elif not now:
        hint = "send `If-None-Match: *` to create it" if wish.text is not None else "there is nothing to delete"
        raise PreconditionError(f"{what} is not there", hint=hint)
    elif ANY not in wish.expect and now not in wish.expect:
        raise PreconditionError(
            f"{what} has changed since it was read", hint="read it again, and change what it is now"
        )


def _created(wish: Wish, files: Iterable[TreeFile], read: Callable[[str], bytes | None]) -> Changed:
    if wish.text is None:
        raise PreconditionError(f"{wish.kind} {wish.key} is not there")
    path = wish.file or place_of(wish.kind, wish.key)
    require_place(path, files)
    before = read(path)
    try:
        after = joined(before or b"", wish.text)
        count = len(parts(after))
    except (SpliceError, YamlError) as error:
        raise PolicyPlaceError(f"{path} can't take one more: {error.message}", hint=error.diagnostics[0].hint) from None
    return Changed(action=Action.CREATE, file=path, before=before, after=after, tag=_tag(after, count - 1))


def _tag(text: bytes, document: int) -> str:
    part = parts(text)[document]
    return tag_of(part.text) if part is not None else ""
