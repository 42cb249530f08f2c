"""What can go wrong with the record branch. Neither must keep traffic from being served: a pass reports it and goes on."""

from __future__ import annotations

from reconciler.errors import PermanentError


class RecordUnreadableError(PermanentError):
    """The record branch has something that is no receipt of ours. The next receipt that is written replaces it."""

    default_code = "record-unreadable"


class RecordRewoundError(PermanentError):
    """The record branch has lost receipts that this process has seen. It is never made anew in silence."""

    default_code = "record-rewound"
