"""The other side of the control socket: a command that has the daemon do a pass, or asks what it knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.cli.options import Output
from reconciler.cli.shapes import INVENTORY, fits, is_time, registries_fit
from reconciler.errors import Diagnostic, PermanentError, ReconcilerError, Severity, TransientError
from reconciler.http import BadReplyError, DistrustError, HttpClient, HttpError, Reply, TimedOutError, UnreachableError
from reconciler.settings import AdminSettings

_PATIENCE = 600.0
"""Seconds for a pass of the daemon's, and for those that wait before it."""
_GRACE = 10.0
_QUICK = 5.0
_FOR_SERVICES = 30.0
_OK = 200


class DaemonNotFoundError(TransientError):
    """No daemon listens where one was asked for."""

    default_code = "daemon-not-found"


class DaemonLostError(TransientError):
    """The daemon went away before it answered; the pass may have been done."""

    default_code = "daemon-lost"


class DaemonReplyError(PermanentError):
    """What listens there does not answer as a daemon of this version does."""

    default_code = "daemon-reply"


class DaemonDistrustedError(TransientError):
    """What listens at the address of a daemon shows a certificate that nobody here vouches for, or the like."""

    default_code = "daemon-distrusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A daemon on another machine.

    Attributes:
        address: `https://host:port`, of its HTTP API.
        token: Says who asks; see `reconcile token`.
        ca: PEM file of the authorities that its certificate is checked against; "" for the system's.
    """

    address: str
    token: str = field(repr=False)
    ca: str = ""

    def __str__(self) -> str:
        return self.address


Place = Path | Elsewhere
"""Where a daemon listens: its socket, or its address."""


class _SaidNoError(ReconcilerError):
    """The daemon's own errors, passed on."""


def run_there(path: Place, wish: Mapping[str, Any], *, patience: float = _PATIENCE) -> tuple[str, str, int]:
    """Have a daemon run a pass: what goes to stdout and stderr, and the exit code.

    Args:
        path: Its socket, or its address.
        wish: The fields of `PassRequest`; how long it may take is added.
        patience: Seconds.

    Raises:
        DaemonNotFoundError: Nobody listens there.
        DaemonLostError: It was there, and gave no answer.
        DaemonReplyError: Its answer makes no sense.
        ReconcilerError: It says why there is no pass.
    """
    touches = not wish.get("dry_run", False)
    hint = (
        "the pass may have been done: see `reconcile status`" if touches else "nothing was done; see the daemon's log"
    )
    with _client(path, patience + _GRACE) as http:
        _greet(http, path)
        try:
            reply = http.send("POST", "/v1/passes", headers=_shown(path), document={**wish, "timeout": patience})
        except BadReplyError as error:
            raise _odd(path) from error
        except TimedOutError as error:
            raise DaemonLostError(f"the daemon on {path} did not answer within {patience:g} s", hint=hint) from error
        except UnreachableError as error:
            raise DaemonLostError(f"the daemon on {path} ended before it answered", hint=hint) from error
    document = _document(reply, path)
    match document:
        case {"stdout": str(out), "stderr": str(err), "exit_code": int(code)}:
            return out, err, code
    raise _odd(path)


def status_there(path: Place) -> dict[str, Any]:
    """What a daemon knows.

    Raises:
        DaemonNotFoundError: Nobody listens there.
        DaemonLostError: It does not answer.
        DaemonReplyError: Its answer makes no sense.
    """
    document = _asked(path, "/v1/status", _QUICK)
    if not _is_status(document):
        raise _odd(path)
    return document


def services_there(path: Path) -> dict[str, Any]:
    """The services that a daemon knows, with their instances as its registries list them now.

    Raises:
        DaemonNotFoundError: Nobody listens there.
        DaemonLostError: It does not answer.
        DaemonReplyError: Its answer makes no sense.
        ReconcilerError: It does not know them yet.
    """
    document = _asked(path, "/v1/services", _FOR_SERVICES)
    if document.get("schema_version") != 1 or not fits(document, INVENTORY):
        raise _odd(path)
    return document


def _asked(path: Place, target: str, patience: float) -> dict[str, Any]:
    with _client(path, patience) as http:
        try:
            reply = http.send("GET", target, headers=_shown(path))
        except HttpError as error:
            raise _unanswered(error, path) from error
    return _document(reply, path)


def first_answering(paths: Iterable[Path]) -> Path | None:
    """The first socket at which somebody listens; None if nobody does."""
    for path in paths:
        with _client(path, _QUICK) as http:
            try:
                _greet(http, path)
            except DaemonNotFoundError:
                continue
            return path
    return None


