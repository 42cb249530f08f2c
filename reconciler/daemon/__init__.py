"""Passes on a schedule, one at a time, until a signal says stop. The only room that knows APScheduler."""
