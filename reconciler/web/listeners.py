"""Sockets to listen on: TCP by `HOST:PORT`, and Unix sockets that only their owner may open, from their first instant.

Bound before any thread starts, so that an address that can't be had is an error where it was asked for.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import UsageError
from reconciler.settings import LONGEST_SOCKET
from reconciler.web.errors import ListenError

_MOST_PORTS = 65535
_PROBE = 1.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket.

    Attributes:
        socket: Bound, not listening yet.
        address: `host:port`, or `unix:///path`.
        local: Whether only this machine reaches it.
        path: Of a Unix socket.
        identity: Device and inode of that path, to know it again.
    """

    socket: socket.socket
    address: str
    local: bool
    path: Path | None = None
    identity: tuple[int, int] = (0, 0)

    def remove(self) -> None:
        """Take a Unix socket's path away, if it is still ours."""
        if self.path is None:
            return
        try:
            if _identity(self.path) == self.identity:
                self.path.unlink()
        except OSError:
            return


def listen_tcp(text: str) -> Listener:
    """Bind `HOST:PORT` (`[::1]:8080` for IPv6); port 0 picks a free one.

    Raises:
        UsageError: The text has another form.
        ListenError: The address can't be had.
    """
    host, port = _split(text)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ListenError(f"{host!r} is not an address of this machine: {error}", hint="try 127.0.0.1:0") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(where)
    except OSError as error:
        bound.close()
        hint = "end what listens there, or use port 0" if error.errno == errno.EADDRINUSE else "use another address"
        raise ListenError(f"{text} can't be listened on: {error.strerror}", hint=hint) from error
    name = bound.getsockname()
    shown = f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
    return Listener(bound, shown, ipaddress.ip_address(name[0].partition("%")[0]).is_loopback)


def _split(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port[:6]) > _MOST_PORTS:
        raise UsageError(f"{text!r} is not HOST:PORT", hint="write 127.0.0.1:8080, [::1]:8080, or port 0 for any")
    return host, int(port)


def listen_unix(path: Path) -> Listener:
    """Bind a Unix socket with mode 0600. One that a dead process left is replaced.

    It is made in a directory that nobody else may enter and moved to its name when its mode is set, so there is no instant
    at which somebody else could connect, and none at which the path is half made.

    Raises:
        ListenError: Somebody listens there, something else is there, or the directory can't be written.
    """
    _require_free(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    nursery = ""
    try:
        nursery = tempfile.mkdtemp(prefix=".", dir=path.parent)
        born = Path(nursery) / "s"
        _require_short(path, born)
        bound.bind(str(born))
        born.chmod(0o600)
        bound.listen()  # before it has its name: nobody finds a socket that refuses
        identity = _identity(born)
        born.rename(path)
    except OSError as error:
        bound.close()
        raise ListenError(
            f"{path} can't be listened on: {error.strerror or error}", hint="name another path with --daemon"
        ) from error
    except BaseException:
        bound.close()
        raise
    finally:
        if nursery:
            shutil.rmtree(nursery, ignore_errors=True)
    return Listener(bound, f"unix://{path}", local=True, path=path, identity=identity)


def _require_free(path: Path) -> None:
    _require_short(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(f"{path} can't be looked at: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"{path} is there and is not a socket", hint="name another path with --daemon")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise ListenError(f"{path} is in use: {error.strerror or error}", hint=_IN_USE) from error
    raise ListenError(f"a process listens on {path} already", hint=_IN_USE)


_IN_USE = "end the daemon that has it, or name another path with --daemon"


def _require_short(*paths: Path) -> None:
    for path in paths:
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            raise ListenError(
                f"{path} is too long: a Unix socket's path has at most {LONGEST_SOCKET} bytes",
                hint="name a shorter one with --daemon",
            )


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
