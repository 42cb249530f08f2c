from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.settings import TrustSettings
from reconciler.web import Role
from tests.api.premises import REVIEWS, Premises, premises
from tests.cycle.editing.office import FILES, RULE, split

READ, WRITE, PROPOSE, OPERATE = Role.READ, Role.WRITE, Role.PROPOSE, Role.OPERATE


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Premises]:
    with premises(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """For tests that write nothing: as they show."""
    with premises(tmp_path_factory.mktemp("premises")) as found:
        yield found


def test_a_policy_goes_out_and_comes_back(made: Premises) -> None:
    """As YAML it is what stands in the file; as JSON the same values; its ETag lets it be changed, once."""
    token = made.token(READ, WRITE)
    text = made.ask("GET", REVIEWS, token=token, accept="application/yaml")
    assert text.headers["content-type"] == "application/yaml"
    assert text.body.decode() in FILES["reviews.yaml"]
    assert text.headers["x-reconcile-file"] == "policies/reviews.yaml:2"
    found = made.ask("GET", REVIEWS, token=token).json
    assert (found["etag"], found["line"], found["document"]) == (text.headers["etag"], 2, 0)
    assert made.ask("GET", REVIEWS, token=token, if_none_match=found["etag"]).status == 304
    changed = text.body.decode().replace("weight: 10", "weight: 20").replace("weight: 90", "weight: 80")
    reply = made.put(REVIEWS, changed, token, if_match=found["etag"])
    assert (reply.status, reply.json["action"], reply.json["commit"]) == (200, "update", made.tip().id)
    assert made.file("reviews.yaml") == FILES["reviews.yaml"].replace(text.body.decode(), changed)
    assert made.put(REVIEWS, changed, token, if_match=reply.headers["etag"]).json["action"] == "none"
    again = made.put(REVIEWS, changed, token, if_match=found["etag"])
    assert (again.status, again.code) == (412, "policy-changed")
    assert made.tip().author == "Ada L <ada@x.test>"
    assert made.tip().committer == "daemon <daemon@x.test>"
    assert made.tip().trailers["Requested-By-Token"] == (token.split("_")[1],)
    assert made.written == [None]


def test_a_policy_is_created_and_deleted(made: Premises) -> None:
    """In JSON; the answer says where it is and what to send to change it."""
    token = made.token(READ, WRITE)
    path = "/v1/policies/VirtualService/default/other"
    policy = json.loads(json.dumps(made.ask("GET", REVIEWS, token=token).json["policy"]))
    policy["metadata"]["name"], policy["spec"]["hosts"] = "other", ["other"]
    reply = made.ask("PUT", path, token=token, body=policy, if_none_match="*")
    assert (reply.status, reply.json["file"]) == (201, "policies/default/virtualservice-other.yaml")
    assert made.ask("GET", path, token=token).json["policy"] == policy
    assert made.ask("PUT", path, token=token, body=policy, if_none_match="*").status == 412
    gone = made.ask("DELETE", f"{path}?allow=", token=token, if_match=reply.headers["etag"])
    assert (gone.status, gone.json["etag"]) == (200, None)
    assert (made.ask("GET", path, token=token).status, made.file("default/virtualservice-other.yaml")) == (404, None)


def test_two_writers_of_one_policy(made: Premises) -> None:
    """Both have read the same. One wins; the other gets 412, and what the winner wrote is there."""
    tokens = [made.token(READ, WRITE, name=name) for name in ("One", "Two")]
    for round_ in range(4):
        etag = made.etag(tokens[0])
        start = threading.Barrier(2)

        def write(
            number: int, etag: str = etag, start: threading.Barrier = start, weight: int = 11 + 2 * round_
        ) -> int:
            start.wait()
            text = split(weight + number, comment=f" # {number}")
            return made.put(REVIEWS, text, tokens[number], if_match=etag).status

        before = made.tip().id
        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(write, range(2)))
        assert sorted(statuses) == [200, 412]
        winner = statuses.index(200)
        assert made.tip().parents == (before,), "one commit"
        assert made.tip().author.startswith(("One", "Two")[winner])
        assert f"# {winner}" in (made.file("reviews.yaml") or "")


