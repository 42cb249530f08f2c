"""The tokens file on disk: read again when it is replaced, changed whole and by rename, and never readable by others."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from reconciler.errors import InputError, PermanentError, ReconcilerError, TransientError
from reconciler.web.access.tokens import Token, parse

_LARGEST = 4 * 1024 * 1024
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class TokensFileError(TransientError):
    """The tokens file can't be used, so nobody is let in by a token until it can be."""

    default_code = "tokens-file"


class TokensWriteError(PermanentError):
    """The tokens file can't be written; it is as it was."""

    default_code = "tokens-write"


class UnknownTokenError(InputError):
    """The tokens file has no token of this id."""

    default_code = "token-unknown"


class TokenFile:
    """The tokens that a file holds at the time of asking.

    A file that is gone or broken lets nobody in: who revokes a token by deleting the file must not find it in use from memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._tokens: Mapping[str, Token] = {}

    def tokens(self) -> Mapping[str, Token]:
        """By id. Costs one look at the file's date where nothing changed.

        Raises:
            TokensFileError: The file can't be read, others may write it, or a line is none of ours.
        """
        with self._lock:
            try:
                with self.path.open("rb") as opened:
                    found = os.fstat(opened.fileno())
                    seen = (
                        found.st_dev,
                        found.st_ino,
                        found.st_size,
                        found.st_mtime_ns,
                        found.st_ctime_ns,
                        found.st_mode,
                    )
                    if seen == self._seen:
                        return self._tokens
                    self._seen = None
                    if found.st_mode & _OTHERS_WRITE:
                        raise TokensFileError(f"others may write {self.path}", hint="chmod 600 it")
                    text = opened.read(_LARGEST + 1)
            except OSError as error:
                self._seen = None
                raise TokensFileError(
                    f"{self.path} can't be read: {error.strerror or error}", hint="make it by `reconcile token create`"
                ) from None
            self._tokens = {token.id: token for token in _parsed(text, self.path)}
            self._seen = seen
            return self._tokens


def read_tokens(path: Path) -> tuple[Token, ...]:
    """What a file holds now; nothing if there is none.

    Raises:
        TokensFileError: It can't be read.
        TokensFormatError: A line is none of ours.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise TokensFileError(f"{path} can't be read: {error.strerror or error}") from None
    return parse(_decoded(text, path), file=str(path))


def add_token(path: Path, token: Token) -> None:
    """Write one more line; all that was there stays as it is.

    Raises:
        TokensWriteError, TokensFileError, TokensFormatError: Nothing was changed.
    """
    with _changing(path) as lines:
        lines.append(token.line())


def revoke_token(path: Path, identity: str) -> Token:
    """Take one line out; all others stay as they are.

    Raises:
        UnknownTokenError: There is none of this id.
        TokensWriteError, TokensFileError, TokensFormatError: Nothing was changed.
    """
    with _changing(path) as lines:
        for index, line in enumerate(lines):
            for token in parse(line, file=str(path)):
                if token.id == identity:
                    del lines[index]
                    return token
        raise UnknownTokenError(f"{path} has no token {identity!r}", hint="`reconcile token list` shows those it has")


@contextmanager
def _changing(path: Path) -> Iterator[list[str]]:
    """The lines of a file, to be changed by nobody else meanwhile; written if nothing is raised."""
    try:
        with _locked(path):
            before = path.read_bytes() if path.exists() else b""
            text = _decoded(before, path)
            parse(text, file=str(path))
            lines = text.split("\n")
            if not lines[-1]:
                lines.pop()
            yield lines
            _replace(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise TokensWriteError(
            f"{path} can't be written: {error.strerror or error}", hint="check who owns its folder"
        ) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two that change the file one after the other: a lock on its folder, which needs no file of its own."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, content: bytes) -> None:
    """All or nothing, and from its first instant with mode 0600. What a link leads to is replaced, and not the link."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=".tokens-", dir=target.parent)  # with mode 0600
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _parsed(text: bytes, path: Path) -> tuple[Token, ...]:
    if len(text) > _LARGEST:
        raise TokensFileError(f"{path} is larger than {_LARGEST} bytes", hint="take tokens out that have ended")
    try:
        return parse(_decoded(text, path), file=str(path))
    except TokensFileError:
        raise
    except ReconcilerError as error:
        raise TokensFileError(
            f"{path} is not a file of tokens: {error.message}", hint=error.diagnostics[0].hint
        ) from None


def _decoded(text: bytes, path: Path) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise TokensFileError(f"{path} is not text in UTF-8", hint="make it by `reconcile token create`") from None
