"""The server: gRPC streams on an event loop in a thread of its own, each with one task that reads and one that writes.

Knows bytes, peers and time limits; what is said on a stream is `stream`'s business. A peer's fault ends its stream with a status
that says what it was; nothing that a peer does, or fails to do, holds up another.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc

from reconciler.errors import BugError, PermanentError
from reconciler.model.resource import ResourceType
from reconciler.model.variant import Variant
from reconciler.settings import AdsSettings
from reconciler.xds.credentials import server_credentials
from reconciler.xds.flight import Flight
from reconciler.xds.identity import Identities, IdentityError, announcement, client_of, place_of
from reconciler.xds.plane import MOST_NODES, CrowdedError, Plane
from reconciler.xds.stream import Stream, parse
from reconciler.xds.subscription import RequestError
from reconciler.xds.waking import Wakers

FIRST_REQUEST = 15.0
"""Seconds in which a peer that opened a stream has to say who it is."""

DRAIN = 2.0
"""Seconds that streams have to end when the server stops."""

_PATIENCE = 20.0
"""Seconds that starting and stopping have beyond that; each takes a moment, unless something in gRPC stands still."""

_LARGEST_REQUEST = 16 * 1024 * 1024
_DISCOVERY = "envoy.service"
_SERVICES: tuple[tuple[str, str, ResourceType | None], ...] = (
    (f"{_DISCOVERY}.discovery.v3.AggregatedDiscoveryService", "AggregatedResources", None),
    (f"{_DISCOVERY}.cluster.v3.ClusterDiscoveryService", "Clusters", ResourceType.CLUSTER),
    (f"{_DISCOVERY}.endpoint.v3.EndpointDiscoveryService", "Endpoints", ResourceType.ENDPOINTS),
    (f"{_DISCOVERY}.listener.v3.ListenerDiscoveryService", "Listeners", ResourceType.LISTENER),
    (f"{_DISCOVERY}.route.v3.RouteDiscoveryService", "Routes", ResourceType.ROUTE),
    (f"{_DISCOVERY}.secret.v3.SecretDiscoveryService", "Secrets", ResourceType.SECRET),
)
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # two servers on one port would share it silently
    ("grpc.max_receive_message_length", _LARGEST_REQUEST),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # A fleet comes back all at once when the daemon has been restarted; gRPC would turn some of more than a thousand away.
    (
        "grpc.max_connection_idle_ms",
        2_000,
    ),  # who was refused comes back on a new connection, with its certificate as it is then
    ("grpc.server.max_pending_requests", MOST_NODES),
    ("grpc.server.max_pending_requests_hard_limit", MOST_NODES),
)


class AdsError(PermanentError):
    """The server can't listen where it should."""

    default_code = "ads"


