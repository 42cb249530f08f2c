from __future__ import annotations

import socket
import stat
import threading
from pathlib import Path

import pytest

from reconciler.errors import UsageError
from reconciler.web import Listener, ListenError, listen_tcp, listen_unix
from tests.web.world import World, client, on_unix


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def close(listener: Listener) -> None:
    listener.remove()
    listener.socket.close()


def test_port_0_picks_one_and_says_it() -> None:
    """What is bound is what is named, and who else can reach it is known."""
    bound = listen_tcp("127.0.0.1:0")
    host, _, port = bound.address.rpartition(":")
    assert (host, int(port) > 0, bound.local) == ("127.0.0.1", True, True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match="can't be listened on") as failed:
            listen_tcp(taken)
    assert "port 0" in failed.value.diagnostics[0].hint
    close(bound)


@pytest.mark.parametrize(("text", "local"), [("0.0.0.0:0", False), ("localhost:0", True), ("127.0.0.9:0", True)])
def test_who_reaches_it_is_known(text: str, local: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """An address beyond this machine has to be said loudly by whoever asks for it, so it is told apart."""
    bound = listen_tcp(text)
    assert bound.local is local
    close(bound)


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:80", "h:65536", "h:-1", "h:٣"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """An address that only looks like one must not bind something else."""
    with pytest.raises(UsageError):
        listen_tcp(text)


def test_an_unknown_host_is_an_error() -> None:
    """A name that is nobody's, or somebody else's address, names itself."""
    for text in ("no-such-host.invalid:0", "192.0.2.1:0"):
        with pytest.raises(ListenError):
            listen_tcp(text)


def test_a_unix_socket_is_its_owners_from_its_first_instant(short_path: Path) -> None:
    """Whoever watches the directory never sees the socket with a mode under which somebody else could connect."""
    short_path.chmod(0o755)
    path = short_path / "d.sock"
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for found in short_path.iterdir():
                try:
                    seen.add(mode(found))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(100):
            close(listen_unix(path))
    finally:
        over.set()
        watcher.join()
    bound = listen_unix(path)
    assert mode(path) == 0o600
    assert seen <= {0o600, 0o700}, "a socket 0600, or the directory 0700 in which it is made"
    assert [found.name for found in short_path.iterdir()] == ["d.sock"]
    close(bound)
    assert list(short_path.iterdir()) == []


def test_what_a_dead_daemon_left_is_replaced_and_a_live_one_is_not(short_path: Path) -> None:
    """A daemon that was killed must not lock out the next; one that runs must not lose its door."""
    path = short_path / "d.sock"
    dead = listen_unix(path)
    dead.socket.close()
    assert path.is_socket()
    with on_unix(World(), path) as address:
        with pytest.raises(ListenError, match="a process listens on"):
            listen_unix(path)
        with client(address) as http:
            assert http.get("/healthz").status == 200
        dead.remove()
        assert path.is_socket(), "only one's own socket is taken away"
    assert not path.exists()


def test_what_is_no_socket_is_left_alone(short_path: Path) -> None:
    """A path by mistake must not cost a file."""
    file = short_path / "file"
    file.write_text("mine")
    link = short_path / "link"
    link.symlink_to(file)
    for path in (file, link, short_path):
        with pytest.raises(ListenError, match="is not a socket"):
            listen_unix(path)
    assert file.read_text() == "mine"


def test_a_path_that_cannot_be_had_is_an_error(short_path: Path) -> None:
    """No directory, and more bytes than the system takes: said before anything is made."""
    with pytest.raises(ListenError):
        listen_unix(short_path / "none" / "d.sock")
    with pytest.raises(ListenError, match="too long"):
        listen_unix(short_path / ("x" * 100))
    assert list(short_path.iterdir()) == []
