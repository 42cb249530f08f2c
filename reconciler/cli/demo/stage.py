"""Everything that a show, a test or a benchmark stands on: repository, clone, applications and real Envoys, all private.

It puts the shipped example, moved to free ports, on its feet with the product's own means, and takes everything down again,
whatever ends it. It starts no daemon and sends no traffic by itself, and checks nothing. An Envoy that is pushed to by ADS runs, and
waits for the daemon.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.clone import Clone, hermetic
from reconciler.cli.demo.commands import Daemon, Finished, reconcile
from reconciler.cli.demo.example import Places, moved
from reconciler.cli.demo.interrupts import Interrupts
from reconciler.cli.demo.journey import TEMPLATE, TEMPLATE_PATH
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.traffic import Traffic
from reconciler.compile import AdsLink, Prototypes, Start, bootstrap
from reconciler.envoy.binary import EnvoyProcess
from reconciler.errors import PolicyError
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Proxy
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import selected
from reconciler.model.sidecar import Sidecar, SidecarProtocol
from reconciler.policy import FolderTree, Loaded, load
from reconciler.push import prepare_directory
from reconciler.settings import control_sockets, shipped
from reconciler.yamldoc import dump

_LONGEST_SOCKET = 100
_SOCKET = "admin.sock"
_PROMPT_LOGS = ("--file-flush-interval-msec", "50")


class Stage:
    """The set. Ends with the context, leaving no process, file or port behind.

    Ctrl-C, SIGTERM and SIGHUP arrive inside the context as `Interrupted`, a KeyboardInterrupt, and only once; starting and
    clearing up are never cut short. In a thread other than the main one, signals are left alone.

    Args:
        policies: A folder of policies to use instead of the shipped example. Every port of 127.0.0.1 in it is moved.
        envoys: Whether to start the Envoys.

    Attributes:
        root: The private folder of all of it, below TMPDIR.
        ads: Where every daemon of this stage serves ADS, as `--ads` takes it.
        http: Where it serves its page, as `--http` takes it.
        clone: The person at the keyboard; `clone.remote` is the bare repository.
        mesh: What the first commit says, and whatever was added by `enlist`.
        envoys: By proxy name.
    """

    def __init__(self, *, policies: Path | None = None, envoys: bool = True) -> None:
        self._policies = policies
        self._with_envoys = envoys
        self._interrupts = Interrupts()
        self._stack = ExitStack()
        self._ports = Ports()
        self._moved: dict[int, int] = {}
        self.ads = self.http = ""
        self.root = Path()
        self._sockets = Path()
        self._places: Places
        self.clone: Clone
        self.mesh: Mesh
        self._backends: list[Backends] = []
        self.envoys: Mapping[str, EnvoyProcess] = {}

    @property
    def repo(self) -> str:
        """The bare repository, as `--repo` takes it."""
        return str(self.clone.remote)

    @property
    def gateway(self) -> int:
        """The port of the first gateway's first server."""
        return self.mesh.gateways[0].spec.servers[0].port.number

    @property
    def environ(self) -> dict[str, str]:
        """The environment for the product's own processes: nothing of the user's settings, nothing left in their folders."""
        return hermetic() | {"XDG_CACHE_HOME": str(self.root / "cache"), "XDG_RUNTIME_DIR": str(self._sockets)}

    @property
    def control(self) -> Path:
        """The daemon's socket, for a command that is not given `environ`."""
        return control_sockets(str(self.clone.remote.resolve()), "main", environ=self.environ)[0]

    def proxy(self, name: str) -> Policy[Proxy]:
        """A fleet member by its name.

        Raises:
            KeyError: There is none.
        """
        return {proxy.key.name: proxy for proxy in self.mesh.proxies}[name]

    @property
    def admins(self) -> Mapping[str, str]:
        """Addresses of all admin endpoints, by proxy."""
        return {proxy.key.name: proxy.spec.admin for proxy in self.mesh.proxies}

    def egress(self, workload: str) -> int:
        """The port of a workload's outbound HTTP proxy; 0 if it has none."""
        sidecar = self._sidecar(workload)
        listeners = sidecar.egress if sidecar else ()
        ports = (item.port for item in listeners if item.port and item.port.protocol is SidecarProtocol.HTTP_PROXY)
        return next((port.number for port in ports), 0)

    def counts(self) -> Counter[str]:
        """Requests that the applications have served so far, by `app-version`.

        Raises:
            BackendsExitedError: Some of them have ended.
        """
        return sum((backends.counts() for backends in self._backends), Counter())

    def failures(self) -> Counter[str]:
        """How many of them were failed because of `fail`, in the same form.

        Raises:
            BackendsExitedError: Some of them have ended.
        """
        return sum((backends.failures() for backends in self._backends), Counter())

    def times(self) -> Mapping[str, tuple[float, float]]:
        """When the first and the last request came to each that had one, by `time.monotonic`, in the same form.

        Raises:
            BackendsExitedError: Some of them have ended.
        """
        return {name: times for backends in self._backends for name, times in backends.times().items()}

    def fail(self, name: str, share: float) -> None:
        """Have an application, `app-version`, answer this share of its requests, 0 to 1, with 500 from now on.

        Raises:
            KeyError: There is no such application.
            BackendsExitedError: It has ended.
        """
        serving = {served: backends for backends in self._backends for served in backends.names}
        serving[name].fail(name, share)

    def enlist(self, file: str, text: bytes) -> None:
        """Write one more file of policies into the clone, and start the applications and the Envoys that are new in it.

        Every port of 127.0.0.1 in it is moved. Committing it is up to the person at the keyboard.
        """
        with self._interrupts.shield():
            known = {entry.key.name for entry in self.mesh.workload_entries}
            (self.clone.path / file).write_bytes(moved({file: text}, self._places)[file])
            self._read()
            added = [entry for entry in self.mesh.workload_entries if entry.key.name not in known]
            self._run_apps(self._apps(added))
            self._run_envoys()

    def hire(self, app: str, *versions: str) -> Mapping[str, int]:
        """Start more instances of an application that calls nobody, without sidecars, and tell nobody of them.

        Returns:
            Their ports on 127.0.0.1, by version.
        """
        with self._interrupts.shield():
            ports = {version: self._ports.reserve() for version in versions}
            self._run_apps(
                App(app=app, version=version, listener=self._ports.listen(port)) for version, port in ports.items()
            )
        return ports

    def traffic(self, **options: Any) -> Traffic:
        """Users of the gateway; see `Traffic` for the options."""
        return Traffic(**{"port": self.gateway, "authority": "bookinfo", **options})

    def reconcile(self, *arguments: str) -> Finished:
        """Run the product's command line on this repository to its end."""
        return reconcile(*arguments, "--repo", self.repo, environ=self.environ, shield=self._interrupts.shield)

    def daemon(self, *arguments: str) -> Daemon:
        """Start a daemon that serves ADS on this repository; it ends with the stage if not before."""
        daemon = Daemon(
            "--repo", self.repo, "--ads", self.ads, "--http", self.http, *arguments,
            environ=self.environ, log=self.root / "daemon.log",
        )  # fmt: skip
        with self._interrupts.shield():
            self._stack.callback(daemon.stop)
            daemon.start()
        return daemon

    def close(self) -> None:
        """Take everything down. May be called more than once."""
        self._interrupts.refuse()
        try:
            self._stack.close()
        finally:
            atexit.unregister(self.close)
            self._interrupts.restore()

    def __enter__(self) -> Self:
        # An exception could come just as `__exit__` begins; then this is what clears up.
        atexit.register(self.close)
        self._interrupts.install()
        try:
            for step in (self._make_folders, self._seed, self._read, self._start_backends, self._start_envoys):
                with self._interrupts.shield():
                    step()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_folders(self) -> None:
        self._stack.callback(self._ports.close)
        self.ads = f"127.0.0.1:{self._ports.reserve()}"
        self.http = f"127.0.0.1:{self._ports.reserve()}"
        self.root = self._folder(tempfile.gettempdir())
        longest = self.root / "run" / ("x" * 40) / _SOCKET
        # Unix sockets have short paths by nature; a long TMPDIR gets a second, short folder for them.
        self._sockets = self.root / "run" if len(str(longest)) < _LONGEST_SOCKET else self._folder("/tmp")  # noqa: S108 -- a fresh folder inside, mode 0700
        self._sockets.mkdir(exist_ok=True)

    def _folder(self, parent: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="reconcile-", dir=parent)).resolve()
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _seed(self) -> None:
        self._places = Places(
            port=self._port,
            admin=lambda name: f"unix://{self._sockets / name / _SOCKET}",
            directory=lambda name: str(self.root / "envoy" / name / "xds"),
        )
        source = self._policies or shipped("policies")
        files = {f"policies/{file.relative_to(source).as_posix()}": file.read_bytes() for file in _files(source)}
        self.clone = Clone(
            remote=self.root / "policies.git",
            path=self.root / "clone",
            files={TEMPLATE_PATH: TEMPLATE, **moved(files, self._places)},
            shield=self._interrupts.shield,
        )

    def _port(self, original: int) -> int:
        if original not in self._moved:
            self._moved[original] = self._ports.reserve()
        return self._moved[original]

    def _read(self) -> None:
        loaded = load(FolderTree(self.clone.path))
        if loaded.mesh is None:
            raise PolicyError(diagnostics=loaded.errors)
        self._loaded: Loaded = loaded
        self.mesh = loaded.mesh

    def _start_backends(self) -> None:
        self._run_apps(self._apps(self.mesh.workload_entries))

    def _run_apps(self, apps: Iterable[App]) -> None:
        log = self.root / f"backends-{len(self._backends) + 1}.log"
        backends = Backends(list(apps), log=log)
        self._stack.callback(backends.close)
        backends.start()
        self._backends.append(backends)

    def _apps(self, entries: Iterable[Policy[WorkloadEntry]]) -> Iterator[App]:
        for entry in entries:
            name, labels = entry.key.name, entry.spec.labels
            sidecar = self._sidecar(name)
            for listener in sidecar.ingress if sidecar else ():
                port = int(listener.default_endpoint.rpartition(":")[2])
                yield App(
                    app=labels.get("app", name),
                    version=labels.get("version", ""),
                    listener=self._ports.listen(port),
                    egress=self.egress(name),
                )

    def _sidecar(self, workload: str) -> Sidecar | None:
        entries = [entry for entry in self.mesh.workload_entries if entry.key.name == workload]
        for sidecar in self.mesh.sidecars:
            selector = sidecar.spec.workload_selector
            if entries and selector is not None and selected(entries[0].spec.labels, selector.labels):
                return sidecar.spec
        return None

    def _start_envoys(self) -> None:
        if self._with_envoys:
            self._run_envoys()

    def _run_envoys(self) -> None:
        """Those that do not run yet."""
        prototypes = Prototypes.parse(self._loaded.templates)
        new = [proxy for proxy in self.mesh.proxies if proxy.key.name not in self.envoys]
        envoys = {proxy.key.name: self._envoy(proxy, prototypes) for proxy in new}
        self.envoys = {**self.envoys, **envoys}
        self._stack.callback(_all, [envoy.stop for envoy in envoys.values()])
        # One after the other: Envoy asks the kernel for a SIGTERM when the thread that started it ends, so it has to be
        # a thread that lives as long as the stage.
        for envoy in envoys.values():
            envoy.start(ready=False)

    def _envoy(self, proxy: Policy[Proxy], prototypes: Prototypes) -> EnvoyProcess:
        name = proxy.key.name
        home = self.root / "envoy" / name
        home.mkdir(parents=True)
        (self._sockets / name).mkdir(exist_ok=True)
        if proxy.spec.push.files is not None:
            prepare_directory(proxy.spec.push.files.directory)
        config = home / "bootstrap.yaml"
        start = Start(
            ads=AdsLink.parse(self.ads) if proxy.spec.push.ads is not None else None,
            metrics=self.mesh.settings.telemetry.metrics,
        )
        config.write_text(dump(to_dict(bootstrap(proxy, prototypes, start))))
        return EnvoyProcess(bootstrap=config, admin=proxy.spec.admin, log=home / "envoy.log", options=_PROMPT_LOGS)


def _files(folder: Path) -> list[Path]:
    return sorted(Path(where) / name for where, _, names in os.walk(folder) for name in names)


def _all(calls: list[Callable[[], None]]) -> None:
    """Make these calls at the same time, and all of them even if one fails; then raise the first failure."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        done = [pool.submit(call) for call in calls]
    for outcome in done:
        outcome.result()
