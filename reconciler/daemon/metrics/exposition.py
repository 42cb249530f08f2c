"""The metrics as Prometheus reads them, from a registry of our own: the library's global one is never used."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from reconciler.daemon.metrics.scrape import Scrape
from reconciler.daemon.metrics.sources import Sources
from reconciler.daemon.metrics.tally import Tally

_CREATED = "_created"


class _Registry(CollectorRegistry):
    """Leaves out when each counter began, which the library says as a series beside each: nobody reads it, and it doubles their number."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [item for item in metric.samples if not item.name.endswith(_CREATED)]
            yield metric


class Metrics:
    """Everything that is counted and read, and its text.

    Attributes:
        tally: An observer of passes, and what the web server tells of its requests and webhooks.
    """

    def __init__(self, sources: Sources) -> None:
        self._registry = _Registry(auto_describe=False)
        self.tally = Tally(self._registry, clock=sources.clock, committed=sources.committed)
        self._registry.register(Scrape(sources, self.tally))
        ProcessCollector(registry=self._registry)

    def requested(self, route: str, method: str, code: int) -> None:
        """A request was answered; `route` as the server declares it."""
        self.tally.requested(route, method, code)

    def exposition(self) -> tuple[bytes, str]:
        """The text, and its media type: Prometheus' own format, which every version of it and every collector reads."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
