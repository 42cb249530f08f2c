"""How the API server is reached and who asks: a kubeconfig, or the account of the pod that the daemon runs in.

The official client reads kubeconfigs, runs their credential plugins and makes TLS; requests are made with its pool of
connections and not with its models, which take too long for large lists. Credentials are read anew every minute, and at once
when the server does not know them any more: tokens and certificates in files are replaced under a running daemon.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.clock import Clock
from reconciler.discovery.contract import AdapterError

_AGE = 60.0
"""Seconds that credentials are used for."""
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A server that has vanished is noticed after 25 s without a byte, although a watch may be silent for longer."""
_CONNECTIONS = 32


class KubeconfigError(AdapterError):
    """The kubeconfig, or the account of the daemon's pod, can't be used.

    It can be mended without a restart: the file is read again at the next attempt.
    """

    default_code = "discovery-kubeconfig"


@dataclass(frozen=True, slots=True)
class Session:
    """Credentials as they were read, and the connections that were made with them.

    Attributes:
        url: Of the server, without a slash at its end.
        headers: With the token, so never shown.
        pool: The PoolManager of the official client.
        library: urllib3, as the official client has it.
    """

    url: str
    headers: Mapping[str, str]
    pool: Any
    library: Any

    def timeout(self, *, connect: float, read: float) -> Any:
        """Seconds for a connection, and for each byte, as the pool takes them."""
        return self.library.Timeout(connect=connect, read=read)

    @contextmanager
    def troubles(self) -> Iterator[None]:
        """What goes wrong with connections within, as an AdapterError."""
        try:
            yield
        except (self.library.exceptions.HTTPError, OSError) as error:
            raise AdapterError(
                f"{self.url} can't be read: {_cause(error)}",
                hint="is the API server up, and reachable from here? what it said before stays in use",
            ) from None

    def __repr__(self) -> str:
        return f"Session({self.url!r})"


class Access:
    """Sessions with one API server. Safe for any thread.

    Args:
        kubeconfig: Path; the environment's or the pod's own account if "".
        context: Of the kubeconfig; its current one if "".
        clock: For the age of credentials.
    """

    def __init__(self, *, kubeconfig: str, context: str, clock: Clock) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._since = 0.0

    def session(self, *, instead_of: Session | None = None) -> Session:
        """Credentials that are not too old; new ones in place of those that the server refused.

        Raises:
            KubeconfigError: There are none.
        """
        with self._lock:
            now = self._clock.monotonic()
            refused = instead_of is not None and self._session is instead_of
            if self._session is None or refused or now - self._since > _AGE:
                self._session, self._since = self._opened(), now
            return self._session

    def _opened(self) -> Session:
        from kubernetes import client, config  # noqa: PLC0415 -- slow, and an extra: only who has clusters pays

        configuration = client.Configuration()
        try:
            self._load(configuration)
            configuration.socket_options = _socket_options()
            configuration.connection_pool_maxsize = _CONNECTIONS
            pool = client.rest.RESTClientObject(configuration).pool_manager
            said = configuration.auth_settings()
        except Exception as error:  # noqa: BLE001 -- its loader raises whatever a wrong file makes it stumble over
            # What it says of its own may be shown; other texts may hold what is in the file.
            detail = f": {error}" if isinstance(error, config.ConfigException) else f" ({type(error).__name__})"
            raise KubeconfigError(
                f"{self._named()} can't be used{detail}",
                hint="check it with `kubectl --kubeconfig FILE --context NAME get services`, as the user the daemon runs as",
            ) from None
        headers = {
            item["key"]: self._sendable(item["value"])
            for item in said.values()
            if item["in"] == "header" and item["value"]
        }
        return Session(str(configuration.host).rstrip("/"), headers, pool, client.rest.urllib3)

    def _sendable(self, value: str) -> str:
        """A header's value as it may be sent: files with tokens end with a line's end that their loader leaves in."""
        value = value.strip()
        if value.isascii() and value.isprintable():
            return value
        raise KubeconfigError(
            f"{self._named()} can't be used: its token has characters that no token has",
            hint="look for line ends and other characters in the file that holds the token; it is read again",
        )

    def _load(self, configuration: Any) -> None:
        from kubernetes import config  # noqa: PLC0415 -- as in _opened

        if not self._kubeconfig and not self._context and _in_cluster():
            config.load_incluster_config(client_configuration=configuration)
            return
        config.load_kube_config(
            config_file=self._kubeconfig or os.environ.get("KUBECONFIG") or None,
            context=self._context or None,
            client_configuration=configuration,
            persist_config=False,
        )

    def _named(self) -> str:
        if self._kubeconfig or self._context or not _in_cluster():
            where = f"the kubeconfig {self._kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}"
            return f"{where}, context {self._context}," if self._context else where
        return "the pod's own account"


def _in_cluster() -> bool:
    """Whether this is a pod, and nobody has set up a kubeconfig in it."""
    own = os.environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").exists()
    return "KUBERNETES_SERVICE_HOST" in os.environ and not own


def _socket_options() -> list[tuple[int, int, int]]:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    known = [(getattr(socket, name, None), value) for name, value in _KEEPALIVE]  # not all systems have them all
    return options + [(socket.IPPROTO_TCP, name, value) for name, value in known if name is not None]


def _cause(error: BaseException) -> str:
    """The innermost reason: the outer ones tell of objects and addresses in memory."""
    while (inner := getattr(error, "reason", None) or error.__cause__ or error.__context__) and isinstance(
        inner, BaseException
    ):
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke" if isinstance(error, OSError) or not str(error) else str(error)
