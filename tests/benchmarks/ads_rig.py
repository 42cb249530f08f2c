"""Gateways on ADS: the end-to-end tests' mesh, its Envoys connected to a server in this process."""

from __future__ import annotations

from pathlib import Path

from reconciler.envoy.binary import EnvoyProcess
from reconciler.model.key import Key
from reconciler.settings import AdsSettings
from reconciler.xds import Plane
from reconciler.xds.server import AdsServer
from tests.e2e.rig import Rig


class AdsRig(Rig):
    """A mesh of gateways with the same routes, each a real Envoy that is served by `plane`.

    Args:
        folder: A new folder with a short path (Unix sockets).
        gateways: How many Envoys.
    """

    def __init__(self, folder: Path, *, gateways: int) -> None:
        self.plane = Plane()
        self._server = AdsServer(self.plane, AdsSettings())
        self.address = self._server.start()
        self._bootstrap = ""
        super().__init__(folder, gateways=gateways)
        self.stack.callback(self._server.stop)

    def gateway(self, name: str) -> str:
        """The documents of a gateway that is pushed to by ADS."""
        files = f"{{files: {{directory: {self.directory(name)}}}}}"
        return super().gateway(name).replace(files, "{ads: {}}")

    def start(self, name: str) -> EnvoyProcess:
        """Start an Envoy; the product renders the first one's bootstrap, and the others' differ in their name."""
        if not self._bootstrap:
            ran = self.command("bootstrap", "--proxy", name, "--ads", self.address)
            if ran.code != 0:
                raise SystemExit(ran.err)
            self._bootstrap = ran.out
        first = self.names[0]
        text = self._bootstrap.replace(str(self.admin(first)), str(self.admin(name)))
        for place in ("id: default/%s", "gateway: %s", "name: %s"):
            text = text.replace(f"{place % first}\n", f"{place % name}\n")
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        self.plane.publish(Key("default", name), ())  # it becomes ready when it is told that there is nothing
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{self.admin(name)}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy
