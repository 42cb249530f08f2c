from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from reconciler.clock import SystemClock
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record import Draft, Record
from reconciler.web import Role
from tests.api.premises import Premises, premises

HERE = "/v1/rollouts/default/reviews"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    with premises(tmp_path_factory.mktemp("premises")) as found:
        yield found


def test_what_is_asked_of_a_rollout_is_a_commit(made: Premises) -> None:
    """By who asks; a dry run shows it; what does not fit is refused."""
    token, before = made.token(Role.OPERATE), made.tip().id
    dry = made.ask("POST", f"{HERE}/promote?dry_run=true", token=token).json
    assert (dry["commit"], made.tip().id) == (None, before)
    assert "+  step: 2" in dry["diff"]
    done = made.ask("POST", f"{HERE}/promote", token=token)
    assert (done.status, done.json["commit"], done.json["command"]) == (200, made.tip().id, "promote")
    tip = made.tip()
    assert (tip.author, tip.committer) == ("Ada L <ada@x.test>", "daemon <daemon@x.test>")
    assert tip.trailers["Requested-By-Token"] == (token.split("_")[1],)
    assert tip.trailers["Rollout-Command"] == ("promote",)
    again = made.ask("POST", f"{HERE}/promote", token=token)
    assert (again.status, again.code) == (409, "rollout-command")
    assert made.ask("POST", f"{HERE}/abort", token=token).status == 200
    assert "abort: true" in (made.file("rollout.yaml") or "")
    assert made.written == [None] * 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/rollouts/default/nope/pause", 404), (f"{HERE}/explode", 400), (f"{HERE}/pause?full=true", 400), (f"{HERE}/promote?run=x", 400),
        (f"{HERE}/pause?dryrun=true", 400), (f"{HERE}/retry?run=" + "x" * 100, 400), ("/v1/rollouts/..%2f/x/pause", 404),
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused(made: Premises, path: str, status: int) -> None:
    """Nothing is written."""
    before = made.tip().id
    assert made.ask("POST", path, token=made.token(Role.OPERATE)).status == status
    assert made.tip().id == before


def test_receipts_are_read_by_pages(made: Premises) -> None:
    """Newest first, each once; a page that begins nowhere is an error of who asks."""
    token = made.token(Role.READ)
    assert made.ask("GET", "/v1/receipts", token=token).json["receipts"] == []
    record = Record(made.repository, "reconciler/record", attempts=1)
    for number in range(5):
        entry = ProxyReceipt(view=f"v{number}", proof="exact", outcome=OutcomeKind.APPLIED)
        draft = Draft(
            policy_commit=made.tip().id,
            plan_digest="d",
            subject=f"s{number}",
            proxies={Key("default", "p"): entry},
        )
        assert record.write(draft, at=SystemClock().now()) is not None
    pages: list[list[str]] = []
    before: str | None = ""
    while before is not None:
        page = made.ask("GET", f"/v1/receipts?limit=2&before={before}", token=token).json
        pages.append([item["subject"] for item in page["receipts"]])
        before = page["next"]
    assert list(itertools.chain(*pages)) == [f"s{number}" for number in reversed(range(5))]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert made.ask("GET", f"/v1/receipts?before={'0' * 40}", token=token).code == "receipt-unknown"
    assert made.ask("GET", "/v1/receipts?before=main", token=token).status == 400
