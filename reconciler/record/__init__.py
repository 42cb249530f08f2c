"""Receipts: commits on the record branch that say what is live where, proven how.

`Record` reads and writes them; `form` is what they look like. Nothing here decides what is live.
"""

from reconciler.record.errors import RecordRewoundError, RecordUnreadableError
from reconciler.record.form import Draft
from reconciler.record.record import Record

__all__ = ["Draft", "Record", "RecordRewoundError", "RecordUnreadableError"]
