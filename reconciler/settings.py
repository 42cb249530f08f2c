"""How one process is set up: where the repository is, who commits, how patient the network calls are.

Policy-level settings (guards, drift, the record branch) live in the `Mesh` document in Git, not here. What is here
describes this machine and this run. The classes are the one model of it: a field is documented in its class's docstring, and its
flag, environment variable and key in the settings file follow from its name (`cli/configuration`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

LONGEST_SOCKET = 103
"""Bytes of a Unix socket's path: macOS' `sun_path` has 104 with the closing NUL, Linux' has 108."""


def user_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's cache directory for this product, by the XDG base directory specification."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "envoy-reconciler"


def control_sockets(
    identity: str, ref: str, *, environ: Mapping[str, str] = os.environ, user: int | None = None
) -> tuple[Path, ...]:
    """Where the daemon of a repository and a branch listens for `reconcile` on the same machine.

    The first is where a daemon listens; a command looks at each in turn, since its environment may lack what the daemon's
    has (cron has no `XDG_RUNTIME_DIR`).

    Args:
        identity: One text for all spellings of one repository.
        ref: The branch.
        environ: Seam for tests.
        user: Whose daemon; the id of this process' user by default.
    """
    said = f"{identity}\x00{ref}".encode("utf-8", "surrogateescape")
    name = f"{hashlib.sha256(said).hexdigest()[:16]}.sock"
    shared = Path("/tmp") / f"envoy-reconciler-{os.geteuid() if user is None else user}" / name  # noqa: S108 -- checked by who opens it
    base = environ.get("XDG_RUNTIME_DIR", "")
    own = Path(base) / "envoy-reconciler" / name
    fits = base.startswith("/") and len(os.fsencode(own)) <= LONGEST_SOCKET
    return (own, shared) if fits else (shared,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a commit is by.

    Attributes:
        name: As in `user.name`.
        email: As in `user.email`.
    """

    name: str = "envoy-reconciler"
    email: str = "envoy-reconciler@localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How commits are signed; absent means unsigned.

    Attributes:
        format: `ssh`, `openpgp` or `x509`, as Git's `gpg.format`.
        key: As Git's `user.signingkey`: a key id, or the path of an ssh key.
    """

    format: str = "ssh"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSettings:
    """How this process reads and writes Git.

    Attributes:
        author: Who the commits are by.
        committer: Who made them; the author if absent.
        signing: Key for every commit that is made.
        timeout: Seconds for one call over the network.
        push_attempts: How often a lost race is fetched and tried again.
        cache: Where repositories given by URL are mirrored, and what registries said last is remembered.
        token_file: File that holds the token or password for a repository at `https://`, alone or as `user:password`; read at each
            call. "" leaves it to Git's own helpers.
        ssh_key: File of the private key for a repository at `ssh://`; "" leaves it to ssh.
        known_hosts: File of the host keys that are believed, as ssh's `known_hosts`; "" for the user's own. With it or
            `ssh_key`, a host that is not in it is refused, and ssh asks nobody.
    """

    author: Identity = field(default_factory=Identity)
    committer: Identity | None = None
    signing: Signing | None = None
    timeout: float = 60.0
    push_attempts: int = 20
    cache: Path = field(default_factory=user_cache)
    token_file: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """How Envoys' admin endpoints are called: how patiently, and with which certificates where they are `https://`.

    Attributes:
        connect_timeout: Seconds to connect.
        read_timeout: Seconds of silence in an answer.
        max_body: Bytes of an answer after which it is refused; a dump of 5,000 clusters has 15 MB.
        certificate: Path of what is shown to an `https://` endpoint: PEM, the certificate first; "" for none. This file and
            the next two are read at every new connection, so replacing them renews them.
        key: Path of its private key, PEM; "" if it is in the same file.
        ca: Path of the authorities, PEM, that `https://` endpoints are checked against; "" for the ones this system trusts.
        verify: Whether an `https://` endpoint's certificate is checked at all.
        workers: Proxies that are talked to at the same time. More than a few only compete for the interpreter; a proxy that
            hangs takes one of them for as long as its time limits last.
    """

    connect_timeout: float = 1.0
    read_timeout: float = 5.0
    max_body: int = 256 * 1024 * 1024
    certificate: str = ""
    key: str = ""
    ca: str = ""
    verify: bool = True
    workers: int = 8


DEFAULT_IDENTITY = "spiffe://*/ns/{namespace}/proxy/{name}"
"""The subject alternative name of a proxy's certificate, unless something else is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdsSettings:
    """Where the daemon serves ADS, and with which certificates. Files are read again when they are replaced.

    Attributes:
        address: `host:port`; port 0 picks one and says it. "" to serve no ADS.
        certificate: PEM file of the server's certificate, with its chain; without one it speaks plaintext.
        key: PEM file of its private key.
        client_ca: PEM file of the authorities that proxies' certificates are checked against; with it every proxy needs one,
            and may only claim to be whom it names.
        identities: Forms of the subject alternative names that name a proxy, with `{namespace}` and `{name}`; `*` stands for any
            part without a slash. One without `{name}` speaks for all proxies of a namespace.
        plaintext: Speak plaintext with other hosts too.
    """

    address: str = "127.0.0.1:0"
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    identities: tuple[str, ...] = (DEFAULT_IDENTITY,)
    plaintext: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the daemon serves HTTP: its health, what it knows, its API, its page, and what wakes it.

    Attributes:
        address: `host:port`; port 0 picks one and says it. "" to serve nothing but the Unix socket.
        certificate: PEM file of the server's certificate, with its chain; without one it speaks plaintext.
        key: PEM file of its private key; "" if it is in the same file.
        plaintext: Take tokens without TLS from other hosts too.
        tokens: File that says who may do what; without it anybody may read, and nobody may change anything.
        anonymous: Whether anybody may read although there is such a file.
        names: Host names that the server is reached by beside addresses and localhost, as behind a proxy. With any of them, on
            an address that only this machine reaches, or where anybody may read, a request that names another host is refused;
            where anybody may read at an address that others reach, the name of this machine is one of them.
        webhooks: By the kind of sender (`github`, `gitlab`, `gitea`, `plain`) the file of the secret that it shares with us.
    """

    address: str = ""
    certificate: str = ""
    key: str = ""
    plaintext: bool = False
    tokens: str = ""
    anonymous: bool = False
    names: tuple[str, ...] = ()
    webhooks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeSettings:
    """Where commits and pull requests of the policy repository are told how things stand.

    Attributes:
        kind: `github` or `gitlab`; "" for none.
        repository: `owner/name`; for GitLab the path or the number of the project.
        api: Address of the API; "" for the public service's.
        token_file: Holds the token; read at each call.
        context: Which status of a commit the daemon sets: one that is set by nobody else, other daemons included.
    """

    kind: str = ""
    repository: str = ""
    api: str = ""
    token_file: str = ""
    context: str = "reconciler/live"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """Whose commits are applied.

    Attributes:
        allowed_signers: File in the format of ssh-keygen's ALLOWED SIGNERS; "" for nobody by ssh.
        keyring: Directory of GnuPG (`GNUPGHOME`) that has the public keys of those who may sign with OpenPGP; "" for nobody.
    """

    allowed_signers: str = ""
    keyring: str = ""

    @property
    def required(self) -> bool:
        """Whether commits have to be signed at all."""
        return bool(self.allowed_signers or self.keyring)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """When the daemon runs passes, and where it listens for commands on this machine.

    Attributes:
        interval: Seconds between two looks at Git; a pass follows if the branch moved.
        drift_interval: Seconds between two readings of every proxy's content.
        socket: The Unix socket for commands on this machine; by repository and branch if absent.
    """

    interval: float = 10.0
    drift_interval: float = 60.0
    socket: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What the daemon's log says, and how it is written.

    Attributes:
        format: `text` for people; `json` for programs, one object a line.
        level: The least that is said: `debug` (every pass with its stages), `info`, `warning` or `error`.
    """

    format: str = "text"
    level: str = "info"


def _not_served() -> AdsSettings:
    return AdsSettings(address="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run of the product: every setting there is. Flags, environment and the settings file are made from these classes.

    Attributes:
        repo: Path or URL of the policy repository.
        ref: The branch that policies are read from.
        git: How Git is read and written.
        admin: How Envoys' admin endpoints are called.
        trust: Whose commits are applied; everybody's by default.
        forge: Who is told how commits stand.
        daemon: When the daemon runs passes.
        ads: Where the daemon serves ADS; nowhere by default.
        http: Where the daemon serves HTTP; nowhere by default.
        log: What the daemon's log says.
    """

    repo: str = "."
    ref: str = "main"
    git: GitSettings = field(default_factory=GitSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    forge: ForgeSettings = field(default_factory=ForgeSettings)
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    ads: AdsSettings = field(default_factory=_not_served)
    http: HttpSettings = field(default_factory=HttpSettings)
    log: LogSettings = field(default_factory=LogSettings)


def shipped(folder: str) -> Path:
    """Where `envoy-templates` or `policies`, the folders that the wheel carries, are on this machine.

    An installed package has them inside; a source checkout has them at the top of the repository.
    """
    inside = Path(str(files("reconciler"))) / folder
    return inside if inside.is_dir() else Path(__file__).resolve().parent.parent / folder