def test_writers_of_different_policies_both_win(made: Premises) -> None:
    """In one file even: each keeps what the other wrote."""
    token = made.token(READ, WRITE)
    rule = "/v1/policies/DestinationRule/default/reviews"
    tags = [made.etag(token, path) for path in (REVIEWS, rule)]
    texts = [split(12), RULE.replace("v2}}", "v2}}  # new")]
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda n: made.put((REVIEWS, rule)[n], texts[n], token, if_match=tags[n]), range(2)))
    assert [reply.status for reply in replies] == [200, 200]
    file = made.file("reviews.yaml") or ""
    assert texts[0] in file
    assert texts[1] in file


@pytest.mark.parametrize(
    ("method", "headers", "status", "code"),
    [
        ("PUT", {}, 428, "http-precondition"), ("DELETE", {}, 428, "http-precondition"), ("DELETE", {"if_none_match": "*"}, 428, "http-precondition"),
        ("PUT", {"if_match": "x"}, 400, "http-request"), ("PUT", {"if_match": '"x"', "if_none_match": "*"}, 400, "http-request"),
        ("PUT", {"if_none_match": '"x"'}, 400, "http-request"), ("PUT", {"if_match": '"x", "y"'}, 412, "policy-changed"),
        ("PUT", {"if_match": "*", "content_type": "text/plain"}, 415, "http-media-type"), ("PUT", {"if_none_match": "*"}, 412, "policy-changed"),
        ("PUT", {"if_match": "*", "content_type": "application/json"}, 400, "policy-text"),
    ],
)  # fmt: skip
def test_a_write_says_what_it_has_seen(
    still: Premises, method: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Without a precondition, with one that can't be read, or one that does not hold: nothing is written."""
    token, before = still.token(WRITE), still.tip().id
    sent = {"content_type": "application/yaml"} | headers
    reply = still.ask(method, REVIEWS, token=token, body=split(20).encode(), **sent)
    assert (reply.status, reply.code) == (status, code)
    assert still.tip().id == before


def test_what_is_refused_says_why(made: Premises) -> None:
    """Errors with their places, guards with their codes, and queries that are misspelt; a dry run writes nothing."""
    token, before = made.token(READ, WRITE), made.tip().id
    etag = made.etag(token)
    wrong = made.put(REVIEWS, split(20).replace("subset: v2", "subset: v9"), token, if_match=etag)
    assert (wrong.status, wrong.code, wrong.json["errors"][0]["file"]) == (422, "ref-subset", "policies/reviews.yaml")
    steep = made.put(REVIEWS, split(90), token, if_match=etag)
    assert (steep.status, steep.code) == (409, "guard-weight-increase")
    for query in ("?dryrun=true", "?dry_run=maybe", "?file=../x.yaml", "?message=Reconcile-Allow:%20x"):
        assert made.put(REVIEWS, split(20), token, query=query, if_match=etag).status == 400
    dry = made.put(REVIEWS, split(90), token, query="?dry_run=true", if_match=etag)
    assert (dry.status, dry.json["commit"], dry.json["dry_run"]) == (200, None, True)
    assert [item["code"] for item in dry.json["plan"]["refused"]] == ["guard-weight-increase"]
    assert "+    - {destination: {host: reviews, subset: v2}, weight: 90}" in dry.json["diff"]
    assert made.tip().id == before
    operator = made.token(WRITE, OPERATE)
    done = made.put(REVIEWS, split(90), operator, query="?allow=guard-weight-increase", if_match=etag)
    assert done.status == 200
    assert made.tip().trailers["Reconcile-Allow"] == ("guard-weight-increase",)


def test_who_may_only_propose_proposes(made: Premises) -> None:
    """To a branch of its own, whether it was asked for or not; the policy branch stays."""
    before = made.tip().id
    etag = made.etag(made.token(READ))
    proposed = made.put(REVIEWS, split(20), made.token(PROPOSE), if_match=etag)
    assert (proposed.status, proposed.json["proposed"], "etag" in proposed.headers) == (202, True, False)
    assert proposed.json["branch"].startswith("reconciler/propose/")
    assert made.file("reviews.yaml", proposed.json["branch"]) != made.file("reviews.yaml")
    asked = made.put(REVIEWS, split(20), made.token(WRITE), query="?propose=true", if_match=etag)
    assert asked.status == 202
    assert (made.tip().id, made.written) == (before, [])


def test_what_steers_the_daemon_takes_more(made: Premises) -> None:
    """A Mesh names addresses and files of the daemon's machine: who may only write has it merged by somebody."""
    mesh = (
        "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {guards: {maxWeightIncrease: 60}}\n"
    )
    path = "/v1/policies/Mesh/default/mesh"
    assert made.put(path, mesh, made.token(WRITE), if_none_match="*").code == "http-forbidden"
    assert made.put(path, mesh, made.token(WRITE), query="?dry_run=true", if_none_match="*").status == 200
    assert made.put(path, mesh, made.token(PROPOSE), if_none_match="*").status == 202
    assert made.put(path, mesh, made.token(WRITE, OPERATE), if_none_match="*").status == 201


@pytest.mark.parametrize(
    "path",
    [
        "VirtualService/default/..", "VirtualService/../../x", "VirtualService/default/%2e%2e%2f%2e%2e%2fx", "VirtualService/..%2f..%2fx/y",
        "VirtualService/default/x%00y", "VirtualService/default/%ff%fe", "VirtualService/default/caf%C3%A9", "VirtualService/default/Reviews",
        "VirtualService/DEFAULT/reviews", "virtualservice/default/reviews", "Pod/default/x", "../Mesh/default/mesh", "VirtualService/default/" + "x" * 5000,
        "VirtualService//reviews", "%56irtualService/default/reviews%20", "VirtualService/default/x%0d%0aSet-Cookie:%20a=b",
    ],
)  # fmt: skip
def test_names_that_are_none_lead_nowhere(still: Premises, path: str) -> None:
    """Whatever a path is made of, it is read as a name or not at all; the same name in other letters is another name."""
    token, before = still.token(READ, WRITE), still.tip().id
    reply = still.ask("GET", f"/v1/policies/{path}", token=token)
    assert (reply.status, "set-cookie" in reply.headers) == (404, False)
    name = path.rpartition("/")[2]
    body = split(20).replace("name: reviews", f"name: {json.dumps(name)}")
    assert still.put(f"/v1/policies/{path}", body, token, if_none_match="*").status in {400, 404, 422}
    assert still.tip().id == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * (1 << 20), 413), (split(10, comment="  # the only rule").encode() + b"# " + b"x" * 200_000 + b"\n", 200), (b"\xff\xfe", 400), (b"", 400),
        (b"a: &a [x,x]\n" + b"".join(b"b%d: &b%d [%s]\n" % (n, n, b",".join([b"*b%d" % (n - 1) if n else b"*a"] * 9)) for n in range(9)), 400),
        (b"[" * 60_000, 400), (b"{a: " * 60_000, 400), (split(20).encode() * 2, 400), (b"--- \n--- \n", 400), (b"!!python/object:os.system x", 400),
    ],
    ids=range(10),
)  # fmt: skip
def test_bodies_that_are_no_policy_cost_little(still: Premises, body: bytes, status: int) -> None:
    """Large ones, bombs, deep ones, several documents: an error of the client's, soon."""
    token = still.token(READ, WRITE)
    reply = still.ask(
        "PUT",
        f"{REVIEWS}?dry_run=true",
        token=token,
        body=body,
        if_match=still.etag(token),
        content_type="application/yaml",
    )
    assert reply.status == status


