"""Passes on a schedule, one at a time, until a signal says stop. The only room that knows APScheduler."""

from reconciler.daemon.loop import Daemon, Passes, Schedule
from reconciler.daemon.signals import stop_on_signals

__all__ = ["Daemon", "Passes", "Schedule", "stop_on_signals"]
