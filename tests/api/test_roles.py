from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reconciler.web import Role
from reconciler.web.openapi import OPERATIONS, Operation, described
from tests.api.premises import Premises, premises
from tests.cycle.editing.office import split

READ, WRITE, PROPOSE, OPERATE = Role.READ, Role.WRITE, Role.PROPOSE, Role.OPERATE
BODIES: dict[tuple[str, str], Any] = {
    ("put", "/v1/policies/{kind}/{namespace}/{name}"): split(20).encode(),
    ("post", "/v1/passes"): {"ref": "main", "dry_run": True},
}
"""Bodies with which an operation would be carried out."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    with premises(tmp_path_factory.mktemp("premises")) as found:
        yield found


def _offered(made: Premises) -> list[Operation]:
    served = made.ask("GET", "/v1/openapi.json", token=made.token(READ)).json["paths"]
    return [item for item in OPERATIONS if item.path in served and not item.path.startswith("/v1/session")]


def _ask(made: Premises, operation: Operation, token: str) -> int:
    path = operation.path
    for name, value in {
        "kind": "VirtualService",
        "namespace": "default",
        "name": "reviews",
        "command": "promote",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    query = "?dry_run=true" if operation.query is not None and "dry_run" in operation.query.model_fields else ""
    body = BODIES.get((operation.method, operation.path))
    headers = {"if_match": "*"} if operation.method in {"put", "delete"} else {}
    if isinstance(body, bytes):
        headers["content_type"] = "application/yaml"
    return made.house.ask(operation.method.upper(), path + query, token=token, body=body, **headers).status


@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_each_role_may_do_what_it_says_and_nothing_else(made: Premises, role: Role | None) -> None:
    """Every role at every operation: refused or carried out as the description says; and nobody at all is asked who they are."""
    token = made.token(role) if role else ""
    for operation in _offered(made):
        status = _ask(made, operation, token)
        if role is None:
            assert status == 401, operation
        elif role in operation.roles:
            assert status not in {401, 403}, operation
        else:
            assert status == 403, operation


def test_the_matrix_is_about_something(made: Premises) -> None:
    """Each role is wanted somewhere, and what changes something never takes only `read`."""
    assert {role for operation in _offered(made) for role in operation.roles} == set(Role)
    assert [item for item in _offered(made) if item.method != "get" and READ in item.roles] == []
    assert described()["paths"]["/v1/passes"]["post"]["description"].endswith("Takes the role `operate` or `propose`.")


@pytest.mark.parametrize(
    ("roles", "query", "status"),
    [
        ((WRITE,), "?allow=guard-weight-increase", 403), ((WRITE, OPERATE), "?allow=guard-weight-increase&dry_run=true", 200),
        ((PROPOSE,), "?allow=guard-weight-increase&propose=true", 403), ((OPERATE,), "", 403), ((OPERATE, READ), "?propose=true", 403),
        ((PROPOSE,), "?dry_run=true", 200), ((WRITE,), "?propose=true", 202), ((PROPOSE,), "", 202),
    ],
)  # fmt: skip
def test_what_takes_several_roles(made: Premises, roles: tuple[Role, ...], query: str, status: int) -> None:
    """To override a guard takes `operate`, also in a proposal: its commit would acknowledge the guard when it is merged."""
    reply = made.put(
        "/v1/policies/VirtualService/default/reviews", split(15), made.token(*roles), query=query, if_match="*"
    )
    assert reply.status == status


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("wish", [{}, {"dry_run": False}, {"dry_run": True}, {"dry_run": True, "merge": "ab" * 20}])
def test_only_dry_runs_are_for_those_who_propose(made: Premises, role: Role, wish: dict[str, Any]) -> None:
    """A preview changes nothing and costs a pass: not for readers, and whoever may only propose gets nothing else."""
    allowed = role is OPERATE or (role is PROPOSE and wish.get("dry_run", False))
    before = len(made.world.requests)
    reply = made.ask("POST", "/v1/passes", token=made.token(role), body={"ref": "main"} | wish)
    assert (reply.status, len(made.world.requests) - before) == ((200, 1) if allowed else (403, 0))


def test_previews_leave_the_loop_to_those_who_operate(made: Premises) -> None:
    """Passes wait for one another: who may not run them holds two places, and whoever operates still gets one."""
    proposer, operator = made.token(PROPOSE), made.token(OPERATE)
    made.world.gate, made.world.entered = threading.Event(), threading.Semaphore(0)

    def ask(token: str) -> int:
        return made.ask("POST", "/v1/passes", token=token, body={"ref": "main", "dry_run": True}).status

    with ThreadPoolExecutor(3) as pool:
        try:
            asked = [pool.submit(ask, proposer) for _ in range(2)]
            assert all(made.world.entered.acquire(timeout=30) for _ in asked)
            assert ask(proposer) == 503
            asked.append(pool.submit(ask, operator))
            assert made.world.entered.acquire(timeout=30)
        finally:
            made.world.gate.set()
            made.world.gate = None
        assert [item.result() for item in asked] == [200, 200, 200]
    assert ask(proposer) == 200


def test_a_session_may_do_what_its_token_may(made: Premises) -> None:
    """And says in the commit which token that is."""
    token = made.token(WRITE, READ)
    signed = made.ask("POST", "/v1/session", token="", body={"token": token})
    headers = {"cookie": signed.headers["set-cookie"].partition(";")[0], "x_reconcile_csrf": signed.json["csrf"]}
    path = "/v1/policies/VirtualService/default/reviews"
    body = split(14).encode()
    sent = {"content_type": "application/yaml", "if_match": "*"} | headers
    assert made.house.ask("PUT", path, body=body, **(sent | {"x_reconcile_csrf": ""})).code == "http-csrf"
    assert made.house.ask("PUT", path, body=body, **sent).status == 200
    assert made.tip().trailers["Requested-By-Token"] == (token.split("_")[1],)
    assert made.house.ask("POST", "/v1/rollouts/default/reviews/promote", **headers).code == "http-forbidden"