def serves_streams(path: Path) -> bool:
    """Whether a daemon knows of proxies by their streams: then only it knows the whole fleet. False if it can't be asked."""
    try:
        return any(item["connection"] is not None for item in status_there(path)["proxies"])
    except ReconcilerError:
        return False


def wish(
    *, repository: str, ref: str, dry_run: bool, select: Sequence[str], allow: Iterable[str], plan_digest: str, output: Output,
    color: bool, exit_code: bool, merge: str = ""
) -> dict[str, Any]:  # fmt: skip
    """The fields of a `PassRequest`."""
    return {
        **({"dry_run": True} if dry_run else {}),  # a daemon that can't do it says no
        **({"merge": merge} if merge else {}),
        "repository": repository,
        "ref": ref,
        "select": list(select),
        "allow": sorted(allow),
        "plan_digest": plan_digest,
        "output": str(output),
        "color": color,
        "exit_code": exit_code,
    }


def _client(path: Place, patience: float) -> HttpClient:
    settings = AdminSettings(connect_timeout=_QUICK, read_timeout=patience)
    if isinstance(path, Elsewhere):
        return HttpClient(path.address, replace(settings, ca=path.ca))
    return HttpClient(f"unix://{path.absolute()}", settings)


def _shown(path: Place) -> dict[str, str]:
    """The headers that say who asks; on its socket a daemon knows that by itself."""
    return {"Authorization": f"Bearer {path.token}"} if isinstance(path, Elsewhere) else {}


def _greet(http: HttpClient, path: Place) -> None:
    """Whether anybody is there, so that what fails after it has another meaning. Health is not the question."""
    try:
        http.get("/healthz")
    except HttpError as error:
        raise _unanswered(error, path) from error


def _unanswered(error: HttpError, path: Place) -> ReconcilerError:
    if isinstance(error, DistrustError):
        return DaemonDistrustedError(
            error.message, hint="name the authorities that its certificate is from with --daemon-ca"
        )
    if isinstance(error, UnreachableError) and isinstance(path, Elsewhere):
        return DaemonNotFoundError(f"no daemon answers at {path}", hint="check the address, and the way to it")
    if isinstance(error, UnreachableError):
        return DaemonNotFoundError(
            f"no daemon listens on {path}",
            hint="start `reconcile daemon` for this repository, or name its socket with --daemon",
        )
    if isinstance(error, TimedOutError):
        return DaemonLostError(
            f"the daemon on {path} does not answer", hint="see its log, or end it and start it again"
        )
    return _odd(path)


def _document(reply: Reply, path: Place) -> dict[str, Any]:
    """The JSON object of an answer; the errors of one that says no are raised."""
    try:
        document = json.loads(reply.body)
        if not isinstance(document, dict):
            raise _odd(path)
        if reply.status == _OK:
            return document
        errors = [Diagnostic(**item | {"severity": Severity(item["severity"])}) for item in document["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _odd(path) from error
    raise _SaidNoError(diagnostics=errors) if errors else _odd(path)


def _is_status(document: Mapping[str, Any]) -> bool:
    """Whether it has the fields that are shown, in their types: a daemon of another version may answer otherwise."""
    match document:
        case {"schema_version": 1, "ref": str(), "repository": str(), "now": str(now), "proxies": list(proxies)}:
            last = document.get("pass")
            ended = last is None or (
                isinstance(last, dict) and is_time(last.get("ended")) and isinstance(last.get("reasons"), list)
            )
            return (
                is_time(now)
                and ended
                and all(map(_is_entry, proxies))
                and registries_fit(document.get("registries", []))
            )
    return False


def _is_entry(item: object) -> bool:
    match item:
        case {"proxy": str(), "revision": None, "verified_at": None, "connection": connection}:
            return _is_connection(connection)
        case {"proxy": str(), "revision": str(), "verified_at": at, "connection": connection}:
            return is_time(at) and _is_connection(connection)
    return False


def _is_connection(item: object) -> bool:
    match item:
        case None:
            return True
        case {"connected": bool(), "held": list(held)}:
            return all(
                isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("type", "name", "words"))
                for entry in held
            )
    return False


def _odd(path: Place) -> DaemonReplyError:
    return DaemonReplyError(
        f"what listens on {path} does not answer as a daemon of this version",
        hint="check that it is a daemon's, and that the daemon runs the same version",
    )
