"""What is spoken on a port, of a service or of a gateway's server."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator


class Protocol(StrEnum):
    """What is spoken on a port. `HTTPS` and `TLS` are passed on by server name; `MONGO`, `MYSQL` and `REDIS` are TCP."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    MYSQL = "MYSQL"
    REDIS = "REDIS"

    @property
    def is_http(self) -> bool:
        """Whether requests can be routed one by one."""
        return self in {Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB}

    @property
    def is_http2(self) -> bool:
        """Whether it is HTTP/2 without an upgrade."""
        return self in {Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB}

    @property
    def is_tls(self) -> bool:
        """Whether connections begin with a server name that they can be routed by."""
        return self in {Protocol.HTTPS, Protocol.TLS}


def any_case(value: Any) -> Any:
    """A protocol's name as Istio takes it, in any case, in upper case."""
    return value.upper() if isinstance(value, str) else value


AnyCaseProtocol = Annotated[Protocol, BeforeValidator(any_case)]
