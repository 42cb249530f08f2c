"""A small mesh to test on: a bare Git repository, gateways as real Envoys, and two versions of one application behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from reconciler.cli import run as cli
from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.split import bounds
from reconciler.cli.demo.traffic import Traffic
from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask, Report
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings

PATIENCE = 20.0
_CONFIDENCE = 1 - 1e-9
"""Of a share of traffic: there are hundreds of looks in a run, and at one error in a thousand every seventh run had one."""
HOST = "details.default.svc.cluster.local"

MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {verifyDeadline: 5s}
"""

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: details}
spec:
  hosts: [details.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: %(v1)d}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: %(v2)d}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: details}
spec:
  host: details
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""

ROUTES = """\
# The split.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: ["details.example.com"]
  gateways: [edge]
  http:
  - name: primary
    route:
    - destination: {host: details, subset: v1}
      weight: %(v1)d
    - destination: {host: details, subset: v2}
      weight: %(v2)d
"""

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %(name)s}
spec:
  selector: {gateway: %(name)s}
  servers:
  - port: {number: %(port)d, name: http, protocol: HTTP}
    bind: 127.0.0.1
    hosts: ["*"]
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: %(name)s}
spec:
  labels: {gateway: %(name)s}
  admin: unix://%(admin)s
  push: {files: {directory: %(directory)s}}
