"""A collector of spans: OTLP by gRPC and by HTTP, with the real messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

_MESSAGES: Any = trace_service_pb2


class Collector:
    """What came in.

    Attributes:
        grpc_port: Where OTLP/gRPC is taken.
        http_port: Where OTLP/HTTP is taken.
        paths: Of the requests by HTTP.
    """

    def __init__(self) -> None:
        self.grpc_port = self.http_port = 0
        self.paths: list[str] = []
        self._requests: list[Any] = []

    def take(self, body: bytes) -> bytes:
        """Keep one request."""
        self._requests.append(_MESSAGES.ExportTraceServiceRequest.FromString(body))
        return bytes(_MESSAGES.ExportTraceServiceResponse().SerializeToString())

    @property
    def spans(self) -> list[tuple[str, Any]]:
        """Each span with the `service.name` that it came with."""
        return [
            (_text(resource.resource.attributes, "service.name"), span)
            for request in tuple(self._requests)
            for resource in request.resource_spans
            for scope in resource.instrumentation_library_spans  # what field 2, `scope_spans`, was called before OTLP 0.15
            for span in scope.spans
        ]


def attributes(span: Any) -> dict[str, str]:
    """The tags of a span."""
    return {item.key: item.value.string_value for item in span.attributes}


def _text(listed: Any, key: str) -> str:
    return next((item.value.string_value for item in listed if item.key == key), "")


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            found.paths.append(self.path)
            body = found.take(b"".join(self._chunks()))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _chunks(self) -> Iterator[bytes]:
            """A body as Envoy sends it: in chunks."""
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, *_: object) -> None:
            pass

    export = grpc.unary_unary_rpc_method_handler(lambda body, _: found.take(body))
    service = grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": export}
    )
    server = grpc.server(ThreadPoolExecutor(2), handlers=(service,), options=(("grpc.so_reuseport", 0),))
    found.grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    plain = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.http_port = plain.server_address[1]
    thread = threading.Thread(target=plain.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.stop(None).wait()
        plain.shutdown()
        plain.server_close()
        thread.join()
