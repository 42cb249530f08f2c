"""What can be wrong with a change of a policy over HTTP; each is told apart by whoever answers, who knows its status."""

from __future__ import annotations

from reconciler.errors import InputError, PolicyError, RefusedError, TransientError


class UnknownPolicyError(InputError):
    """There is no such policy on the policy branch."""

    default_code = "policy-unknown"


class PreconditionError(InputError):
    """The policy is not as whoever changes it has seen it; nothing was written, so nothing is lost."""

    default_code = "policy-changed"


class PolicyTextError(InputError):
    """What is sent is not one document of the kind and name that it is sent to."""

    default_code = "policy-text"


class PolicyPlaceError(InputError):
    """A policy can't be written to the file that is asked for."""

    default_code = "policy-place"


class EditingQueryError(InputError):
    """What is asked for beside a policy can't be done: a message or a guard's code of another form."""

    default_code = "policy-query"


class InvalidResultError(PolicyError):
    """With this change the policies would have errors; they are in the answer, and nothing was written."""

    default_code = "policy-invalid"


class RefusedChangeError(RefusedError):
    """The guards or the repository refuse this change; nothing was written."""

    default_code = "policy-refused"


class DeskBusyError(TransientError):
    """Others change policies right now, one after the other; nothing was written."""

    default_code = "policy-busy"
