"""Getting a plan onto proxies, in phases that make before they break, and proving that it is live.

`push` is the way in; `Channel` delivers endpoints past it, which change without a plan. `phases` plans the steps, a `Way` carries them out (`ads`, `files`, `runtime`), `verify` reads them back.
"""

from reconciler.push.byword import observe_by_word
from reconciler.push.channel import Channel, Confirmed, Delivered
from reconciler.push.directory import prepare_directory, prepare_files, prepare_socket
from reconciler.push.disk import WriteError
from reconciler.push.fleet import Pushed, push
from reconciler.push.phases import Phase
from reconciler.push.watches import WatchLimitError
from reconciler.push.ways import DisconnectedError, NotConfirmedError, RefusedByEnvoyError, Target, Way

__all__ = [
    "Channel",
    "Confirmed",
    "Delivered",
    "DisconnectedError",
    "NotConfirmedError",
    "Phase",
    "Pushed",
    "RefusedByEnvoyError",
    "Target",
    "WatchLimitError",
    "Way",
    "WriteError",
    "observe_by_word",
    "prepare_directory",
    "prepare_files",
    "prepare_socket",
    "push",
]
