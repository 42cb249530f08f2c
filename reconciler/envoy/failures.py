"""How talking to an Envoy can fail. Every text names the admin endpoint's address.

AdminError (TransientError)                 codes: admin-unreachable, admin-timeout, admin-garbage, admin-forbidden, admin-tls,
                                                   admin-not-asked, admin-unmerged
RuntimeNotModifiableError (PermanentError)  codes: runtime-no-admin-layer, runtime-forbidden
RuntimeValueError (InputError)              code: runtime-value
"""

from __future__ import annotations

from reconciler.errors import InputError, PermanentError, TransientError
from reconciler.http import DistrustError, Fault, HttpError, Reply, TimedOutError, UnreachableError

_SHOWN = 120
_TRUST = {
    Fault.FILES: "check --admin-cert, --admin-key and --admin-ca",
    Fault.AUTHORITY: "name the authority of the proxies' certificates with --admin-ca",
    Fault.EXPIRED: "renew the certificate on the proxy's host, and check the clocks of both",
    Fault.NAME: "write a name in spec.admin of its Proxy that the certificate has, or issue one that has this name",
    Fault.MISSING: "give a certificate of the proxies' root with --admin-cert and --admin-key",
    Fault.REFUSED: "check that --admin-cert is of the root that the proxy's `certificates` name, has not expired, and is for one of "
    "its observers",
}


class AdminError(TransientError):
    """An admin endpoint brought no usable answer: down, slow, closed to us, or no Envoy's."""

    default_code = "admin-garbage"


class RuntimeNotModifiableError(PermanentError):
    """This Envoy's runtime can't be changed through its admin endpoint."""

    default_code = "runtime-no-admin-layer"


class RuntimeValueError(InputError):
    """A runtime value that Envoy would take with an OK and then ignore."""

    default_code = "runtime-value"


def no_answer(error: HttpError) -> AdminError:
    """The admin endpoint's failure for a failed call."""
    if isinstance(error, UnreachableError):
        hint = "check that this Envoy runs, and spec.admin of its Proxy"
        return AdminError(error.message, code="admin-unreachable", hint=hint)
    if isinstance(error, DistrustError):
        return AdminError(error.message, code="admin-tls", hint=_TRUST[error.fault])
    if isinstance(error, TimedOutError):
        hint = "its main thread may be busy with a large update; what it serves is not touched by this"
        return AdminError(error.message, code="admin-timeout", hint=hint)
    return garbage(error.message)


def garbage(message: str) -> AdminError:
    """What answers is no Envoy's admin endpoint, or one that we don't understand."""
    return AdminError(
        message, code="admin-garbage", hint="check that spec.admin of its Proxy is Envoy's admin endpoint"
    )


def refused(what: str, reply: Reply) -> AdminError:
    """An answer with another status than 200.

    Args:
        what: The call.
        reply: Its answer.
    """
    if reply.status == 403:  # noqa: PLR2004 -- HTTP's Forbidden; what `allow_paths` answers with
        path = what.rpartition("/")[2]
        return AdminError(
            f"{what}: this path is not allowed (403)",
            code="admin-forbidden",
            hint=f"add /{path} to admin.allow_paths in its bootstrap; `reconcile bootstrap` prints one that has it; for an https "
            "address, to listener-observer.yaml too",
        )
    return garbage(f"{what}: the answer is {reply.status}: {words(reply)}")


def words(reply: Reply) -> str:
    """The beginning of a body, on one line, to show in a message."""
    text = " ".join(reply.text[: 4 * _SHOWN].split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
