"""A daemon of a few lines: takes ADS streams, has nothing for anybody, and remembers who came with what."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse
from google.protobuf import json_format

from tests.certificates import Authority, Pair, serial_of

_PATIENCE = 20


@dataclass(frozen=True)
class Stream:
    """How a stream began: its variant, the node of its first request, and its certificate's serial number (0: none)."""

    variant: str
    node: dict[str, Any]
    serial: int
    context: Any

    def end(self) -> None:
        """Break it."""
        self.context.cancel()


class _Service(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # generated, without types
    def __init__(self) -> None:
        self.streams: queue.Queue[Stream] = queue.Queue()

    def DeltaAggregatedResources(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- gRPC's name
        return self._serve("delta", requests, context, DeltaDiscoveryResponse)

    def StreamAggregatedResources(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- gRPC's name
        return self._serve("sotw", requests, context, DiscoveryResponse)

    def _serve(self, variant: str, requests: Any, context: Any, response: Any) -> Iterator[Any]:
        for number, request in enumerate(requests):
            if number == 0:
                shown = context.auth_context().get("x509_pem_cert", [b""])[0]
                node = json_format.MessageToDict(request.node, preserving_proto_field_name=True)
                node.pop("extensions", None)
                self.streams.put(Stream(variant, node, serial_of(shown) if shown else 0, context))
            if not request.response_nonce:
                yield response(type_url=request.type_url, nonce=str(number + 1))


class Daemon:
    """Serves on a port of 127.0.0.1, in the clear or with mutual TLS."""

    def __init__(self, port: int = 0, authority: Authority | None = None, pair: Pair | None = None) -> None:
        self._service = _Service()
        # as many pings as an idle Envoy sends; by default gRPC takes them for an attack
        options = (("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 1000))
        self._server = grpc.server(ThreadPoolExecutor(8), options=options)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self._service, self._server)
        where = f"127.0.0.1:{port}"
        if authority is None or pair is None:
            self.port = self._server.add_insecure_port(where)
        else:
            chain = [(pair.key.read_bytes(), pair.chain.read_bytes())]
            credentials = grpc.ssl_server_credentials(chain, authority.root.read_bytes(), require_client_auth=True)
            self.port = self._server.add_secure_port(where, credentials)
        self._server.start()

    def stream(self) -> Stream:
        """The next stream that began; waits for it."""
        return self._service.streams.get(timeout=_PATIENCE)

    @property
    def idle(self) -> bool:
        """Whether every stream that began has been looked at."""
        return self._service.streams.empty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(_PATIENCE)
