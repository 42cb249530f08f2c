"""A real DNS server (Knot) with a zone that a test writes, and a relay before it that can be slow, deaf or mad."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import pytest

from reconciler.discovery.conformance import Member, Mood
from reconciler.discovery.contract import Adapter
from reconciler.discovery.platforms.dns.adapter import DnsAdapter
from reconciler.model.discovery import Dns, DnsService
from tests.discovery.groups import AROUND, full

ZONE = "example.test"


class Knot:
    """An authoritative server of `example.test` on a port of this machine.

    Attributes:
        address: `host:port`, for UDP and TCP.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
        if program is None:
            pytest.fail(
                "these tests run a real DNS server: `apt-get install knot` on Debian and Ubuntu, or run .ci/packages"
            )
        self._program = program
        self._folder = folder
        self._serial = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._write("")
        (folder / "knot.conf").write_text(
            f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n"
            f"  background-workers: 1\ndatabase:\n  storage: {folder}\nlog:\n  - target: {folder}/log\n    any: error\n"
            f"zone:\n  - domain: {ZONE}\n    storage: {folder}\n    file: zone\n    zonefile-sync: -1\n    journal-content: none\n"
        )
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._folder / "knot.conf")], stdout=subprocess.DEVNULL
        )
        self._settle()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def zone(self, records: str) -> None:
        """Serve exactly these records, in the format of zone files, beside SOA and NS; returns when it does."""
        self._write(records)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        self._settle()

    def _write(self, records: str) -> None:
        self._serial += 1
        head = f"$ORIGIN {ZONE}.\n$TTL 1\n@ 1 SOA ns admin {self._serial} 1 1 1 1\n@ 1 NS ns\nns 1 A 127.0.0.1\n"
        beside = self._folder / "zone.new"
        beside.write_text(head + records + "\n")
        beside.rename(self._folder / "zone")

    def _settle(self) -> None:
        """Wait until it serves the newest zone."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, dns.exception.DNSException):
                question = dns.message.make_query(ZONE, "SOA")
                answer = dns.query.udp(question, "127.0.0.1", port=self.port, timeout=0.2)
                if answer.answer and answer.answer[0][0].serial == self._serial:
                    return
            time.sleep(0.01)
        raise AssertionError(f"knotd does not serve the zone: {(self._folder / 'log').read_text()}")


Answering = Callable[[bytes, Callable[[bytes], bytes]], bytes | None]
"""Makes an answer of a question, given who to ask for the real one; None for silence."""


class Relay:
    """Passes questions on, over UDP and TCP, and does with the answers what a test says.

    Attributes:
        address: `host:port`.
        questions: `name kind transport`, of each.
        answering: What becomes of a question.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.questions: list[str] = []
        self.answering: Answering = lambda question, ask: ask(question)
        self._servers: list[socketserver.BaseServer] = []
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.listen()

    def listen(self) -> None:
        relay = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                question, sock = self.request
                answer = relay._answer(question, "udp", relay._udp)
                with contextlib.suppress(OSError):  # nobody waits for it any more
                    answer is not None and sock.sendto(answer, self.client_address)

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(head := self.rfile.read(2)) == 2:
                    answer = relay._answer(self.rfile.read(struct.unpack("!H", head)[0]), "tcp", relay._tcp)
                    if answer is None:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        for kind, handler in ((_Udp, Datagram), (_Tcp, Connection)):
            server = kind(("127.0.0.1", self.port), handler)
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def _answer(self, question: bytes, transport: str, ask: Callable[[bytes], bytes]) -> bytes | None:
        asked = dns.message.from_wire(question).question[0]
        self.questions.append(
            f"{asked.name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(asked.rdtype)} {transport}"
        )
        try:
            return self.answering(question, ask)
        except OSError:
            return None

    def _udp(self, question: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.1", self._upstream))
            sock.send(question)
            return sock.recv(65535)

    def _tcp(self, question: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=5) as sock, sock.makefile("rb") as answers:
            sock.sendall(struct.pack("!H", len(question)) + question)
            return answers.read(struct.unpack("!H", answers.read(2))[0])


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False
    max_packet_size = 65535


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


def with_rcode(rcode: int) -> Answering:
    """An answer that is none: SERVFAIL, REFUSED, ..."""

    def answer(question: bytes, _: Callable[[bytes], bytes]) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(question))
        reply.set_rcode(dns.rcode.Rcode(rcode))
        return reply.to_wire()

    return answer


class DnsPlatform:
    """Services as SRV records: each instance a target of its own."""

    within = 8.0
    patience = 10.0
    alive = 5.0
    secrets = ()

    def __init__(self, knot: Knot) -> None:
        self._knot = knot
        self.relay = Relay(knot.port)
        self._released = threading.Event()
        self._down = False

    def adapter(self) -> Adapter:
        services = tuple(DnsService(host=name, names=(f"_http._tcp.{name}.{ZONE}",)) for name in ("reviews", "ratings"))
        return DnsAdapter(self.spec(*services), AROUND, give_up=2.2)

    def spec(self, *services: DnsService, **more: Any) -> Dns:
        fields: dict[str, Any] = {"min_ttl": timedelta(milliseconds=100), "max_ttl": timedelta(milliseconds=300)}
        return Dns(services=services, servers=(self.relay.address,), **(fields | more))

    def host(self, service: str) -> str:
        return full(service)

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        lines = []
        for name, members in services.items():
            for member in members:
                target = "i" + re.sub("[^0-9a-f]", "-", member.address)
                kind = "A" if ip_address(member.address).version == 4 else "AAAA"
                lines += [f"_http._tcp.{name} 1 SRV 0 1 {member.port} {target}", f"{target} 1 {kind} {member.address}"]
        self._knot.zone("\n".join(lines))

    def be(self, mood: Mood) -> None:
        if mood is Mood.WELL:
            self._released.set()
            self.relay.answering = lambda question, ask: ask(question)
            if self._down:
                self.relay.listen()
            self._down = False
            return
        self._released.clear()
        if mood is Mood.DOWN:
            self.relay.close()
            self._down = True
        else:
            self.relay.answering = {
                Mood.SLOW: self._slow,
                Mood.PARTITIONED: self._deaf,
                Mood.GARBAGE: lambda question, _: question[:2] + os.urandom(20),
                Mood.DENYING: with_rcode(dns.rcode.REFUSED),
            }[mood]

    def restart(self) -> None:
        self._knot.stop()
        self._knot.start()

    def close(self) -> None:
        self._released.set()
        self.relay.close()

    def _slow(self, question: bytes, ask: Callable[[bytes], bytes]) -> bytes:
        self._released.wait(1)
        return ask(question)

    def _deaf(self, _question: bytes, _ask: Callable[[bytes], bytes]) -> None:
        self._released.wait(30)


def _free_port() -> int:
    """A port that is free for UDP and TCP: as free as anybody can say who can't hold it."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])
