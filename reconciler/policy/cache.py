"""What the last loads have read, so that an unchanged commit costs nothing and a change costs its own files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from reconciler.policy.assembly import Assembly
from reconciler.policy.documents import FileResult
from reconciler.policy.files import Listing
from reconciler.policy.findings import Locator
from reconciler.policy.loaded import Loaded
from reconciler.policy.rechecking import References
from reconciler.policy.services import Services

FileKey = tuple[str, str]
"""Path and blob id: a policy's origin has the path, and what the file says follows from the blob."""


class DocumentCache:
    """Files by path and blob id, least recently used first to go, and the last load as a whole, to be changed into the next.

    However many files the last load had, all of them are known to the next one: the limit is for going back to other commits.
    Not safe for use by several threads at once: one pass runs at a time.

    Args:
        limit: Files that are kept; one with a service, its routes and its subsets costs about 25 KB.

    Attributes:
        listing: What the folder of policies had.
        assembly: The documents.
        services: The services.
        references: What is wrong between documents.
        locator: Where findings about several documents were.
    """

    def __init__(self, *, limit: int = 20_000) -> None:
        self._limit = limit
        self._files: OrderedDict[FileKey, FileResult] = OrderedDict()
        self._last: tuple[object, Loaded] | None = None
        self.listing = Listing()
        self.assembly = Assembly()
        self.services = Services()
        self.references = References()
        self.locator = Locator()

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
        """The outcome of the last load, if everything but the files of policies was the same."""
        return self._last[1] if self._last is not None and self._last[0] == fingerprint else None

    def forget(self) -> None:
        """What the last load came to is not to be had any more: the files are others now."""
        self._last = None

    def remember(self, fingerprint: object, loaded: Loaded) -> None:
        """Keep the outcome of this load."""
        self._last = (fingerprint, loaded)
