from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from reconciler.daemon import JsonFormatter
from reconciler.web.webhooks import Delivery, Result, WebhookProofError
from tests.web.webhooks.world import (
    SECRET,
    Post,
    digest,
    gitea,
    github,
    gitlab,
    plain,
    push,
    receiving,
    request,
    signed,
)
from tests.web.world import connect, raw, said, until

FOREIGN = b"another secret"
KEY = bytes(range(32))
ENCODED = b"whsec_" + base64.b64encode(KEY)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with receiving(Post(tmp_path)) as found:
        yield found


def test_githubs_own_example_of_a_signature_holds(tmp_path: Path) -> None:
    """The documentation of GitHub gives a secret, a payload and the signature that has to come out."""
    post = Post(tmp_path)
    good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    hello = Delivery(headers={"x-hub-signature-256": [good], "x-github-event": ["ping"]}, body=b"Hello, World!")
    assert post.receiver.receive("github", hello) is Result.PING
    with pytest.raises(WebhookProofError):
        post.receiver.receive("github", Delivery(headers=hello.headers, body=b"Hello, World?"))


def test_a_push_to_the_policy_branch_wakes_whoever_sends_it(post: Post) -> None:
    """Each kind with its real proof; forms as GitHub may send them, a script without a body, and JSON that curl calls a form unasked."""
    curl = {"content-type": "application/x-www-form-urlencoded"}
    form = urlencode({"payload": push(after="3" * 40).decode()}).encode()
    hub = {"x-hub-signature-256": f"sha256={digest(push())}", "x-gitea-event": "push"}
    forgejo = {"x-forgejo-event": "push", "x-forgejo-signature": digest(push(after="4" * 40))}
    sent = [
        post.send("github", github(push()), push()),
        post.send("github", github(form) | curl, form),
        post.send("gitlab", gitlab(), push()),
        post.send("gitea", gitea(push(after="5" * 40)), push(after="5" * 40)),
        post.send("gitea", hub, push()),
        post.send("gitea", forgejo, push(after="4" * 40)),
        post.send("plain", plain(b"", post.now()), b""),
        post.send("plain", plain(push(), post.now()), push()),
        post.send("plain", plain(push(after="6" * 40), post.now()) | curl, push(after="6" * 40)),
    ]
    assert sent == [(202, "woken")] * len(sent)
    assert post.woken == len(sent)
    assert sum(post.counted.values()) == len(sent)


def test_gitlabs_signing_token_is_the_base64_of_its_key(post: Post) -> None:
    """As Standard Webhooks has it; several signatures may be sent, of which one has to hold."""
    post.files["gitlab"].write_bytes(ENCODED)
    good = signed(push(), post.now(), key=KEY)
    assert post.send("gitlab", good | {"webhook-signature": f"v1,abc {good['webhook-signature']}"}, push())[0] == 202
    for broken in (b"whsec_%%%", b"whsec_"):
        post.files["gitlab"].write_bytes(broken)
        forged = signed(push(), post.now(), key=b"", number="2")
        for signature in (forged["webhook-signature"], "v1,a  v1,b", "v1,"):  # two blanks have nothing between them
            sent = forged | {"webhook-signature": signature}
            assert post.send("gitlab", sent, push()) == (401, "webhook-proof")
    assert post.woken == 1


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("github", {}),
        ("github", github(push(), secret=FOREIGN)),
        ("github", github(b"another body")),
        ("github", github(push(), secret=b"")),
        ("github", {"x-github-event": "push", "x-hub-signature-256": digest(push())}),
        ("github", {"x-github-event": "push", "x-hub-signature-256": "sha256="}),
        ("github", {"x-github-event": "push", "x-hub-signature-256": "sha256=\xe9"}),
        ("gitlab", {"x-gitlab-event": "Push Hook"}),
        ("gitlab", gitlab("")),
        ("gitlab", gitlab(FOREIGN.decode())),
        ("gitlab", gitlab(SECRET.decode()[:-1])),
        ("gitlab", gitlab() | {"webhook-signature": "v1,AAAA"}),
        ("gitea", gitea(push(), secret=FOREIGN)),
        ("gitea", gitea(push(), secret=FOREIGN) | github(push())),
        ("plain", {}),
        ("plain", plain(push(), "1")),
        ("plain", plain(push(), "-1")),
        ("plain", plain(push(), "9" * 40)),
    ],
)
def test_what_is_not_proven_wakes_nobody(post: Post, kind: str, headers: dict[str, str]) -> None:
    """No proof, a foreign one, one of another body, half of one, and one that a better one beside it would not mend."""
    assert post.send(kind, headers, push()) == (401, "webhook-proof")
    assert (post.woken, post.counted) == (0, {(kind, Result.PROOF): 1})


