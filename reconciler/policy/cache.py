"""What the last passes have read, so that an unchanged commit costs nothing and a change costs its own files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from reconciler.policy.documents import FileResult
from reconciler.policy.loaded import Loaded

FileKey = tuple[str, str]
"""Path and blob id: a policy's origin has both."""


class DocumentCache:
    """Files by path and blob id, least recently used first to go, and the outcome of the last load as a whole.

    Not safe for use by several threads at once: one pass runs at a time.

    Args:
        limit: Files that are kept; a file of policies costs about 30 KB.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        self._limit = limit
        self._files: OrderedDict[FileKey, FileResult] = OrderedDict()
        self._last: tuple[object, Loaded] | None = None

    def __len__(self) -> int:
        return len(self._files)

    def file(self, key: FileKey, read: Callable[[], FileResult]) -> FileResult:
        """What a file holds: as known, or as `read` finds it."""
        found = self._files.get(key)
        if found is None:
            found = self._files[key] = read()
            while len(self._files) > self._limit:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(key)
        return found

    def last(self, fingerprint: object) -> Loaded | None:
        """The outcome of the last load, if it was of the same files."""
        return self._last[1] if self._last is not None and self._last[0] == fingerprint else None

    def remember(self, fingerprint: object, loaded: Loaded) -> None:
        """Keep the outcome of this load."""
        self._last = (fingerprint, loaded)
