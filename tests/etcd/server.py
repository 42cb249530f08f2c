"""Real members of etcd, each a process that a test can stop, freeze and start again; and what lies between them and a client."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reconciler.http import HttpClient, HttpError
from reconciler.settings import AdminSettings

STARTED_WITHIN = 30.0
ROOT = ("root", "r00t-pass")


def encoded(text: str) -> str:
    """As the gateway takes bytes."""
    return b64encode(text.encode()).decode()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Member:
    """One process of etcd.

    Args:
        folder: For its data and its log.
        name: In the cluster.
        client: Port of its API.
        cluster: `name=url` of all members' peer ports, separated by commas.
        peer: Its own peer URL.
        more: Flags beside; those of TLS make the API speak it.

    Attributes:
        address: Of its API.
    """

    def __init__(
        self, folder: Path, *, name: str, client: int, cluster: str, peer: str, more: Sequence[str] = ()
    ) -> None:
        scheme = "https" if any(flag.startswith("--cert-file") for flag in more) else "http"
        self.address = f"{scheme}://127.0.0.1:{client}"
        self._log = folder / f"{name}.log"
        self._command = [
            shutil.which("etcd") or "etcd", f"--name={name}", f"--data-dir={folder / name}",
            f"--listen-client-urls={self.address}", f"--advertise-client-urls={self.address}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={cluster}",
            "--heartbeat-interval=50", "--election-timeout=500", "--bcrypt-cost=4", *more,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or let it go on; does not wait."""
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._process.send_signal(signal.SIGCONT)

    def freeze(self) -> None:
        """Its sockets stay, and it does nothing: as if cut off."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, without its having a say."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


class Cluster:
    """Some members that are one etcd.

    Attributes:
        members: All of them.
    """

    def __init__(
        self, folder: Path, size: int = 1, *, more: Sequence[str] = (), settings: AdminSettings | None = None
    ) -> None:
        clients, peers = free_ports(size), [f"http://127.0.0.1:{port}" for port in free_ports(size)]
        cluster = ",".join(f"m{number}={url}" for number, url in enumerate(peers))
        self.members = [
            Member(folder, name=f"m{number}", client=client, cluster=cluster, peer=peer, more=more)
            for number, (client, peer) in enumerate(zip(clients, peers, strict=True))
        ]
        self._settings = settings or AdminSettings(connect_timeout=2, read_timeout=10)
        self._token = ""
        for member in self.members:
            member.start()
        for member in self.members:
            self.wait(member)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all members."""
        return tuple(member.address for member in self.members)

    def wait(self, member: Member) -> None:
        """Wait until a member answers together with the others."""
        deadline = time.monotonic() + STARTED_WITHIN
        while True:
            with contextlib.suppress(HttpError), HttpClient(member.address, self._settings) as client:
                if b'"true"' in client.get("/health").body:
                    return
            assert time.monotonic() < deadline, "etcd does not start"
            time.sleep(0.02)

    def close(self) -> None:
        """End all."""
        for member in self.members:
            member.stop()

    def call(self, path: str, document: Any, *, member: int = 0) -> Any:
        """Call the API of a member, which has to succeed."""
        with HttpClient(self.members[member].address, self._settings) as client:
            headers = {"Authorization": self._token} if self._token else {}
            reply = client.send("POST", f"/v3/{path}", headers=headers, document=document)
        assert reply.status == 200, reply.text
        return json.loads(reply.body)

    def put(self, key: str, value: str, *, lease: int = 0, member: int = 0) -> int:
        """Write a key; the revision."""
        document = {"key": encoded(key), "value": encoded(value), "lease": lease}
        return int(self.call("kv/put", document, member=member)["header"]["revision"])

    def delete(self, key: str) -> None:
        """Remove a key."""
        self.call("kv/deleterange", {"key": encoded(key)})

    def keys(self) -> list[str]:
        """All keys."""
        answer = self.call("kv/range", {"key": encoded("\0"), "range_end": encoded("\0"), "keys_only": True})
        return [b64decode(pair["key"]).decode() for pair in answer.get("kvs", ())]

    def lease(self, seconds: int) -> int:
        """A lease that nobody keeps alive."""
        return int(self.call("lease/grant", {"TTL": seconds})["ID"])

    def compact(self, revision: int) -> None:
        """Forget what was before a revision."""
        self.call("kv/compaction", {"revision": revision, "physical": True})

    def ask_for_passwords(self, name: str, password: str, *, prefix: str) -> None:
        """From now on: root may do everything, and this user may read keys with a prefix."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        for user, secret in (ROOT, (name, password)):
            self.call("auth/user/add", {"name": user, "password": secret})
            self.call("auth/role/add", {"name": user})
            self.call("auth/user/grant", {"user": user, "role": user})
        permission = {"permType": "READ", "key": encoded(prefix), "range_end": encoded(end)}
        self.call("auth/role/grant", {"name": name, "perm": permission})
        self.call("auth/enable", {})
        self.sign_in()

    def sign_in(self) -> None:
        """As root, again: tokens are lost with the process."""
        self._token = ""
        self._token = str(self.call("auth/authenticate", {"name": ROOT[0], "password": ROOT[1]})["token"])


class Relay:
    """Lies between clients and a server, and passes bytes on, late, or something else instead.

    Attributes:
        delay: Seconds that each answer is kept back.
        garbage: Sent instead of an answer, if there is any.
        held: Set when an answer is kept back.
    """

    def __init__(self, server: str) -> None:
        self.delay = 0.0
        self.garbage = b""
        self.held = threading.Event()
        host, _, port = server.rpartition("/")[2].rpartition(":")
        self._server = (host, int(port))
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """Cut all connections."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Listen no more."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._kept(client), contextlib.suppress(OSError):
            if self.garbage:
                client.recv(65536)
                client.sendall(self.garbage)
                client.shutdown(socket.SHUT_WR)
                return
            with self._kept(socket.create_connection(self._server, timeout=5)) as server:
                server.settimeout(None)
                back = threading.Thread(target=self._pass, args=(server, client), kwargs={"answers": True}, daemon=True)
                back.start()
                self._pass(client, server, answers=False)
                back.join()

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[socket.socket]:
        self._open.add(connection)
        try:
            with connection:
                yield connection
        finally:
            self._open.discard(connection)

    def _pass(self, source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.delay:
                    self.held.set()
                    self._over.wait(self.delay)
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