"""


@dataclass(frozen=True)
class Ran:
    """One command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Rig:
    """Everything the end-to-end tests need, cleared away at the end of its context.

    Args:
        folder: A new folder with a short path (Unix sockets).
        gateways: How many Envoys; each is a gateway named edge, edge-2, ... with the same routes.
    """

    def __init__(self, folder: Path, *, gateways: int = 1) -> None:
        self.folder = folder
        self.repo = folder / "policies.git"
        self.clone = folder / "clone"
        self.names = ["edge", *(f"edge-{number}" for number in range(2, gateways + 1))]
        self.stack = ExitStack()
        self.ports = self.stack.enter_context(Ports())
        self.app_ports = {version: self.ports.reserve() for version in ("v1", "v2")}
        self.listen = {name: self.ports.reserve() for name in self.names}
        self.envoys: dict[str, EnvoyProcess] = {}

    def __enter__(self) -> Self:
        try:
            self.serve()
            git("init", "-q", "--bare", "-b", "main", str(self.repo))
            git("clone", "-q", str(self.repo), str(self.clone), quiet=True)
            git("-C", str(self.clone), "checkout", "-q", "-b", "main", quiet=True)
            self.commit(self.files(), "Start")
            for name in self.names:
                self.start(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def serve(self) -> None:
        """Start the two versions of the application."""
        apps = [
            App(app="details", version=version, listener=self.ports.listen(port))
            for version, port in self.app_ports.items()
        ]
        self.backends = self.stack.enter_context(Backends(apps, log=self.folder / "apps.log"))

    def close(self) -> None:
        for envoy in self.envoys.values():
            envoy.stop()
        self.stack.close()

    # What is in Git

    def files(self) -> dict[str, str]:
        """The whole mesh: v1 serves everything."""
        gateways = ", ".join(self.names)
        return {
            "policies/mesh.yaml": MESH,
            "policies/details.yaml": SERVICE % self.app_ports,
            "policies/routes.yaml": (ROUTES % {"v1": 100, "v2": 0}).replace("[edge]", f"[{gateways}]"),
            **{f"policies/{name}.yaml": self.gateway(name) for name in self.names},
        }

    def gateway(self, name: str) -> str:
        return GATEWAY % {
            "name": name, "port": self.listen[name], "admin": self.admin(name), "directory": self.directory(name),
        }  # fmt: skip

    def routes(self, v1: int, v2: int) -> dict[str, str]:
        gateways = ", ".join(self.names)
        return {"policies/routes.yaml": (ROUTES % {"v1": v1, "v2": v2}).replace("[edge]", f"[{gateways}]")}

    def commit(self, files: Mapping[str, str | bytes | None], message: str, *, branch: str = "main") -> str:
        """Commit these files on a branch as a person would, and push."""
        here = ["-C", str(self.clone)]
        if branch != "main":
            git(*here, "checkout", "-q", "-B", branch, "main")
        for path, content in files.items():
            file = self.clone / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        git(*here, "add", "-A")
        git(*here, "commit", "-q", "--allow-empty", "-m", message)
        git(*here, "push", "-q", "origin", branch, quiet=True)
        commit = git(*here, "rev-parse", "HEAD").strip()
        if branch != "main":
            git(*here, "checkout", "-q", "main")
        return commit

    def refs(self) -> str:
        return git("-C", str(self.repo), "for-each-ref", "--format=%(refname) %(objectname)")

    def receipts(self) -> list[str]:
        """Subjects on the record branch, newest first."""
        if "reconciler/record" not in self.refs():
            return []
        return git("-C", str(self.repo), "log", "--format=%s", "reconciler/record").splitlines()

    def record(self, form: str = "%B") -> str:
        return git("-C", str(self.repo), "log", "-1", f"--format={form}", "reconciler/record")

    def recorded(self, name: str) -> str:
        return git("-C", str(self.repo), "show", f"reconciler/record:proxies/default/{name}.yaml")

    # What runs

    def admin(self, name: str) -> Path:
        return self.folder / f"{name}.sock"

    def directory(self, name: str) -> Path:
        return self.folder / "xds" / name

    def start(self, name: str) -> EnvoyProcess:
        """Start an Envoy with the bootstrap that the product renders for it."""
        file = self.folder / f"{name}.yaml"
        ran = self.command("bootstrap", "--proxy", name)
        assert ran.code == 0, ran.err
        file.write_text(ran.out)
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{self.admin(name)}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy

    def ask(self, name: str, target: str) -> bytes:
        with HttpClient(f"unix://{self.admin(name)}", AdminSettings()) as client:
            return client.get(target).body

    def counters(self, name: str, pattern: str) -> dict[str, int]:
        found = json.loads(self.ask(name, f"/stats?type=Counters&format=json&filter={pattern}"))
        return {item["name"]: item["value"] for item in found["stats"]}

    def config(self, name: str) -> Any:
        """What serves, without times of day."""
        kinds = ("dynamic_active_clusters", "dynamic_listeners", "dynamic_route_configs")
        return [json.loads(self.ask(name, f"/config_dump?resource={kind}")) for kind in kinds]

    def overwrite(self, name: str, relative: str, change: Callable[[bytes], bytes]) -> None:
        """Change a live file behind the reconciler's back, the way Envoy notices: by rename."""
        file = self.directory(name) / relative
        beside = file.with_name(".by-hand")
        beside.write_bytes(change(file.read_bytes()))
        beside.rename(file)

    # What is done

    def run(self, **ask: Any) -> Report:
        """One pass in this process."""
        with Session(settings(repo=str(self.repo), ref=ask.get("ref", "main"), admin_timeout="2s")) as session:
            return session.reconciler().run(Ask(**ask))

    def apply(self, **ask: Any) -> Report:
        """One pass that must do all its work."""
        report = self.run(**ask)
        said = [str(item) for item in (*report.errors, *(report.plan.refused if report.plan else ()))]
        assert report.exit_code() == 0, said + [
            f"{key}: {item.kind}: {item.detail}" for key, item in report.outcomes.items()
        ]
        return report

    def command(self, *arguments: str, where: str | None = None, under: Sequence[str] = ()) -> Ran:
        """A command line in a process of its own, as a user runs it; `under` another command, such as `setpriv`."""
        verb = list(arguments)
        option = [] if "--repo" in verb or verb[:1] == ["validate"] else ["--repo", str(self.repo)]
        done = subprocess.run(
            [*under, sys.executable, "-m", "reconciler", *verb, *option],
            capture_output=True, text=True, timeout=120, check=False, cwd=where or self.folder, env=clean_environment(),
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def traffic(self, name: str = "edge", **options: Any) -> Traffic:
        return Traffic(
            port=self.listen[name], authority="details.example.com", target="/details/0", watch="details", **options
        )

    def share_is(self, percent: float, *, requests: int = 1500, name: str = "edge") -> None:
        """Assert that v2's share of some requests is what chance allows at these weights, and that none failed."""
        with self.traffic(name, rate=0, limit=requests) as traffic:
            traffic.join()
            tally = traffic.tally()
        assert tally.requests == requests
        assert tally.failed == 0, tally.failures
        low, high = bounds(requests, percent / 100, confidence=_CONFIDENCE)
        assert low <= tally.versions["v2"] <= high, (tally.versions, low, high)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
            time.sleep(0.02)


def clean_environment() -> dict[str, str]:
    """This environment without what would change Git's or our behaviour."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "RECONCILE_")) and name not in {"FORCE_COLOR", "COLUMNS"}
    }


def git(*arguments: str, quiet: bool = False) -> str:
    """Git as a person uses it."""
    person = ["-c", "user.name=Pat", "-c", "user.email=pat@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *person, *arguments], capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    assert quiet or not done.stderr, done.stderr
    return done.stdout


__all__ = ["HOST", "Ran", "Rig", "clean_environment", "cli", "git"]
