"""Long polls on threads of their own, and what they have brought since somebody last looked: the newest only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.discovery.platforms.consul.asking import Answer

_SHORTEST = 0.01
"""Seconds between two questions of one poll, at least, so that a registry in turmoil is not asked without pause."""
_IDLE = 3
"""A poll rests for so many times as long as its last answer took to be worked off: then it takes a part of a core at most."""


@dataclass(frozen=True, slots=True)
class News:
    """What has come.

    Attributes:
        answers: The newest by poll.
        answered: Whether anything has come at all, be it that nothing is new.
    """

    answers: dict[str, Answer]
    answered: bool


class Polls:
    """Some polls; `take` waits for what they bring."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._answers: dict[str, Answer] = {}
        self._answered = False
        self._error: Exception | None = None
        self._ended = False
        self._cost = 0.0
        self._threads: list[threading.Thread] = []

    def add(self, name: str, ask: Callable[[int], Answer], known: Answer) -> None:
        """Ask again and again for what is newer than what is known."""
        thread = threading.Thread(target=self._poll, args=(name, ask, known), name=f"consul {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def take(self, seconds: float | None) -> News:
        """What has come since the last call; waits for it, for so long, for ever, or until `end`.

        Raises:
            AdapterError: A poll got no answer.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._answered or self._error is not None or self._ended, seconds)
            if self._error is not None and not self._ended:
                raise self._error
            news = News(self._answers, self._answered)
            self._answers, self._answered = {}, False
            return news

    def worked(self, seconds: float) -> None:
        """What was taken last has cost so many seconds of the processor."""
        self._cost = seconds

    def end(self) -> None:
        """Whoever waits here goes on; whoever waits for Consul has to be woken by ending its connections."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()

    def _poll(self, name: str, ask: Callable[[int], Answer], known: Answer) -> None:
        while not self._ended:
            began = time.thread_time()
            try:
                answer = ask(known.index)
            except Exception as error:  # noqa: BLE001 -- whoever drives the adapter is told, whatever it was
                self._failed(error)
                return
            with self._condition:
                self._answered = True
                if not known.index or (answer.index, answer.filtered) != (known.index, known.filtered):
                    self._answers[name] = answer
                self._condition.notify_all()
                rest = max(_SHORTEST, _IDLE * (time.thread_time() - began + self._cost))
                self._condition.wait_for(lambda: self._ended, rest)
            known = answer

    def _failed(self, error: Exception) -> None:
        with self._condition:
            self._error = self._error or error
            self._condition.notify_all()
