"""What real Envoys log of requests: the documented lines, of the requests that the Mesh says."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.envoy.live import until
from tests.telemetry.lab import REVIEWS, Lab, serving

_FIELDS = {
    "start_time", "proxy", "workload", "method", "authority", "path", "protocol", "response_code", "response_flags",
    "response_code_details", "connection_termination_details", "upstream_transport_failure_reason", "bytes_received",
    "bytes_sent", "duration", "upstream_service_time", "attempts", "request_id", "trace_id", "route_name",
    "upstream_cluster", "upstream_host", "upstream_local_address", "downstream_remote_address",
    "downstream_local_address", "requested_server_name", "user_agent",
}  # fmt: skip


@contextmanager
def logging(settings: str) -> Iterator[Lab]:
    """The mesh with this access log."""
    folder = Path(tempfile.mkdtemp(prefix="t"))
    mesh = f"kind: Mesh\nmetadata: {{name: mesh}}\nspec: {{telemetry: {{accessLog: {{{settings.replace('FOLDER', str(folder))}}}}}}}"
    try:
        with serving(folder, mesh) as lab:
            yield lab
    finally:
        shutil.rmtree(folder)


def test_every_request_is_a_line_of_json() -> None:
    """On both sides, with one request id, and with who called what; the query, which may hold secrets, is left out."""
    with logging("minStatus: 0") as lab:
        assert lab.ask(version="v1", **{"user-agent": "a-test"}) == 200
        until(lambda: bool(lab.log("web-1")) and bool(lab.log("reviews-v1")))
        (caller,), (callee,) = lab.log("web-1"), lab.log("reviews-v1")
        assert "s3cr3t" not in (lab.folder / "web-1.log").read_text()
    assert set(caller) == set(callee) == _FIELDS
    assert caller["request_id"] == callee["request_id"]
    wanted = {
        "proxy": "default/web-1",
        "workload": "web-1.default",
        "method": "GET",
        "path": "/some/path",
        "protocol": "HTTP/1.1",
        "response_code": 200,
        "response_flags": "-",
        "response_code_details": "via_upstream",
        "attempts": 1,
        "bytes_sent": 2,
        "upstream_cluster": f"outbound|{lab.ports['service']}|v1|{REVIEWS}",
        "upstream_host": f"127.0.0.62:{lab.ports['inbound']}",
        "user_agent": "a-test",
        "trace_id": None,
    }
    assert {name: caller[name] for name in wanted} == wanted
    assert callee["upstream_cluster"] == f"inbound|{lab.ports['inbound']}||"


def test_the_house_logs_what_fails() -> None:
    """5xx, and nothing else; in a file, where the Mesh names one."""
    with logging("file: FOLDER/log.json") as lab:
        assert lab.ask() == 200
        assert lab.ask(host="nobody") == 502
        file = lab.folder / "log.json"
        until(lambda: file.exists() and file.read_text().endswith("\n"))
        (line,) = [json.loads(line) for line in file.read_text().splitlines()]
        assert (line["response_code"], line["route_name"]) == (502, "block_all")
        assert lab.log("web-1") == []
