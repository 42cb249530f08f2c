"""Delivering notices to whom `Mesh.notifications` names, beside the passes and never in their way.

Each receiver has a thread and a queue of its own, so one that is down or slow delays neither a pass nor another receiver. What
can't be delivered is tried again with growing pauses, for a bounded time. An address may be a secret (Slack's are): messages
show the host of one that stands in Git, and of one in a file only the file's path.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.cycle.notices import Notice
from reconciler.errors import Diagnostic, ReconcilerError, Severity, TransientError
from reconciler.http import HttpClient, HttpError
from reconciler.model.proxy import Notification
from reconciler.plan import visible
from reconciler.settings import AdminSettings

_PATIENCE = 600.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_QUEUE = 100
"""Notices that wait for one receiver; of more the oldest are given up."""
_REMEMBERED = 1000
_MOST = 16 * 1024
_LIMITS = AdminSettings(connect_timeout=2.0, read_timeout=5.0, max_body=1 << 16)
_LATER = frozenset({408, 425, 429})
_REDIRECT, _OK_FROM, _OK_TO, _ERROR_FROM = range(300, 400), 200, 300, 500


class NotificationError(TransientError):
    """A receiver of notifications could not be told. It is tried again for ten minutes, and never holds anything up."""

    default_code = "notification"


class _RefusedError(NotificationError):
    """Trying again would not help."""


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """A notice on its way to one receiver."""

    notice: Notice
    until: float


@dataclass(slots=True, eq=False)
class _Receiver:
    """One receiver, and what it has yet to be told."""

    settings: Notification
    queue: deque[_Waiting] = field(default_factory=deque)
    thread: threading.Thread | None = None


class Notifier:
    """Tells receivers, in the order in which rollouts came into their states.

    Args:
        complain: Told what could not be delivered, from other threads.
        patience: Seconds after which a notice is given up.
        first_pause: Seconds until the second attempt; doubles up to a minute.
        limits: Time and size limits of one call.
    """

    def __init__(
        self,
        complain: Callable[[Diagnostic], None],
        *,
        patience: float = _PATIENCE,
        first_pause: float = _FIRST_PAUSE,
        limits: AdminSettings = _LIMITS,
    ) -> None:
        self._complain = complain
        self._patience = patience
        self._first_pause = first_pause
        self._limits = limits
        self._changed = threading.Condition()
        self._receivers: dict[Notification, _Receiver] = {}
        self._open: OrderedDict[str, int] = OrderedDict()  # by notice: how many receivers are still to be told
        self._closed = False

    def tell(self, notice: Notice, receivers: Sequence[Notification]) -> bool:
        """Have receivers told of a state, each once; returns at once.

        Returns:
            Whether nobody is left to be told: then `notice.state` belongs into the evidence. A receiver that was given up counts
            as told.
        """
        with self._changed:
            if notice.id not in self._open:
                wanted = tuple(dict.fromkeys(receivers))
                self._open[notice.id] = len(wanted)
                for settings in wanted:
                    self._put(settings, notice)
                self._forget()
            return self._open[notice.id] == 0

    def wait(self, seconds: float) -> bool:
        """Give deliveries some time, for a process that is about to end; says whether all were made or given up."""
        end = time.monotonic() + seconds
        with self._changed:
            while any(self._open.values()):
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return False
                self._changed.wait(left)
        return True

    def close(self) -> None:
        """Stop; what is under way is told again by the next process, with the same id."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, settings: Notification, notice: Notice) -> None:
        receiver = self._receivers.setdefault(settings, _Receiver(settings))
        if len(receiver.queue) >= _QUEUE:
            self._settle(receiver.queue.popleft().notice)
        receiver.queue.append(_Waiting(notice=notice, until=time.monotonic() + self._patience))
        if receiver.thread is None and not self._closed:
            receiver.thread = threading.Thread(target=self._serve, args=(receiver,), name="notifications", daemon=True)
            receiver.thread.start()
        self._changed.notify_all()

    def _settle(self, notice: Notice) -> None:
        if notice.id in self._open:
            self._open[notice.id] = max(0, self._open[notice.id] - 1)
        self._changed.notify_all()

    def _forget(self) -> None:
        for old in [old for old, left in self._open.items() if not left][: max(0, len(self._open) - _REMEMBERED)]:
            del self._open[old]

    def _serve(self, receiver: _Receiver) -> None:
        """The thread of one receiver: one notice after the other; ends with the queue."""
        while True:
            with self._changed:
                if self._closed or not receiver.queue:
                    receiver.thread = None
                    return
                waiting = receiver.queue[0]
            self._persist(receiver, waiting)
            with self._changed:
                if receiver.queue and receiver.queue[0] is waiting:
                    receiver.queue.popleft()
                    self._settle(waiting.notice)

    def _persist(self, receiver: _Receiver, waiting: _Waiting) -> None:
        """Deliver one notice, or give it up."""
        pause, complained = self._first_pause, False
        while not self._closed:
            try:
                deliver(waiting.notice, receiver.settings, self._limits)
            except NotificationError as error:
                final = isinstance(error, _RefusedError) or time.monotonic() + pause > waiting.until
                if final or not complained:
                    self._complain(_said(error, final=final))
                complained = True
                if final:
                    return
            else:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _said(error: NotificationError, *, final: bool) -> Diagnostic:
    tail = "; it is given up" if final else "; it is tried again for a while"
    hint = "see what the receiver says, and whether Mesh.notifications names it right"
    return Diagnostic(code=error.code, message=f"{error.message}{tail}", severity=Severity.WARNING, hint=hint)


def deliver(notice: Notice, receiver: Notification, limits: AdminSettings) -> None:
    """Tell one receiver once.

    Raises:
        NotificationError: It was not told, as far as is known; names the receiver without its address's secret parts.
    """
    address, target, name = _address(receiver)
    try:
        with HttpClient(address, limits) as client:
            status = client.post_json(target, notice.body(receiver.format)).status
    except HttpError as error:
        # Its own words have the path, which is the secret.
        words = error.message.partition(f"{address}{target.partition('?')[0]}: ")[2] or "no usable answer"
        raise NotificationError(f"{name} was not told of {_of(notice)}: {words}") from None
    except ReconcilerError:
        raise _RefusedError(f"{name} has no usable address") from None
    if status in _REDIRECT:
        raise _RefusedError(f"{name} redirects ({status}), which is not followed")
    if not _OK_FROM <= status < _OK_TO:
        kind = NotificationError if status >= _ERROR_FROM or status in _LATER else _RefusedError
        raise kind(f"{name} was not told of {_of(notice)}: it answers {status}")


def _of(notice: Notice) -> str:
    return visible(f"{notice.rollout.short()} ({notice.phase})")


def _address(receiver: Notification) -> tuple[str, str, str]:
    """The server, what is asked of it, and how it is called in messages.

    Raises:
        NotificationError: The file can't be read now.
    """
    if receiver.url_file:
        name = f"the notification receiver of {visible(receiver.url_file)}"
        try:
            with Path(receiver.url_file).open("rb") as file:
                url = file.read(_MOST).decode("utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise NotificationError(f"{name} can't be told: {why}") from None
    else:
        url, name = receiver.url, "the notification receiver"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isascii() and url.isprintable()
        parts.port  # noqa: B018 -- raises where it is no number
    except ValueError:
        usable = False
    if not usable:
        raise _RefusedError(f"{name} has no usable address") from None
    if not receiver.url_file:
        name = f"the notification receiver at {parts.hostname}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", target, name
