"""Free TCP ports on 127.0.0.1 that stay ours from the moment they are picked.

A port that is bound, read back and closed may be gone before it is used. Here the socket stays bound, without listening,
for as long as the stage stands: the kernel gives such a port to nobody who asks for any port, and connects to nobody from
it, while a process of the same user that sets SO_REUSEADDR or SO_REUSEPORT, as Envoy does, may still listen on it.
"""

from __future__ import annotations

import socket
from typing import Self


class Ports:
    """Reserved ports. Ends with the context."""

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def reserve(self) -> int:
        """A free port that nobody else will be given.

        Raises:
            OSError: No port is free.
        """
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(("127.0.0.1", 0))
        except OSError:
            held.close()
            raise
        port = int(held.getsockname()[1])
        self._held[port] = held
        return port

    def listen(self, port: int, *, backlog: int = 1024) -> socket.socket:
        """Turn a reservation into a listening socket, which may be handed to a child process; it stays ours to close."""
        held = self._held[port]
        held.listen(backlog)
        return held

    def close(self) -> None:
        """Give all ports back."""
        while self._held:
            self._held.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