def test_a_header_that_is_sent_twice_is_no_proof(post: Post) -> None:
    """Which of the two counts would be a guess, and proxies on the way guess otherwise."""
    sent = request("github", github(push()), push())
    twice = sent.replace(b"\r\n\r\n", b"\r\nX-Hub-Signature-256: sha256=00\r\n\r\n", 1)
    assert raw(post.address, twice)[0] == 401
    assert post.woken == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_what_was_signed_at_another_time_wakes_nobody(post: Post, hours: int) -> None:
    """A delivery that was kept is worth nothing after five minutes, wherever the sender signs its time; nor is one of the future."""
    stamp = post.now()
    post.files["gitlab"].write_bytes(ENCODED)
    post.clock.ahead = 3600.0 * hours
    assert post.send("plain", plain(push(), stamp), push()) == (401, "webhook-proof")
    assert post.send("gitlab", signed(push(), stamp, key=KEY), push()) == (401, "webhook-proof")
    assert post.woken == 0
    post.clock.ahead = 0.0
    assert post.send("gitlab", signed(push(), stamp, key=KEY), push()) == (202, "woken")


def test_a_replay_is_answered_and_wakes_nobody(post: Post) -> None:
    """A forge that sends again, as it got no answer, is not told of a failure. What is not signed, as GitHub's id, makes nothing new."""
    post.files["gitlab"].write_bytes(ENCODED)
    sent = [
        ("github", github(push()) | {"x-github-delivery": "1"}),
        ("gitea", gitea(push())),
        ("gitlab", signed(push(), post.now(), key=KEY)),
        ("plain", plain(push(), post.now())),
    ]
    for kind, headers in sent:
        assert post.send(kind, headers, push()) == (202, "woken")
        assert post.send(kind, headers | {"x-github-delivery": "2"}, push()) == (202, "replay")
    assert post.woken == len(sent)


@pytest.mark.parametrize(
    ("event", "changes", "result"),
    [
        ("ping", {}, "ping"),
        ("pull_request", {}, "event"),
        ("merge_group", {}, "event"),
        ("", {}, "event"),
        ("push", {"ref": "refs/heads/other"}, "branch"),
        ("push", {"ref": "refs/heads/reconciler/live"}, "branch"),
        ("push", {"ref": "refs/tags/main"}, "branch"),
        ("push", {"ref": ["refs/heads/main"]}, "branch"),
        ("push", {"after": "0" * 40}, "deleted"),
        ("push", {"after": "0" * 64, "deleted": True}, "deleted"),
    ],
)
def test_what_is_not_about_the_policy_branch_is_answered_and_wakes_nobody(
    post: Post, event: str, changes: dict[str, object], result: str
) -> None:
    """Wrong events, other branches and the record's; a branch that is gone asks for nothing, least of all for an empty fleet."""
    body = push(**changes)
    assert post.send("github", github(body, event=event), body) == (202, result)
    assert post.woken == 0


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"[" * 50_000, "application/json"),
        (b"\xff", "application/json"),
        (b"payload=%7B%7D&payload=%7B%7D", "application/x-www-form-urlencoded"),
        (b"&" * 50, "application/x-www-form-urlencoded"),
        (b"push=" + push(), "application/x-www-form-urlencoded"),
        (push()[:-1], "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_clear_refusal(post: Post, body: bytes, content: str) -> None:
    """Signed, and still no JSON, or deep beyond reason, or a form without its field: never a fault of ours."""
    assert post.send("github", github(body) | {"content-type": content}, body) == (400, "webhook-body")
    assert post.woken == 0


def test_a_secret_is_renewed_while_the_daemon_runs(post: Post) -> None:
    """Two lines are the old and the new secret; what is no longer in the file is worth nothing at once."""
    post.files["github"].write_bytes(SECRET + b"\r\n" + FOREIGN + b"\r\n")
    first, second, third = (push(after=letter * 40) for letter in "abc")
    assert post.send("github", github(first), first) == (202, "woken")
    assert post.send("github", github(second, secret=FOREIGN), second) == (202, "woken")
    post.files["github"].write_bytes(FOREIGN)
    assert post.send("github", github(third), third) == (401, "webhook-proof")
    assert post.send("github", github(third, secret=FOREIGN), third) == (202, "woken")


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"a\nb\nc\n", b"a" * 5000])
def test_without_a_secret_nobody_is_believed(post: Post, content: bytes | None) -> None:
    """A file that is missing, empty, or no file of a secret is a door that is shut; strangers don't learn where it is."""
    file = post.files["github"]
    file.unlink() if content is None else file.write_bytes(content)
    for secret in (b"", SECRET, b"a"):
        status, _, body = raw(post.address, request("github", github(push(), secret=secret), push()))
        assert (status, b"webhook-secret" in body, str(file).encode() in body) == (503, True, False)
    assert post.woken == 0