def test_policies_are_listed_by_pages(still: Premises) -> None:
    """In an order that pages can go on from, and filtered."""
    token = still.token(READ)
    every = still.ask("GET", "/v1/policies", token=token).json
    assert (every["commit"], every["next"], len(every["policies"])) == (still.tip().id, None, 6)
    paged: list[object] = []
    after: str | None = ""
    while after is not None:
        page = still.ask("GET", f"/v1/policies?limit=2&after={after}", token=token).json
        paged += page["policies"]
        after = page["next"]
    assert paged == every["policies"]
    assert [item["kind"] for item in still.ask("GET", "/v1/policies?kind=Proxy", token=token).json["policies"]] == [
        "Proxy"
    ]
    for query in ("limit=0", "limit=x", "kind=" + "x" * 300, "Kind=Proxy"):
        assert still.ask("GET", f"/v1/policies?{query}", token=token).status == 400


def test_a_daemon_that_cannot_sign_does_not_write_where_it_has_to(tmp_path: Path) -> None:
    """An unsigned head would not be applied, and what people sign on top of it would be held up by it."""
    with premises(tmp_path, trust=TrustSettings(allowed_signers=str(tmp_path / "signers"))) as made:
        token, before = made.token(READ, WRITE, OPERATE), made.tip().id
        reply = made.put(REVIEWS, split(20), token, if_match=made.etag(token))
        assert (reply.status, reply.code) == (409, "policy-refused")
        assert made.ask("POST", "/v1/rollouts/default/reviews/promote", token=token).status == 409
        assert made.tip().id == before
