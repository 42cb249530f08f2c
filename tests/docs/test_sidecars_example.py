from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.e2e.rig import Rig


class Documented(Rig):
    """The examples of docs/policies.md as one mesh: two sidecars and a gateway on one host, each a real Envoy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.names = ["reviews-v1", "reviews-v2", "ingressgateway"]
        self.proxy_port = self.ports.reserve()
        self.listen = {"ingressgateway": self.ports.reserve()}
        self.inbound = {version: self.ports.reserve() for version in ("v1", "v2")}

    def files(self) -> dict[str, str]:
        examples = [text for text in blocks(TOP / "docs" / "policies.md", "yaml") if text.startswith("apiVersion")]
        text = "---\n".join(examples)
        changes: dict[str, object] = {
            "9121": self.inbound["v1"], "9122": self.inbound["v2"], "9322": self.proxy_port,
            "9221": self.app_ports["v1"], "9222": self.app_ports["v2"], "8080": self.listen["ingressgateway"],
            "http://127.0.0.1:9901": f"unix://{self.admin('ingressgateway')}",
            "/var/lib/envoy/": f"{self.folder}/xds/", "/run/envoy/": f"{self.folder}/", "/admin.sock": ".sock",
            "{prefix: /reviews}": "{prefix: /}",
        }  # fmt: skip
        for written, real in changes.items():
            assert written in text, written
            text = text.replace(written, str(real))
        return {"policies/all.yaml": text}


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documented]:
    with Documented(tmp_path_factory.mktemp("s")) as rig:
        yield rig


def answered(port: int, target: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", target, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_several_sidecars_on_one_host_work_as_the_page_says(rig: Documented) -> None:
    """An application calls others through its HTTP_PROXY listener by name and port; what is not in scope is a 502."""
    rig.apply()
    status, body = answered(rig.proxy_port, "http://reviews:9080/details/0", {"x-tester": "yes"})
    assert (status, "v2" in body) == (200, True), body
    assert answered(rig.proxy_port, "http://reviews.default:9080/details/0", {})[0] == 200
    assert answered(rig.proxy_port, "http://reviews/details/0", {})[0] == 502
    assert answered(rig.proxy_port, "http://ratings:9080/details/0", {})[0] == 502
    assert answered(rig.listen["ingressgateway"], "/details/0", {})[0] == 200
