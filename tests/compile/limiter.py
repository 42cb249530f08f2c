"""A rate limit service in Python: Envoy's protocol over gRPC, counting as the reference service does by its configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse

Entry = tuple[str, str]

_NAME = "envoy.service.ratelimit.v3.RateLimitService"


class Limiter:
    """Counts requests by descriptor; time stands still, so that nothing is ever given back.

    Attributes:
        configurations: By domain, as `reconcile render --rate-limits` prints them.
        asked: Every descriptor that was sent, with its domain.
        gate: Answers wait for it.
    """

    def __init__(self, configurations: Mapping[str, Mapping[str, Any]]) -> None:
        self.configurations = configurations
        self.asked: list[tuple[str, tuple[Entry, ...]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._counts: dict[tuple[str, tuple[Entry, ...]], int] = {}
        self._lock = threading.Lock()

    def should_rate_limit(self, request: RateLimitRequest, _: grpc.ServicerContext) -> RateLimitResponse:
        """The verdict: over the limit if any descriptor is."""
        self.gate.wait(timeout=20)
        response = RateLimitResponse(overall_code=RateLimitResponse.OK)
        with self._lock:
            for descriptor in request.descriptors:
                entries = tuple((entry.key, entry.value) for entry in descriptor.entries)
                self.asked.append((request.domain, entries))
                status = response.statuses.add()
                status.code = self._count(request.domain, entries, status)
                if status.code == RateLimitResponse.OVER_LIMIT:
                    response.overall_code = RateLimitResponse.OVER_LIMIT
        return response

    def _count(self, domain: str, entries: tuple[Entry, ...], status: Any) -> int:
        limit = _find(self.configurations.get(domain, {}).get("descriptors", ()), entries)
        if limit is None:
            return int(RateLimitResponse.OK)
        count = self._counts[domain, entries] = self._counts.get((domain, entries), 0) + 1
        allowed = limit["requests_per_unit"]
        status.current_limit.requests_per_unit = allowed
        status.current_limit.unit = RateLimitResponse.RateLimit.Unit.Value(limit["unit"].upper())
        status.limit_remaining = max(allowed - count, 0)
        return int(RateLimitResponse.OK if count <= allowed else RateLimitResponse.OVER_LIMIT)


def _find(descriptors: Sequence[Mapping[str, Any]], entries: Sequence[Entry]) -> Mapping[str, Any] | None:
    """The limit of a descriptor: at each step the entry with its key and value, else the one with its key for any value."""
    (key, value), *rest = entries
    own = [item for item in descriptors if item["key"] == key and item.get("value") == value]
    any_ = [item for item in descriptors if item["key"] == key and "value" not in item]
    for item in (own or any_)[:1]:
        found: Mapping[str, Any] | None = _find(item.get("descriptors", ()), rest) if rest else item.get("rate_limit")
        return found
    return None


@contextmanager
def serving(limiter: Limiter, port: int = 0) -> Iterator[int]:
    """The service on 127.0.0.1; its port."""
    handler = grpc.unary_unary_rpc_method_handler(
        limiter.should_rate_limit,
        request_deserializer=RateLimitRequest.FromString,
        response_serializer=RateLimitResponse.SerializeToString,
    )
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_NAME, {"ShouldRateLimit": handler})])
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound
    finally:
        limiter.gate.set()
        server.stop(grace=None).wait()
