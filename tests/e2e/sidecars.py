"""A mesh of sidecars on ADS: a caller and instances of a service, each with an Envoy of its own, and a daemon that serves them.

Every workload has a loopback address of its own. The caller's application is the test's traffic, which its sidecar takes in and
sends to the sidecars of the service's instances.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.commands import Daemon
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.traffic import Traffic
from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import Ran, clean_environment, git

PATIENCE = 20.0
HOST = "b.default.svc.cluster.local"
VERSIONS = {"b-1": "v1", "b-2": "v2", "b-3": "v2"}

_LOG = """\
name: envoy.access_loggers.stdout
typed_config:
  "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
  log_format:
    text_format_source: {inline_string: "request=%REQ(X-REQUEST-ID)% status=%RESPONSE_CODE% to=%UPSTREAM_CLUSTER%\\n"}
"""
_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec:
  verifyDeadline: 5s
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  guards: {maxWeightIncrease: 100, maxDeletePercent: 100}
"""
_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME}
spec:
  hosts: [NAME.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: PORT, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: APP}}
"""
_SUBSETS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b}
spec:
  host: b
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b]
  http:
  - name: primary
    route:
    - destination: {host: b, subset: v1}
      weight: %d
    - destination: {host: b, subset: v2}
      weight: %d
"""
_CALLER = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a-1}
spec: {address: 127.0.0.20, labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: a}
spec:
  workloadSelector: {labels: {app: a}}
  egress: [{port: {number: %(egress)d, protocol: HTTP, name: http}, bind: 127.0.0.1, hosts: ["./*"]}]
"""
_INSTANCE = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: %(name)s}
spec: {address: %(address)s, ports: {http: %(port)d}, labels: {app: b, version: %(version)s, instance: %(name)s}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: %(name)s}
spec:
  workloadSelector: {labels: {app: b, instance: %(name)s}}
  ingress: [{port: {number: %(port)d, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:%(app)d"}]
  egress: [{hosts: ["~/*"]}]
"""
_PROXY = """\
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: %(name)s}
spec: {workload: %(name)s, admin: "unix://%(admin)s", push: {ads: {}}}
"""