def test_a_kind_without_a_secret_is_not_served(tmp_path: Path) -> None:
    """There is nothing to be proven with."""
    post = Post(tmp_path)
    del post.receiver._secrets["plain"]
    with receiving(post):
        assert post.send("plain", plain(b"", post.now()), b"") == (404, "http-path")
        assert raw(post.address, b"GET /v1/webhooks/github HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")[0] == 405


def test_bodies_are_capped_before_they_are_hashed(post: Post) -> None:
    """GitHub's largest push is taken, what is larger is not read, and every other path keeps its small limit."""
    large = push(padding="x" * (2 << 20))
    assert post.send("github", github(large), large) == (202, "woken")
    for kind, path in (("plain", "webhooks/plain"), ("none", "webhooks/none"), ("none", "status")):
        told = request(kind, {}, b"").replace(f"webhooks/{kind}".encode(), path.encode())
        huge = told.replace(b"content-length: 0", b"content-length: 65537")
        assert raw(post.address, huge)[0] == 413
    huge = request("github", {}, b"").replace(b"content-length: 0", b"content-length: %d" % ((25 << 20) + 1))
    assert raw(post.address, huge)[0] == 413
    endless = request("plain", {}, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    assert raw(post.address, endless + b"10001\r\n" + b"x" * 0x10001)[0] == 413


def test_strangers_cannot_fill_the_memory_with_large_bodies(post: Post) -> None:
    """Four large ones are read at a time; hooks of the usual size are not kept out by them."""
    head = request("github", {}, b"").replace(b"content-length: 0", b"content-length: 1000000") + b"x" * 200_000
    plugs = [connect(post.address) for _ in range(6)]
    try:
        answers: list[int] = []
        gone = threading.Semaphore(0)

        def ask(number: int) -> None:
            plugs[number].sendall(head)
            answers.append(said(plugs[number])[0])
            gone.release()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            assert gone.acquire(timeout=20)
        assert answers == [503, 503]
        assert post.send("github", github(push()), push()) == (202, "woken")
        for plug in plugs:
            try:
                plug.shutdown(2)
            except OSError:
                continue  # it was answered, and is closed
        for thread in threads:
            thread.join(20)
        large = push(padding="x" * (1 << 20))
        until(lambda: post.send("github", github(large), large) == (202, "woken"))  # whoever goes makes room
    finally:
        for plug in plugs:
            plug.close()


def test_a_flood_of_bad_hooks_is_counted_and_hardly_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line at once, one a minute with how many there were; and no word of a stranger's in it."""
    post = Post(tmp_path)
    delivery = Delivery(headers={"x-hub-signature-256": ["sha256=\x1b[31m"]}, body=b"x")
    with caplog.at_level(logging.INFO):
        for second in range(61):
            post.clock.ahead = float(second)
            with pytest.raises(WebhookProofError):
                post.receiver.receive("github", delivery)
    assert len(caplog.messages) == 2
    assert "(59 more before)" in caplog.messages[1]
    assert "\x1b" not in caplog.text
    assert json.loads(JsonFormatter().format(caplog.records[0]))["code"] == "webhook-proof"
    assert post.counted == {("github", Result.PROOF): 61}


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    """A month of deliveries takes no more memory than a day's."""
    post = Post(tmp_path)
    for number in range(5000):
        headers = {name: [value] for name, value in gitlab(number=str(number)).items()}
        assert post.receiver.receive("gitlab", Delivery(headers=headers, body=push())) is Result.WOKEN
    assert len(post.receiver._seen) == 4096


def test_the_script_of_the_page_is_believed(post: Post, tmp_path: Path) -> None:
    """As it stands in docs/webhooks.md."""
    page = Path(__file__).parents[3] / "docs" / "webhooks.md"
    (script,) = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "reconciler.secret").write_bytes(SECRET + b"\n")
    environment = os.environ | {"DAEMON": f"http://{post.address}"}
    subprocess.run(["sh", "-euc", script], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=30)
    assert post.counted == {("plain", Result.WOKEN): 1}