class AdsServer:
    """Serves a plane.

    Args:
        plane: What is served.
        settings: Where, and with which certificates.
        on_refused: Called with a peer and the reason when its stream is ended for what it said, on the thread of the streams; must not
            wait.

    Raises:
        UsageError: The settings contradict each other, or would serve strangers without being told to.
    """

    def __init__(
        self, plane: Plane, settings: AdsSettings, *, on_refused: Callable[[str, str], None] = lambda _peer, _why: None
    ) -> None:
        self._plane = plane
        self._settings = settings
        self._on_refused = on_refused
        self._credentials = server_credentials(settings)
        self._identities = Identities(settings.identities) if settings.client_ca else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: Any = None
        self._wakers: Wakers
        self._flight = Flight()
        self._streams: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self) -> str:
        """Listen; returns `host:port` with the port that was bound.

        Raises:
            AdsError: It can't.
            BugError: It does already, or nothing comes of it.
        """
        if self._loop is not None:
            raise BugError("a server is started once")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ads", daemon=True)
        self._thread.start()
        try:
            return asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_PATIENCE)
        except AdsError:
            self._end(self._loop, self._thread)
            raise
        except TimeoutError as error:
            raise BugError(f"the ADS server did not start within {_PATIENCE:g} s") from error

    def stop(self) -> None:
        """End all streams, so that proxies go to another replica or wait for the next daemon, and stop.

        Raises:
            BugError: It does not end. Its thread is left alone, and ends with the process.
        """
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            try:
                asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(DRAIN + _PATIENCE)
            except TimeoutError as error:
                raise BugError(f"the ADS server did not stop within {DRAIN + _PATIENCE:g} s") from error
            self._end(self._loop, self._thread)

    @staticmethod
    def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        if thread.is_alive():
            raise BugError(f"the thread of the ADS server did not end within {_PATIENCE:g} s")
        loop.close()

    async def _start(self) -> str:
        self._wakers = Wakers(asyncio.get_running_loop())
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers(
            tuple(self._handlers(service, noun, only) for service, noun, only in _SERVICES)
        )
        address = self._settings.address
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise AdsError(f"can't listen on {address} for ADS", hint="choose another address with --ads") from error
        if port == 0:
            raise AdsError(f"can't listen on {address} for ADS", hint="choose another address with --ads")
        await self._server.start()
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    async def _stop(self) -> None:
        self._stopping = True
        for task in self._streams:
            task.cancel()
        if self._server is not None:
            await self._server.stop(DRAIN)

    def _handlers(self, service: str, noun: str, only: ResourceType | None) -> Any:
        methods = {
            f"Delta{noun}": self._behaviour(Variant.DELTA, only),
            f"Stream{noun}": self._behaviour(Variant.SOTW, only),
        }
        handlers = {name: grpc.stream_stream_rpc_method_handler(behaviour) for name, behaviour in methods.items()}
        return grpc.method_handlers_generic_handler(service, handlers)

    def _behaviour(
        self, variant: Variant, only: ResourceType | None
    ) -> Callable[[AsyncIterator[bytes], Any], Awaitable[None]]:
        async def serve(_requests: AsyncIterator[bytes], context: Any) -> None:
            await self._serve(context, variant, only)

        return serve

    async def _serve(self, context: Any, variant: Variant, only: ResourceType | None) -> None:
        task = asyncio.current_task()
        if task is None:
            raise BugError("a stream is served outside of a task")
        self._streams.add(task)
        try:
            await self._converse(context, task, variant, only)
        except RequestError as error:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except IdentityError as error:
            await self._refuse(context, grpc.StatusCode.PERMISSION_DENIED, str(error))
        except CrowdedError as error:
            await self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the first request did not come")
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        finally:
            self._streams.discard(task)

    async def _refuse(self, context: Any, status: grpc.StatusCode, why: str) -> None:
        """End a stream for what its peer said, and tell those who care for the fleet."""
        self._on_refused(place_of(context.peer()), why)
        await context.abort(status, why)

    async def _converse(
        self, context: Any, task: asyncio.Task[Any], variant: Variant, only: ResourceType | None
    ) -> None:
        async with asyncio.timeout(FIRST_REQUEST):
            data = await context.read()
        if data is grpc.aio.EOF:
            return
        request = parse(variant, data)
        peer = context.peer()
        said = announcement(request.node, peer=peer)
        if self._identities is not None:
            self._identities.check(said.key, _names(context))
        changed = asyncio.Event()
        wake = self._wakers.waker(changed)
        node, stream = self._plane.open(
            said, variant=variant, only=only, wake=wake, client=client_of(request.node), peer=place_of(peer)
        )
        writer = asyncio.ensure_future(_write(context, node, stream, changed, self._flight))
        writer.add_done_callback(partial(_follow, task))
        try:
            while data is not grpc.aio.EOF:
                node.receive(stream, parse(variant, data))
                data = await context.read()
        except asyncio.CancelledError:
            if writer.done() and not writer.cancelled():
                writer.result()
            raise
        finally:
            writer.cancel()
            self._plane.close(node, stream)


def _follow(reader: asyncio.Task[Any], writer: asyncio.Future[None]) -> None:
    """A stream on which nothing can be written any more ends, instead of being silent."""
    if not writer.cancelled() and writer.exception() is not None:
        reader.cancel()


async def _write(context: Any, node: Any, stream: Stream, changed: asyncio.Event, flight: Flight) -> None:
    """Send what there is to send, one response at a time: while the peer does not read, nothing else is worked out."""
    while True:
        await changed.wait()
        changed.clear()
        while await _next(context, node, stream, flight):
            pass


async def _next(context: Any, node: Any, stream: Stream, flight: Flight) -> bool:
    """Send the next response, if there is one; nothing of it is kept while the one after it waits for room."""
    await flight.room()
    data = node.next(stream)
    if data is None:
        return False
    await flight.write(context, data)
    return True


def _names(context: Any) -> list[str]:
    found = context.auth_context().get("x509_subject_alternative_name", ())
    return [name.decode("utf-8", "replace") for name in found]
