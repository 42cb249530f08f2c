"""Which names a server answers to: against pages whose name is made to point at this machine (DNS rebinding). Pure ASGI.

Such a page is of the same origin as we are for its browser, reads all that anybody may read here, and can't choose what it puts
into `Host`: the name it was loaded by.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from reconciler.web.errors import HostError

_Message = MutableMapping[str, Any]
_Application = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]
_ANYBODY = ("/healthz", "/readyz", "/v1/webhooks/")
"""What is asked under whatever name: it shows nothing, or takes what proves itself."""
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")


class HostGate:
    """Lets through what names an address, this machine, or one of the names that it is known by.

    Args:
        application: What answers.
        names: Further names, in lower case and without a port.
    """

    def __init__(self, application: _Application, names: Collection[str]) -> None:
        self._application = application
        self._names = frozenset(name.lower() for name in names)

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Serve one request.

        Raises:
            HostError: It names somebody else.
        """
        if scope["path"].startswith(_ANYBODY):
            await self._application(scope, receive, send)
            return
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or not is_ours(named[0], self._names):
            raise HostError(
                "this server is not known by the name in the header Host",
                hint="use its address, or give the daemon the name that it is reached by in http.names (--http-names)",
            )
        await self._application(scope, receive, send)


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names an address, this machine, or one of the names."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
