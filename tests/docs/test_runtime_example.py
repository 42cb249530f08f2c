from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.docs.shown import Reader
from tests.e2e.rig import Rig

READY = "http://127.0.0.1:9901/ready"
PUSHING = (TOP / "docs" / "pushing.md").read_text(encoding="utf-8")


class Documented(Rig):
    """The small mesh, with an Envoy as docs/pushing.md configures one that is not ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.admin_port = self.ports.reserve()
        self.listen["theirs"] = self.ports.reserve()

    def adapted(self, text: str) -> str:
        """An example on this mesh's ports, and with the service and the name of this mesh."""
        ports = {
            9901: self.admin_port,
            8080: self.listen["theirs"],
            9221: self.app_ports["v1"],
            9222: self.app_ports["v2"],
        }
        for written, real in ports.items():
            text = text.replace(str(written), str(real))
        return text.replace("virtualService: reviews", "virtualService: details").replace(
            "name: edge}", "name: theirs}"
        )

    def start_theirs(self, bootstrap: str) -> None:
        file = self.folder / "theirs.yaml"
        file.write_text(self.adapted(bootstrap))
        self.envoys["theirs"] = EnvoyProcess(
            bootstrap=file, admin=f"http://127.0.0.1:{self.admin_port}", log=self.folder / "theirs.log"
        )
        self.envoys["theirs"].start()


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documented]:
    with Documented(tmp_path_factory.mktemp("d")) as rig:
        yield rig


def proxy() -> str:
    _, _, rest = PUSHING.partition("   ```yaml\n")
    return textwrap.dedent(rest.partition("   ```\n")[0])


def theirs() -> str:
    (bootstrap,) = (text for text in blocks(TOP / "docs" / "pushing.md", "yaml") if "layered_runtime" in text)
    return bootstrap


def test_the_envoy_of_the_documentation_follows_weights_in_git(rig: Documented) -> None:
    """Bootstrap and Proxy, copied from the page, work; what the page says of mappings that are removed is so."""
    rig.start_theirs(theirs())
    rig.commit({"policies/theirs.yaml": rig.adapted(proxy()), **rig.routes(75, 25)}, "Take the Envoy in")
    rig.apply()
    rig.share_is(25, name="theirs", requests=800)
    rig.commit({"policies/theirs.yaml": None}, "Let it go")
    rig.apply()
    with HttpClient(f"http://127.0.0.1:{rig.admin_port}", AdminSettings()) as client:
        assert b"routing.reviews.reviews_v2" in client.get("/runtime").body


def test_the_way_to_take_it_in_shows_what_is_seen(tmp_path_factory: pytest.TempPathFactory) -> None:
    """docs/howto/plain-envoy.md, with the documents of the page that it takes them from: asked, moved, and let go."""
    folder = tmp_path_factory.mktemp("p")
    page = (TOP / "docs" / "howto" / "plain-envoy.md").read_text(encoding="utf-8")
    with Reader(folder, ports=("9901", "8080", "9221", "9222"), place="/tmp/plain") as reader:  # noqa: S108 -- as pages say
        (folder / "theirs.yaml").write_text(reader.actual(theirs()))
        (folder / "policies" / "edge.yaml").write_text(reader.actual(proxy()))
        done = []
        for command in reader.read(page, iter(["policies/reviews.yaml"])):
            done.append(command)
            if command.startswith("envoy"):
                reader.wait(lambda: reader.ran(reader.actual(f"curl -sf {READY}")).returncode == 0, "an Envoy")
        values = json.loads(reader.do(reader.actual("curl -s http://127.0.0.1:9901/runtime")))["entries"]
    assert len([line for line in page.splitlines() if line.startswith("$ ")]) == len(done)
    assert values == {}
