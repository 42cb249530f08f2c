"""How many more files the Envoys of this machine can watch. An Envoy that can't watch a file that it is told to read ends.

Every file that an Envoy subscribes to costs it one inotify instance (measured on 1.40: two for `cds.pb` and `lds.pb`, one
for each route configuration and each cluster's endpoints, and two for each secret, whose certificates it watches too).
Linux allows each user 128 by default, all processes together, and Envoy takes the lack of one for a fault of its own and
aborts, again at each restart. So a push that needs more than there are is refused before anything is written.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from reconciler.errors import PermanentError

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY = "anon_inode:inotify"


class WatchLimitError(PermanentError):
    """The push would make an Envoy watch more files than its user may; it would end."""

    default_code = "push-watches"


class Watches:
    """The room for one push; shared by its proxies, whose threads may ask at the same time.

    Args:
        limit: Instances that one user may have; None where there is no such limit (not Linux).
        used: Instances in use by user id, as far as this process may see.
    """

    def __init__(
        self, *, limit: Callable[[], int | None] | None = None, used: Callable[[], Mapping[int, int]] | None = None
    ) -> None:
        self._limit = limit or user_limit
        self._used = used or in_use
        self._taken: Counter[int] | None = None
        self._lock = threading.Lock()

    def reserve(self, user: int, count: int) -> None:
        """Take room for files that an Envoy of this user will newly watch. Looks at the machine at the first call.

        Raises:
            WatchLimitError: There is not enough; nothing was taken.
        """
        limit = self._limit()
        if limit is None or count <= 0:
            return
        with self._lock:
            if self._taken is None:
                self._taken = Counter(self._used())
            taken = self._taken[user]
            if taken + count > limit:
                raise WatchLimitError(
                    # How many there are exactly changes all the time, and each change would be a new receipt.
                    f"{count} more files to watch, and user {user} has not so many of its {limit} inotify instances left;"
                    " an Envoy without one ends",
                    hint="raise the limit first: sysctl fs.inotify.max_user_instances=8192",
                )
            self._taken[user] += count


def user_limit() -> int | None:
    """Inotify instances that one user may have, or None where the machine does not say."""
    try:
        return int(_LIMIT.read_text())
    except (OSError, ValueError):
        return None


def in_use() -> Mapping[int, int]:
    """Inotify instances by user id, of the processes that this one may look into."""
    found: Counter[int] = Counter()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is somebody else's
            found[process.stat().st_uid] += instances(process)
    return found


def instances(process: Path) -> int:
    """Inotify instances of one process, by its folder in `/proc`."""
    count = 0
    for handle in (process / "fd").iterdir():
        with suppress(OSError):
            count += str(handle.readlink()) == _INOTIFY
    return count


def user_of(admin: str) -> int:
    """The user an Envoy runs as: whose admin socket it is, or ours where there is none to look at."""
    try:
        return Path(admin.removeprefix("unix://")).stat().st_uid if admin.startswith("unix://") else os.geteuid()
    except OSError:
        return os.geteuid()
