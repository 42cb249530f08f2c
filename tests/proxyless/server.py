"""A gRPC server in a process of its own that answers every call with its name: `server.py ADDRESS NAME [xds]`.

With `xds` it serves when and how its listener says. Prints its port, and ends with its input. Knows gRPC and nothing of the product.
"""

from __future__ import annotations

import sys
from concurrent import futures
from typing import Any

import grpc


class _Named(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def service(self, handler_call_details: Any) -> Any:
        """Whatever is called."""
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self._name)


def main(address: str, name: str, *, xds: bool) -> None:
    """Serve until the input ends."""
    server = grpc.server(futures.ThreadPoolExecutor(4), xds=xds)
    server.add_generic_rpc_handlers((_Named(name),))
    if xds:
        port = server.add_secure_port(address, grpc.xds_server_credentials(grpc.insecure_server_credentials()))
    else:
        port = server.add_insecure_port(address)
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], xds="xds" in sys.argv[3:])
