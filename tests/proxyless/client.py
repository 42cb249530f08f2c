"""A gRPC client in a process of its own, as gRPC reads its xDS bootstrap once in each: orders by stdin, results by stdout, as JSON.

An order has `target`, and may have `calls` (1), `method`, `metadata`, `timeout` and `secure`. A result counts the answers: what the
server says its name is, or the status and its details. Ends with its input. Knows gRPC and nothing of the product.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import grpc


def _channel(order: dict[str, Any]) -> Any:
    target = f"xds:///{order['target']}"
    if order.get("secure"):
        return grpc.secure_channel(target, grpc.xds_channel_credentials())
    return grpc.insecure_channel(target)


def _answers(channel: Any, order: dict[str, Any]) -> Counter[str]:
    call = channel.unary_unary(order.get("method", "/test.Who/Am"))
    metadata = [(name, value) for name, value in order.get("metadata", {}).items()]
    found: Counter[str] = Counter()
    for _ in range(order.get("calls", 1)):
        try:
            found[call(b"", timeout=order.get("timeout", 10.0), metadata=metadata).decode()] += 1
        except grpc.RpcError as error:
            found[f"{error.code().name}: {error.details()}"] += 1
    return found


def main() -> None:
    """Carry out orders until there are no more."""
    channels: dict[tuple[str, bool], Any] = {}
    for line in sys.stdin:
        order = json.loads(line)
        key = (order["target"], bool(order.get("secure")))
        if key not in channels:
            channels[key] = _channel(order)
        sys.stdout.write(f"{json.dumps(_answers(channels[key], order))}\n")
        sys.stdout.flush()
    for channel in channels.values():
        channel.close()


if __name__ == "__main__":
    main()
