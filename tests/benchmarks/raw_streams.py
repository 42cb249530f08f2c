"""Many delta streams out of one process, as cheap as Python allows: one socket each, HTTP/2 and protobuf by hand.

What is measured is the server, so the client must cost little: a response is read no further than its nonce, the rest is
counted and dropped, and an ACK is a few bytes put together. Flow control is Envoy's (16 MiB a stream, 24 MiB a connection).
Frames are those of RFC 9113, messages those of gRPC over HTTP/2.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from multiprocessing.connection import Connection

from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from reconciler.model.resource import ResourceType

CLUSTER, ENDPOINTS, LISTENER, ROUTE = (
    ResourceType.CLUSTER.type_url, ResourceType.ENDPOINTS.type_url,
    ResourceType.LISTENER.type_url, ResourceType.ROUTE.type_url,
)  # fmt: skip
PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
STREAM_WINDOW, CONNECTION_WINDOW, LARGEST_FRAME = 16 * 1024 * 1024, 24 * 1024 * 1024, 16_384
RECEIVED = 256 * 1024
HEAD = 512
"""Bytes of a response in which its type and nonce stand; resources come after them."""


class LostError(Exception):
    """The server ended a stream, or said something that this client does not understand."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def text(field: int, value: bytes) -> bytes:
    """A field with text in it, as protobuf writes it."""
    return bytes((field << 3 | 2,)) + varint(len(value)) + value


def opening(authority: str) -> bytes:
    """The first bytes of a connection, up to the headers of its only call. Headers are literals, never Huffman-coded."""

    def literal(value: str) -> bytes:
        return bytes((len(value),)) + value.encode()

    headers = b"".join((
        b"\x83\x86",  # :method POST, :scheme http
        b"\x04", literal(PATH),
        b"\x01", literal(authority),
        b"\x00", literal("te"), literal("trailers"),
        b"\x00", literal("content-type"), literal("application/grpc"),
    ))  # fmt: skip
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, STREAM_WINDOW))
        + frame(WINDOW, 0, 0, struct.pack(">I", CONNECTION_WINDOW - 65_535))
        + frame(HEADERS, 4, 1, headers)
    )


def proxy_id(number: int) -> str:
    """What a stream says it is: namespace and name."""
    return f"load/p{number:05}"


def request(type_url: str, names: tuple[str, ...] = (), node: str = "") -> bytes:
    """The request that begins a type."""
    made = DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names)
    if node:
        made.node.CopyFrom(Node(id=node, user_agent_name="envoy", user_agent_version="1.40.0"))
    return bytes(made.SerializeToString())


