"""A Git server over https that asks for a password: git's own http-backend behind a TLS server."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import Authority


@dataclass
class Forge:
    """What the server knows.

    Attributes:
        url: Of the server, without a path.
        accepted: `user:password` that it lets in.
        shown: What callers showed, in order; "" for nothing.
        seen: Command lines and environments of processes that had the accepted password while they called.
        redirect: Where every request is sent instead, if anywhere.
    """

    root: Path
    url: str = ""
    accepted: str = ""
    shown: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    redirect: str = ""

    def look(self) -> None:
        """Look for the password where other processes could."""
        secret = self.accepted.partition(":")[2].encode()
        for process in Path("/proc").glob("[0-9]*"):
            if process.name == str(os.getpid()):
                continue
            for part in ("cmdline", "environ"):
                with suppress(OSError):
                    if secret in (process / part).read_bytes():
                        self.seen.append(f"{part} of {(process / 'cmdline').read_bytes()!r}")


@contextmanager
def forge(root: Path, ca: Authority) -> Iterator[Forge]:
    """Serve the repositories below a folder."""
    known = Forge(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            known.shown.append(_shown(self.headers["Authorization"]))
            if known.redirect:
                self.send_response(302)
                self.send_header("Location", known.redirect + self.path)
                self._no_body()
            elif known.shown[-1] != known.accepted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="forge"')
                self._no_body()
            else:
                known.look()
                self._backend()

        do_POST = do_GET  # noqa: N815 -- as http.server names it

        def _no_body(self) -> None:
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _backend(self) -> None:
            path, _, query = self.path.partition("?")
            variables = {
                "GIT_PROJECT_ROOT": str(known.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "somebody",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers["Content-Type"] or "",
                "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
                "HTTP_GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
                "PATH": os.environ["PATH"],
            }
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = next((value.split()[0] for name, value in lines if name == "Status"), "200")
            self.send_response(int(status))
            for name, value in lines:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = ca.server_context(ca.issue("127.0.0.1")).wrap_socket(server.socket, server_side=True)
    known.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _shown(header: str | None) -> str:
    return base64.b64decode(header.removeprefix("Basic ")).decode() if header else ""
