"""A real Prometheus for a test, and something that it scrapes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.live import until

_LISTENS = re.compile(r'"Listening on".*?address"?[=:]"?(?:127\.0\.0\.1|\[::\]):(\d+)')


def find_prometheus() -> str:
    """The path of the `prometheus` command. A test that needs one fails without it: a skipped proof proves nothing."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.fail(
            "these tests run a real Prometheus and there is none on PATH: `apt-get install prometheus` on Debian and Ubuntu, "
            "`brew install prometheus` on macOS, or the archive of https://prometheus.io/download/"
        )
    return found


class Target:
    """What is scraped: samples, as text, that a test may change.

    Attributes:
        port: Where it listens.
        samples: `name{label="value"} number` per line.
    """

    def __init__(self) -> None:
        self.samples = ""
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = target.samples.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Prometheus:
    """One as a child process. Started again it listens where it did, and still knows what it knew.

    Args:
        directory: Where its files go.
        target: Port of what it scrapes.
        settings: More of its configuration; jobs in place of the one for `target`, for example.
    """

    def __init__(self, directory: Path, target: int = 0, *, settings: Mapping[str, Any] | None = None) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        job = {"job_name": "app", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        paces = {"scrape_interval": "100ms", "scrape_timeout": "100ms", "evaluation_interval": "100ms"}
        config = {"global": paces, "scrape_configs": [job]} | dict(settings or {})
        (directory / "prometheus.yml").write_text(json.dumps(config))

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        log = self._directory / "log"
        command = [
            find_prometheus(),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with log.open("wb") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        until(lambda: self._listens(log.read_text()) or self._process is None or self._process.poll() is not None)
        assert self._listens(log.read_text()), log.read_text()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def _listens(self, log: str) -> bool:
        found = _LISTENS.search(log)
        if found and "Server is ready" in log:
            self._port = int(found[1])
            return True
        return False


@contextmanager
def scraping(directory: Path, samples: str) -> Iterator[tuple[Prometheus, Target]]:
    """A Prometheus that scrapes a target with these samples."""
    target = Target()
    target.samples = samples
    prometheus = Prometheus(directory, target.port)
    try:
        prometheus.start()
        yield prometheus, target
    finally:
        prometheus.stop()
        target.close()
