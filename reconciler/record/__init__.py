"""Receipts: commits on the record branch that say what is live where, proven how.

`Record` reads and writes them; `form` is what they look like, `evidence` what rollouts leave in them. Nothing here decides what
is live, or what evidence means.
"""

from reconciler.record.errors import RecordRewoundError, RecordUnreadableError
from reconciler.record.evidence import broken, path_of_rollout
from reconciler.record.form import Draft
from reconciler.record.record import Record

__all__ = ["Draft", "Record", "RecordRewoundError", "RecordUnreadableError", "broken", "path_of_rollout"]
