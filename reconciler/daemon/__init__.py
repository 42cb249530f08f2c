"""Passes on a schedule and on demand, one at a time, until a signal says stop. The only room that knows APScheduler.

TransientError
├── DaemonStoppingError   a pass was asked for and will not begin
└── AskTimeoutError       it did not end within the asker's patience
"""

from reconciler.daemon.asking import AskTimeoutError, DaemonStoppingError
from reconciler.daemon.courier import Courier, Deliveries, Pace
from reconciler.daemon.log import ReadyLine, log_errors
from reconciler.daemon.logformat import FACTS, JsonFormatter, TextFormatter, ends_of_threads
from reconciler.daemon.loop import Daemon, Passes
from reconciler.daemon.observers import Observer
from reconciler.daemon.signals import stop_on_signals
from reconciler.daemon.state import GitState, LastPass, State, Verified
from reconciler.daemon.supervisor import Supervisor
from reconciler.daemon.triggers import Schedule, Trigger

__all__ = [
    "FACTS",
    "AskTimeoutError",
    "Courier",
    "Daemon",
    "DaemonStoppingError",
    "Deliveries",
    "GitState",
    "JsonFormatter",
    "LastPass",
    "Observer",
    "Pace",
    "Passes",
    "ReadyLine",
    "Schedule",
    "State",
    "Supervisor",
    "TextFormatter",
    "Trigger",
    "Verified",
    "ends_of_threads",
    "log_errors",
    "stop_on_signals",
]
