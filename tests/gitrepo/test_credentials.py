"""Credentials from files: https with a token against a server that asks for one, and ssh against a real sshd."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import UsageError
from reconciler.gitrepo import AuthenticationError, open_repository
from reconciler.gitrepo.credentials import Credentials
from reconciler.settings import GitSettings
from tests.certificates import Authority
from tests.gitrepo.conftest import AT, Git, Open
from tests.gitrepo.forge import Forge, forge

SECRET = "s3cr3t%\\$'\"token"  # noqa: S105 -- of a test, with what a shell would stumble over


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def remote(bare: Path, ca: Authority, git: Git, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge that has the bare repository, and is trusted by git."""
    git(bare, "config", "http.receivepack", "true")
    monkeypatch.setenv("GIT_SSL_CAINFO", str(ca.root))
    with forge(bare.parent, ca) as found:
        yield found


@pytest.fixture
def token(tmp_path: Path, settings: GitSettings) -> tuple[Path, GitSettings]:
    """A file with a token, in a folder with a space, and settings that name it."""
    path = tmp_path / "a folder" / "token"
    path.parent.mkdir()
    path.write_text(f"{SECRET}\n")
    return path, replace(settings, token_file=str(path))


def test_a_token_opens_fetches_and_pushes(
    remote: Forge, bare: Path, token: tuple[Path, GitSettings], opened: Open, git: Git
) -> None:
    """All calls over the network find it; no process shows it in its arguments or its environment, and nothing keeps it."""
    _, settings = token
    remote.accepted = f"x-access-token:{SECRET}"
    repository = opened(f"{remote.url}/{bare.name}", settings)
    tip = repository.branch("main")
    new = repository.commit("main", expect=tip, files={"b": b"b"}, message="b", at=AT)
    repository.fetch()
    assert git(bare, "rev-parse", "main") == new
    assert remote.seen == []
    assert set(remote.shown) == {"", remote.accepted}
    kept = [path for path in settings.cache.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == []


def test_a_rotated_token_is_used_at_the_next_call(
    remote: Forge, bare: Path, token: tuple[Path, GitSettings], opened: Open
) -> None:
    """A file is read at each call; a revoked token is an error that doesn't show it, and no helper covers it up."""
    path, settings = token
    remote.accepted = f"x-access-token:{SECRET}"
    repository = opened(f"{remote.url}/{bare.name}", settings)
    remote.accepted = "robot:second"
    with pytest.raises(AuthenticationError) as refused:
        repository.fetch()
    assert SECRET not in str(refused.value)
    path.write_text("robot:second")
    repository.fetch()


@pytest.mark.parametrize("text", [None, "", "\n", "a\nb\n", "a\r\n", "x" * 70_000])
def test_a_file_without_a_token_is_said_to_be_one(
    text: str | None, remote: Forge, bare: Path, token: tuple[Path, GitSettings]
) -> None:
    """Nobody has to guess from a forge's words that a file is empty; the forge is not even called."""
    path, settings = token
    path.unlink() if text is None else path.write_bytes(text.encode())
    with pytest.raises(AuthenticationError, match="--git-token-file"):
        open_repository(f"{remote.url}/{bare.name}", settings)
    assert remote.shown == []


def test_a_token_goes_to_its_host_alone(
    remote: Forge, bare: Path, ca: Authority, token: tuple[Path, GitSettings]
) -> None:
    """A forge that sends us elsewhere doesn't get us to show the token there."""
    _, settings = token
    with forge(bare.parent, ca) as elsewhere:
        elsewhere.accepted = f"x-access-token:{SECRET}"
        remote.redirect = elsewhere.url
        with pytest.raises(AuthenticationError):
            open_repository(f"{remote.url}/{bare.name}", settings)
        assert set(elsewhere.shown) == {""}


def test_other_helpers_are_not_asked(
    remote: Forge, bare: Path, token: tuple[Path, GitSettings], tmp_path: Path
) -> None:
    """With a file of our own, what a helper or an askpass program has is neither used nor told of it."""
    _, settings = token
    asked = tmp_path / "asked"
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\necho $0 $1 >> {asked}\necho username=a\necho password=b\n")
    helper.chmod(0o755)
    config = Path(os.environ["GIT_CONFIG_GLOBAL"])
    config.write_text(
        f'{config.read_text()}[credential]\n\thelper = {helper}\n[credential "{remote.url}"]\n\thelper = {helper}\n'
        f"[core]\n\taskPass = {helper}\n"
    )
    remote.accepted = "a:b"
    with pytest.raises(AuthenticationError):
        open_repository(f"{remote.url}/{bare.name}", settings)
    assert not asked.exists()
    open_repository(f"{remote.url}/{bare.name}", replace(settings, token_file="")).close()
    assert "get" in asked.read_text()


def test_a_token_is_never_sent_in_the_clear(settings: GitSettings) -> None:
    """Without TLS everybody on the way would read it."""
    with pytest.raises(UsageError, match="in the clear"):
        Credentials(replace(settings, token_file=str(settings.cache)), "http://me:pw@127.0.0.1/x")


@contextmanager
def sshd(folder: Path) -> Iterator[int]:
    """A real sshd on this machine, with a host key and one allowed key of its own; yields its port."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if program is None:
        pytest.fail("sshd is not installed; .ci/packages installs it")
    if os.geteuid() == 0:  # where it locks itself into, before somebody has logged in
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder.mkdir()
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    config = folder / "config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin yes\n"
    )
    server = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if "listening" in line:
                break
        else:
            pytest.fail("sshd ended")
        yield port
    finally:
        server.terminate()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()


def test_ssh_has_its_key_and_believes_known_hosts_alone(
    bare: Path, settings: GitSettings, tmp_path: Path, opened: Open, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key and the hosts come from files; a host that is not in the file is refused, and so is another key."""
    folder = tmp_path / "sshd"
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")  # what is set for this process is a setting's to replace
    with sshd(folder) as port:
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{bare}"
        odd = tmp_path / "100% odd"  # names that ssh would read as more than one, and with a variable in them
        odd.mkdir()
        known, key = odd / "known", odd / "key"
        shutil.copy(folder / "user", key)
        host = (folder / "host.pub").read_text().split()
        known.write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
        chosen = replace(settings, ssh_key=str(key), known_hosts=str(known))
        repository = opened(url, chosen)
        new = repository.commit("main", expect=repository.branch("main"), files={"b": b"b"}, message="b", at=AT)
        assert git(bare, "rev-parse", "main") == new

        known.write_text("")
        with pytest.raises(AuthenticationError, match="Host key verification failed"):
            repository.fetch()
        known.write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
        (folder / "authorized").write_text("")
        with pytest.raises(AuthenticationError, match="Permission denied"):
            repository.fetch()
        known.unlink()
        with pytest.raises(AuthenticationError, match="--git-known-hosts"):
            repository.fetch()


def test_a_path_needs_no_credentials(checkout: Path, token: tuple[Path, GitSettings], opened: Open) -> None:
    """The variables may be set for every command of a machine; a path has no remote to show them to."""
    path, settings = token
    path.unlink()
    assert opened(checkout, settings).branch("main")


def test_no_remote_may_be_a_command(settings: GitSettings) -> None:
    """The protocol that runs commands of somebody's choice stays shut, whichever way credentials come."""
    for url in ("https://h/x", "ssh://h/x", "file:///x"):
        call = Credentials(settings, url).call()
        assert list(call.options[:2]) == ["-c", "protocol.ext.allow=never"]
