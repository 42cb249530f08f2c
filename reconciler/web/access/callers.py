"""Who asks, and what they may do. How a caller proves who they are is behind `Access`; routes name only a role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fastapi import Request

from reconciler.errors import ReconcilerError
from reconciler.web.errors import ForbiddenError, RateLimitError

REMEMBERED = "reconciler.entry"
"""Where a request's scope keeps what was found out about its sender."""


class Role(StrEnum):
    """What a caller may do; each role is given by itself, and none contains another.

    READ: status, services, rollouts, plans, receipts, policies. PROPOSE: pull requests that change policies, and dry runs. WRITE:
    commits that change policies. OPERATE: passes, and what people ask of rollouts.
    """

    READ = "read"
    PROPOSE = "propose"
    WRITE = "write"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: Who commits are by; "" for nobody in particular.
        email: Likewise.
        roles: What they may do.
        token: The id of the token that they have shown, now or at the beginning of a session; "" for none.
    """

    name: str = ""
    email: str = ""
    roles: frozenset[Role] = frozenset()
    token: str = ""


class Access(Protocol):
    """Finds out who sent a request."""

    def caller(self, request: Request) -> Caller:
        """Who sent it.

        Raises:
            ReconcilerError: They claim to be somebody whom they can't prove to be.
        """


class Anonymous:
    """Whoever reaches the server may read, and nothing else."""

    def caller(self, request: Request) -> Caller:
        """A reader."""
        del request
        return Caller(roles=frozenset({Role.READ}))


class Owner:
    """Whoever reaches the server is the user that runs it, as on a Unix socket that nobody else may open."""

    def caller(self, request: Request) -> Caller:
        """Who may do anything."""
        del request
        return Caller(roles=frozenset(Role))


def require(access: Access, request: Request, role: Role) -> Caller:
    """The caller, who has the role.

    Raises:
        ForbiddenError: They have not.
        ReconcilerError: They claim to be somebody whom they can't prove to be.
    """
    found = access.caller(request)
    if role not in found.roles:
        raise ForbiddenError(f"this takes the role {role}", hint="ask with a token that has it")
    return found


def require_one_of(access: Access, request: Request, *roles: Role) -> Caller:
    """The caller, who has at least one of the roles.

    Raises:
        ForbiddenError: They have none.
        ReconcilerError: They claim to be somebody whom they can't prove to be.
    """
    found = access.caller(request)
    if found.roles.isdisjoint(roles):
        raise ForbiddenError(f"this takes the role {' or '.join(roles)}", hint="ask with a token that has it")
    return found


def still(access: Access, request: Request, role: Role) -> bool:
    """Whether the sender of a request that goes on and on has the role at this instant: tokens are revoked, and sessions end."""
    anew = Request({name: value for name, value in request.scope.items() if name != REMEMBERED})
    try:
        require(access, anew, role)
    except RateLimitError:
        return True
    except ReconcilerError:
        return False
    return True
