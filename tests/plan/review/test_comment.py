"""Whatever stands in policies and branches, the comment stays ours: no markup, no mention, no command, never too long."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.errors import Diagnostic, Severity
from reconciler.plan.review import (
    Detail,
    DocumentError,
    Neighbour,
    Remark,
    Review,
    RouteChange,
    Share,
    Surroundings,
    Verdict,
    as_document,
    from_document,
    render_review,
)
from reconciler.plan.review.comment import LIMIT
from tests.plan.scenarios import EVIL

HEAD = "a" * 40
_nasty = st.text(max_size=40) | st.sampled_from(
    [
        EVIL, "/close", "\n/merge\n", "<!-- reconciler -->", "@all", "a#1", "www.evil.example", "](https://evil.example)",
        "``````\n</details>", "::error::x", "|", "\r\n\r\n# Head", "javascript:alert(1)", "\x00", "\ud800",
    ]
)  # fmt: skip
_names = st.lists(_nasty, max_size=3).map(tuple)
_diagnostics = st.builds(
    Diagnostic,
    code=_nasty,
    message=_nasty,
    hint=_nasty,
    severity=st.sampled_from(Severity),
    file=st.none() | _nasty,
    line=st.none() | st.integers(1, 99),
)
_remarks = st.lists(st.builds(Remark, diagnostic=_diagnostics, proxies=_names, before=st.booleans()), max_size=3).map(
    tuple
)
_percent = st.floats(0, 100)
_routes = st.builds(
    RouteChange,
    kind=st.sampled_from(["moved", "new", "gone"]),
    host=_nasty,
    service=_nasty,
    route=_nasty,
    shares=st.lists(st.builds(Share, _nasty, _percent, _percent), max_size=3).map(tuple),
    proxies=_names,
)
_reviews = st.builds(
    Review,
    verdict=st.sampled_from(Verdict),
    base_ref=_nasty,
    base=st.just("b" * 40) | st.just(""),
    head=st.just(HEAD),
    headline=_nasty,
    routes=st.lists(_routes, max_size=3).map(tuple),
    refused=_remarks,
    remarks=_remarks,
    conflicts=_names,
    details=st.lists(st.builds(Detail, proxies=_names, changes=st.integers(0, 9), lines=_names), max_size=2).map(tuple),
    files=_names,
    digest=st.just("c" * 64) | st.just(""),
    envoy=_nasty,
    version=_nasty,
    live=_nasty,
    unsigned=st.booleans(),
)
_around = st.builds(
    Surroundings,
    full=st.just("") | st.just("https://example.com/job/1"),
    neighbours=st.none()
    | st.lists(
        st.builds(
            Neighbour, number=st.integers(1, 9), title=_nasty, url=st.just("https://example.com/1"), files=_names
        ),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(review=_reviews, around=_around)
def test_nothing_of_others_is_more_than_text(review: Review, around: Surroundings) -> None:
    """Rendered, there are no tags, links, headings, mentions or commands but our own, and every fold and fence is closed."""
    body = render_review(review, around)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(body)
    inline = [child for token in tokens for child in token.children or ()]
    tags = {token.content for token in inline if token.type == "html_inline"}
    assert tags <= {"<code>", "</code>", "<br>", "<sub>", "</sub>"}
    blocks = {line for token in tokens if token.type == "html_block" for line in token.content.split("\n")}
    assert all(re.fullmatch(r"(<details><summary>.*</summary>|</details>)?", line) for line in blocks)
    assert body.count("<details>") == body.count("</details>")
    assert {token.attrGet("href") for token in inline if token.type == "link_open"} <= {
        "https://example.com/job/1", "https://example.com/1",
    }  # fmt: skip
    assert not {token.type for token in tokens} & {"heading_open", "blockquote_open", "hr"}
    assert "<!--" not in body
    assert not any(line.startswith("/") for line in body.split("\n"))
    outside = re.sub(r"<code>.*?</code>", "", re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", body))
    assert not re.search(r"[@#](?!&#8203;)(?![0-9]+;)\w", outside.replace("&#", "&"))
    assert body.isascii() or body.encode("utf-8")


@settings(max_examples=60, deadline=None)
@given(review=_reviews)
def test_a_document_carries_a_preview_from_job_to_job(review: Review) -> None:
    """What is read is what was written."""
    assert from_document(json.loads(json.dumps(as_document(review)))) == review


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("gone",), "configuration on 2 of 7 proxies: 1 route is gone (2 to create, 1 to update, 3 to delete).**"),
        (("moved",) * 3, "configuration on 2 of 7 proxies: traffic moves on 3 routes (2"),
        (("new", "moved", "gone", "new", "gone"), ": 2 routes are gone, traffic moves on 1 route, 2 routes are new (2"),
        ((), "configuration on 2 of 7 proxies: no traffic moves (2 to create"),
    ],
)
def test_the_first_sentence_says_what_becomes_of_routes(kinds: tuple[str, ...], words: str) -> None:
    """Resources that are created and deleted say nothing to a reviewer of the one thing that ends requests: a route that goes."""
    routes = tuple(
        RouteChange(kind=kind, host="h", service="s", route="r", shares=(), proxies=("p",)) for kind in kinds
    )
    review = Review(
        verdict=Verdict.CHANGES, base_ref="main", base=HEAD, head=HEAD, routes=routes,
        create=2, update=1, delete=3, touched=2, proxies=7,
    )  # fmt: skip
    assert words in render_review(review, Surroundings()).splitlines()[0]


def big(amount: int) -> Review:
    """A preview of everything, too often."""
    remark = Remark(diagnostic=Diagnostic(code="weights-sum", message="m" * 2_000, file="policies/a.yaml", line=3))
    guards = [
        replace(remark.diagnostic, code=f"guard-{number % 5}", message=f"{number} " + "x" * 900)
        for number in range(amount)
    ]
    route = RouteChange(
        kind="moved",
        host="h" * 300,
        service="s",
        route="r",
        shares=(Share("v1", 1.0, 2.0),) * 40,
        proxies=("p" * 300,) * 90,
    )
    return Review(
        verdict=Verdict.REFUSED,
        base_ref="main",
        base=HEAD,
        head=HEAD,
        routes=(route,) * amount,
        refused=tuple(Remark(diagnostic=item) for item in guards),
        remarks=(remark,) * amount,
        conflicts=("policies/" + "c" * 90,) * amount,
        details=(Detail(proxies=("p",) * 90, changes=3, lines=("~ " + "y" * 110,) * 80),) * amount,
        digest="d" * 64,
        version="1",
    )


def test_a_plan_that_is_too_long_loses_details_and_never_a_verdict() -> None:
    """Every guard that objects is named, and how much is missing is said, with where it is."""
    neighbours = (Neighbour(number=4, title="t" * 500, url="https://example.com/4", files=("f" * 500,) * 9),) * 500
    body = render_review(big(500), Surroundings(full="https://example.com/job/1", neighbours=neighbours))
    assert len(body) <= LIMIT
    assert body.startswith("**Refused by a guard**")
    for number in range(5):
        assert f"<code>guard-{number}</code>" in body
        assert f"Reconcile-Allow: guard-{number}\n" in body
    assert re.search(
        r"\d+ details are left out to keep this short; \[the full plan\]\(https://example.com/job/1\)", body
    )
    assert re.search(r"\d+ more objections of this guard", body)
    assert "d" * 64 in body.splitlines()[-1]
    small = render_review(big(1), Surroundings())
    assert "left out" not in small


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema_version", 2), ("verdict", "fine"), ("head", "main"), ("head", None), ("base", "zz"), ("digest", "<b>"),
        ("create", -1), ("create", True), ("create", 1e9), ("routes", {}), ("routes", [1]), ("files", [1]), ("headline", 1),
        ("headline", "x" * 200_000), ("remarks", [{}]), ("remarks", [{"diagnostic": {"code": 1}}]),
        ("routes", [{"kind": "evil", "host": "", "service": "", "route": "", "shares": [], "proxies": []}]),
        ("routes", [{"kind": "new", "host": "", "service": "", "route": "", "shares":
                     [{"destination": "", "before": float("nan"), "after": 1}], "proxies": []}]),
    ],
)  # fmt: skip
def test_a_document_of_another_form_is_refused(name: str, value: object) -> None:
    """It may come from anybody: what is not exactly what is written is not used."""
    with pytest.raises(DocumentError):
        from_document(as_document(big(1)) | {name: value})


def test_what_is_no_document_is_refused() -> None:
    """A list, a text, nothing."""
    values: tuple[object, ...] = ([], "x", None, 3)
    for value in values:
        with pytest.raises(DocumentError):
            from_document(value)