class RawStream:
    """One proxy: a connection with one call. Subscribes as Envoy does: clusters, their endpoints, listeners, routes.

    Attributes:
        seen: Type URLs of which something came.
        arrived: When the last response of a watched type came, on the clock of `time.perf_counter`.
    """

    __slots__ = (
        "_at_peer", "_begin", "_head", "_outbox", "_rest", "_stream_window", "_taken", "_unread", "_window", "arrived", "seen", "socket",
    )  # fmt: skip

    def __init__(self, address: str, node: str, begin: dict[str, bytes]) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin = begin
        self._head = b""
        self._outbox = bytearray()
        self._window = self._stream_window = self._at_peer = 65_535
        self._unread = bytearray()
        self._rest = self._taken = 0
        self.seen: set[str] = set()
        self.arrived = 0.0
        self.socket.sendall(opening(address))
        self.socket.settimeout(0)
        self.say(request(CLUSTER, node=node))
        if ENDPOINTS not in begin:
            self.say(begin[LISTENER])

    def say(self, message: bytes) -> None:
        """Send a request, as far as the server's windows allow."""
        self._outbox += b"\0" + struct.pack(">I", len(message)) + message
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the server's windows allow."""
        while self._outbox:
            size = min(len(self._outbox), self._window, self._stream_window, LARGEST_FRAME)
            if size <= 0:
                return
            self._window -= size
            self._stream_window -= size
            part = frame(DATA, 0, 1, bytes(self._outbox[:size]))
            del self._outbox[:size]
            self._send(part)

    def _send(self, data: bytes) -> None:
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):  # loopback takes what the windows allow but in bursts
            self.socket.settimeout(None)
            self.socket.sendall(data[sent:])
            self.socket.settimeout(0)

    def read(self, watched: str) -> bool:
        """Take what came, answer it; whether there was a response of the watched type."""
        got = self.socket.recv(RECEIVED)
        if not got:
            raise LostError("the server closed a connection")
        unread = self._unread
        unread += got
        at, found, end = 0, False, len(unread)
        while end - at >= 9:
            length = unread[at] << 16 | unread[at + 1] << 8 | unread[at + 2]
            if end - at - 9 < length:
                break
            kind, flags = unread[at + 3], unread[at + 4]
            at += 9
            if kind == DATA:
                found = self._data(memoryview(unread)[at : at + length], watched) or found
            else:
                self._other(kind, flags, unread[at - 1], bytes(unread[at : at + length]))
            at += length
        if at == end:
            self._unread = bytearray()
        else:
            self._unread = unread[at:]
        return found

    def _data(self, data: memoryview, watched: str) -> bool:
        self._taken += len(data)
        if self._taken > STREAM_WINDOW // 2:
            increment = struct.pack(">I", self._taken)
            self._send(frame(WINDOW, 0, 0, increment) + frame(WINDOW, 0, 1, increment))
            self._taken = 0
        if self._head:
            data = memoryview(self._head + bytes(data))
            self._head = b""
        found, at = False, 0
        while at < len(data):
            if self._rest:
                step = min(self._rest, len(data) - at)
                self._rest -= step
                at += step
                continue
            size = int.from_bytes(data[at + 1 : at + 5], "big")
            read = min(size, HEAD)
            if len(data) - at < 5 + read:
                self._head = bytes(data[at:])  # the frame ends in it
                break
            url, nonce = head(bytes(data[at + 5 : at + 5 + read]))
            self._rest = size - read
            at += 5 + read
            found = self._answer(url, nonce) == watched or found
        return found

    def _answer(self, url: bytes, nonce: bytes) -> str:
        self.say(text(2, url) + text(6, nonce))
        type_url = url.decode()
        if type_url not in self.seen:
            self.seen.add(type_url)
            if type_url == CLUSTER and ENDPOINTS in self._begin:
                self.say(self._begin[ENDPOINTS])
                self.say(self._begin[LISTENER])
            elif type_url == LISTENER and ROUTE in self._begin:
                self.say(self._begin[ROUTE])
        self.arrived = time.perf_counter()
        return type_url

    def _other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == PING and not flags & 1:
            self._send(frame(PING, 1, 0, payload))
        elif kind == SETTINGS and not flags & 1:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == 4:
                    self._stream_window += value - self._at_peer
                    self._at_peer = value
            self._send(frame(SETTINGS, 1, 0))
            self.flush()
        elif kind == WINDOW:
            added = int.from_bytes(payload, "big")
            if stream:
                self._stream_window += added
            else:
                self._window += added
            self.flush()
        elif kind in {RESET, GOAWAY} or (kind == HEADERS and flags & 1):
            raise LostError(f"the server ended a stream: frame {kind}, {payload!r}")


def head(data: bytes) -> tuple[bytes, bytes]:
    """Type URL and nonce of a `DeltaDiscoveryResponse`, from its beginning."""
    at, url, nonce = 0, b"", b""
    while not (url and nonce):
        field = data[at] >> 3
        at, size, shift = at + 1, 0, 0
        while True:
            byte = data[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        if field == 4:
            url = data[at : at + size]
        elif field == 5:
            nonce = data[at : at + size]
        at += size
    return url, nonce


class Load:
    """Streams by the thousand, in a process of their own, told what to do through a pipe.

    Commands are tuples: `open`, their numbers, the server's address, names to ask for by type URL; `expect`, a type URL; `stop`. Each is
    answered when it is done: `open` at once after the last connection; `expect` when every stream has had a response of that
    type since the command was taken (or, the first time, at all), with the times of arrival; with the CPU seconds of all so far.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._poll = select.epoll()
        self._streams: dict[int, RawStream] = {}
        self._watched = ""
        self._missing: set[int] = set()

    def run(self) -> None:
        """Until told to stop."""
        self._poll.register(self._pipe.fileno(), select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll():
                if number == self._pipe.fileno():
                    if not self._told(self._pipe.recv()):
                        return
                elif self._streams[number].read(self._watched) and number in self._missing:
                    self._missing.discard(number)
                    if not self._missing:
                        self._say([stream.arrived for stream in self._streams.values()])

    def _told(self, command: tuple[object, ...]) -> bool:
        match command:
            case ("open", range() as numbers, str(address), dict(names), str(watched)):
                self._watched = watched
                self._open(numbers, address, names)
            case ("expect", str(watched)):
                self._watched = watched
                self._missing = set(self._streams)
                self._say(None)
            case _:
                return False
        return True

    def _open(self, numbers: range, address: str, names: dict[str, tuple[str, ...]]) -> None:
        begin = {LISTENER: request(LISTENER)}
        begin |= {type_url: request(type_url, wanted) for type_url, wanted in names.items() if wanted}
        for number in numbers:
            stream = RawStream(address, proxy_id(number), begin)
            self._streams[stream.socket.fileno()] = stream
            self._missing.add(stream.socket.fileno())
            self._poll.register(stream.socket.fileno(), select.EPOLLIN)
        self._say(None)

    def _say(self, answer: list[float] | None) -> None:
        self._pipe.send((answer, time.process_time()))


def load(pipe: Connection) -> None:
    """A process of streams."""
    Load(pipe).run()