class Sidecars:
    """The mesh and its daemon, cleared away at the end of its context.

    Args:
        folder: A new folder with a short path (Unix sockets).
        announced: Proxies that Git has no document of.
        instances: Those of b that are in Git from the start.

    Attributes:
        more: Ports of further services, by name; a test's own.
    """

    def __init__(
        self, folder: Path, *, announced: frozenset[str] = frozenset(), instances: tuple[str, ...] = ("b-1", "b-2")
    ) -> None:
        self.folder = folder
        self.announced = announced
        self.instances = instances
        self.repo, self.clone = folder / "p.git", folder / "c"
        self.stack = ExitStack()
        self.ports = self.stack.enter_context(Ports())
        self.egress, self.ads = self.ports.reserve(), self.ports.reserve()
        self.inbound = {name: self.ports.reserve() for name in VERSIONS}
        self.apps = {name: self.ports.reserve() for name in VERSIONS}
        self.more: dict[str, int] = {}
        self.envoys: dict[str, EnvoyProcess] = {}
        self.daemon = self._daemon()

    def __enter__(self) -> Self:
        try:
            apps = [
                App(app="b", version=VERSIONS[name], listener=self.ports.listen(port))
                for name, port in self.apps.items()
            ]
            self.backends = self.stack.enter_context(Backends(apps, log=self.folder / "apps.log"))
            self.stack.callback(self._stop_daemon)
            git("init", "-q", "--bare", "-b", "main", str(self.repo))
            git("clone", "-q", str(self.repo), str(self.clone), quiet=True)
            git("-C", str(self.clone), "checkout", "-q", "-b", "main", quiet=True)
            self.commit(self.files(), "Start")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for envoy in self.envoys.values():
            envoy.stop()
        self.stack.close()

    # What is in Git

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:
        return {
            "envoy-templates/access-log.yaml": _LOG,
            "policies/mesh.yaml": _MESH,
            "policies/b.yaml": self.another("b") + "---\n" + _SUBSETS,
            "policies/routes.yaml": _ROUTES % (v1, v2),
            "policies/a-1.yaml": _CALLER % {"egress": self.egress} + self._proxy("a-1"),
            **{f"policies/{name}.yaml": self.instance(name) for name in self.instances},
        }

    def instance(self, name: str) -> str:
        """One instance of b, with its sidecar."""
        address = f"127.0.0.{30 + list(VERSIONS).index(name)}"
        values = {"name": name, "address": address, "port": self.inbound[name], "version": VERSIONS[name]}
        return _INSTANCE % (values | {"app": self.apps[name]}) + self._proxy(name)

    def another(self, name: str) -> str:
        """A service that is served by what serves b."""
        return _SERVICE.replace("NAME", name).replace("APP", "b").replace("PORT", str(self.egress))

    def commit(self, files: Mapping[str, str] | Mapping[str, str | None] | Mapping[str, None], message: str) -> str:
        """Commit these files on main as a person would, and push."""
        here = ["-C", str(self.clone)]
        for path, content in files.items():
            file = self.clone / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        git(*here, "add", "-A")
        git(*here, "commit", "-q", "--allow-empty", "-m", message)
        git(*here, "push", "-q", "origin", "main", quiet=True)
        return git(*here, "rev-parse", "HEAD").strip()

    def split(self, v2: int) -> str:
        """Commit this weight for v2."""
        return self.commit({"policies/routes.yaml": _ROUTES % (100 - v2, v2)}, f"v2 at {v2}%")

    def record(self, form: str = "%B") -> str:
        return git("-C", str(self.repo), "log", "-1", f"--format={form}", "reconciler/record")

    def receipts(self) -> list[tuple[str, str]]:
        """Policy commit and outcome of every receipt, newest first."""
        if "reconciler/record" not in git("-C", str(self.repo), "for-each-ref"):
            return []
        form = "%(trailers:key=Policy-Commit,valueonly,separator=%x20) %(trailers:key=Outcome,valueonly,separator=%x20)"
        said = git("-C", str(self.repo), "log", f"--format={form}", "reconciler/record")
        return [(line.split()[0], line.split()[1]) for line in said.splitlines()]

    def files_recorded(self) -> list[str]:
        """What the newest receipt is about."""
        return git("-C", str(self.repo), "ls-tree", "-r", "--name-only", "reconciler/record").splitlines()

    # What runs

    def admin(self, name: str) -> Path:
        return self.folder / f"{name}.s"

    def start(self, name: str) -> EnvoyProcess:
        """Start an Envoy with the bootstrap that the product renders for it."""
        file = self.folder / f"{name}.yaml"
        who = ["--proxy", name]
        if name in self.announced:
            who = [
                "--name",
                name,
                "--namespace",
                "default",
                "--workload",
                name,
                "--admin",
                f"unix://{self.admin(name)}",
            ]
        ran = self.command("bootstrap", *who, "--ads", f"127.0.0.1:{self.ads}")
        assert ran.code == 0, ran.err
        file.write_text(ran.out)
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{self.admin(name)}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy

    def start_all(self) -> None:
        """The daemon, the Envoys, and all of them where Git wants them."""
        self.daemon.start()
        for name in ("a-1", *self.instances):
            self.start(name)
        self.wait(lambda: self.receipts()[:1] == [(self.head(), "applied")], "everything to be applied")

    def restart_daemon(self, *, kill: bool = False) -> None:
        if kill:
            self.daemon.kill()
        else:
            assert self.daemon.stop() == 0, self.daemon.tail()
        self.daemon = self._daemon()
        self.daemon.start()

    def head(self) -> str:
        return git("-C", str(self.repo), "rev-parse", "main").strip()

    def applied(self, commit: str) -> None:
        """Wait until a receipt says that a commit is live everywhere."""
        self.wait(lambda: (commit, "applied") in self.receipts(), f"{commit[:10]} to be applied")

    def observe(self, name: str, target: str) -> bytes:
        with HttpClient(f"unix://{self.admin(name)}", AdminSettings()) as client:
            return client.get(target).body

    def counter(self, name: str, stat: str) -> int:
        found = json.loads(self.observe(name, f"/stats?type=Counters&format=json&filter=^{stat}$"))
        return sum(int(item["value"]) for item in found["stats"])

    def versions(self, name: str) -> Any:
        with Admin(f"unix://{self.admin(name)}", AdminSettings()) as admin:
            return admin.versions()

    def command(self, *arguments: str) -> Ran:
        """A command line in a process of its own, as a user runs it."""
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *arguments, "--repo", str(self.repo)],
            capture_output=True, text=True, timeout=120, check=False, cwd=self.folder, env=self.environ,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def environ(self) -> dict[str, str]:
        return clean_environment() | {"XDG_RUNTIME_DIR": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}

    def traffic(self, host: str = HOST, **options: Any) -> Traffic:
        """Requests of a's application."""
        return Traffic(port=self.egress, authority=host, target="/b", watch="b", **options)

    def served(self, requests: int, **options: Any) -> dict[str, int]:
        """By which versions so many requests are served; none may fail."""
        with self.traffic(rate=0, limit=requests, **options) as traffic:
            traffic.join()
            tally = traffic.tally()
        assert tally.failed == 0, tally.failures
        return dict(tally.versions)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}\n{self.daemon.tail(40)}"
            time.sleep(0.02)

    def _proxy(self, name: str) -> str:
        return "" if name in self.announced else _PROXY % {"name": name, "admin": self.admin(name)}

    def _stop_daemon(self) -> None:
        self.daemon.stop()  # the one that runs at the end

    def _daemon(self) -> Daemon:
        return Daemon(
            "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}", "--interval", "200ms", "--drift-interval", "2s",
            environ=self.environ,
            log=self.folder / "daemon.log",
        )  # fmt: skip
