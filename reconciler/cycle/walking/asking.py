"""Prometheus queries beside a pass: one that hangs holds its rollout, and nobody else's traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from reconciler.errors import ReconcilerError
from reconciler.model.key import Key
from reconciler.prometheus import NoDataError, ask
from reconciler.rollouts.facts import Answer
from reconciler.rollouts.queries import Query

_WORKERS = 4


class Asker:
    """Asks in the background. An answer that is not there in time is there for the next pass.

    Args:
        patience: Seconds that a pass waits for what it is the first to ask; no pass waits for what was asked before.
    """

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="prometheus")
        self._asked: dict[str, Future[Answer]] = {}

    def answers(self, rollout: Key, due: Iterable[Query]) -> Mapping[str, Answer]:
        """The answers that there are to what is due for a rollout; the others are on their way."""
        wanted = {query.id: query for query in due}
        ours = f"{rollout}/"
        for id_ in [id_ for id_, asked in self._asked.items() if id_.startswith(ours) and asked.done()]:
            if id_ not in wanted:
                del self._asked[id_]
        fresh = {id_: self._pool.submit(_answer, query) for id_, query in wanted.items() if id_ not in self._asked}
        self._asked |= fresh
        if fresh:
            wait(fresh.values(), timeout=self._patience)
        return {id_: self._asked.pop(id_).result() for id_ in wanted if self._asked[id_].done()}

    def close(self) -> None:
        """Wait for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _answer(query: Query) -> Answer:
    try:
        value = ask(
            query.query,
            address=query.address,
            timeout=query.timeout,
            token_file=query.token_file,
            insecure=query.insecure,
        )
    except NoDataError:
        return Answer()
    except ReconcilerError as error:
        return Answer(error=error.message)
    return Answer(value=value)
