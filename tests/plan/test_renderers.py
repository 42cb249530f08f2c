from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.plan import Action, Cause, Change, FieldChange, Plan, ProxyPlan
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.plan import as_json, digest, render_markdown, render_text, subject_of, summary_line
from reconciler.plan.markdown import LIMIT

from .fleet import HOST, V1, V2, canary, cluster, move, plan, route, routes, turn
from .scenarios import EVIL, scenarios

GOLDEN = Path(__file__).parent / "golden"
RENDERED: Mapping[str, Callable[[Plan], str]] = {
    "txt": lambda made: render_text(made, color=False),
    "md": render_markdown,
    "json": lambda made: json.dumps(as_json(made), indent=2, ensure_ascii=False) + "\n",
}


@pytest.mark.parametrize("form", RENDERED)
@pytest.mark.parametrize("name", scenarios())
def test_plans_look_as_they_should(name: str, form: str) -> None:
    """Every renderer shows every scenario as its golden file has it.

    To accept new output: `UPDATE_GOLDEN=1 pytest tests/plan/test_renderers.py`, then read the diff.
    """
    path = GOLDEN / f"{name}.{form}"
    found = RENDERED[form](scenarios()[name])
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(found, encoding="utf-8", newline="")
    assert found == path.read_bytes().decode()


def test_every_golden_file_has_its_scenario() -> None:
    """A scenario that goes takes its files along."""
    wanted = {f"{name}.{form}" for name in scenarios() for form in RENDERED}
    assert {path.name for path in GOLDEN.iterdir()} == wanted


_text = st.text(max_size=30) | st.sampled_from([EVIL, "<script>", "a|b", "```", "\x1b]0;x\x07", "\r\n", "<!--", "&lt;"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_keys = st.builds(Key, _text, _text)
_diagnostics = st.builds(
    Diagnostic,
    code=_text,
    message=_text,
    hint=_text,
    severity=st.sampled_from(Severity),
    file=st.none() | _text,
    line=st.none() | st.integers(1, 99),
    column=st.none() | st.integers(1, 99),
)
_changes = st.builds(
    Change,
    id=st.builds(ResourceId, st.sampled_from(ResourceType), _text),
    action=st.sampled_from(Action),
    cause=st.sampled_from(Cause),
    fields=st.lists(st.builds(FieldChange, _text, _json, _json), max_size=2).map(tuple),
)
_moves = st.builds(
    lambda name, host, before, after: turn(
        [routes(route({V1: 100 - before, name: before}, name=name), host=host)],
        [routes(route({V1: 100 - after, name: after}, name=name), host=host)],
        name=name,
    ),
    _text.map(lambda text: text.encode("utf-8", "replace").decode() or "x"),
    _text.map(lambda text: text.encode("utf-8", "replace").decode()),
    st.integers(0, 100),
    st.integers(0, 100),
)
_proxies = _moves | st.builds(
    ProxyPlan,
    proxy=_keys,
    changes=st.lists(_changes, max_size=3).map(tuple),
    live=st.integers(0, 99),
    unchanged=st.integers(0, 99),
    error=st.none() | _diagnostics,
    notes=st.lists(_diagnostics, max_size=1).map(tuple),
)
_plans = st.builds(
    Plan,
    commit=_text,
    proxies=st.lists(_proxies, max_size=3).map(tuple),
    refused=st.lists(_diagnostics, max_size=2).map(tuple),
    warnings=st.lists(_diagnostics, max_size=2).map(tuple),
)
_TAGS = re.compile(r"</?(?:code|details|summary)>")


@settings(deadline=None, max_examples=150)
@given(_plans)
def test_nothing_from_data_steers_a_terminal(made: Plan) -> None:
    """Text holds no control characters but its own line breaks, whatever the names and values are."""
    text = render_text(made, color=False)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert text.endswith(f"\n{summary_line(made)}\n") or text == f"{summary_line(made)}\n"
    assert "\n" not in subject_of(made)
    assert re.sub(r"\x1b\[[0-9]+m", "", render_text(made, color=True)) == text


@settings(deadline=None, max_examples=150)
@given(_plans)
def test_nothing_from_data_becomes_markup(made: Plan) -> None:
    """Markdown that any parser reads as ours: our tags only, one table, folds that close, the digest in the last line."""
    text = render_markdown(made)
    assert len(text) <= LIMIT
    assert "<" not in _TAGS.sub("", text)
    assert text.count("<details>") == text.count("</details>")
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in tokens} <= {
        "paragraph_open", "paragraph_close", "inline", "html_block", "fence", "table_open", "table_close", "thead_open",
        "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close",
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip
    assert {child.type for child in inline} <= {
        "text", "text_special", "html_inline", "strong_open", "strong_close", "code_inline",
    }  # fmt: skip
    # The only inline code with backticks is the command in our own note of what was left out.
    assert all(child.content == "reconcile --dry-run" for child in inline if child.type == "code_inline")
    assert sum(token.type == "fence" for token in tokens) == text.count("<details>")
    *_, last, empty = text.split("\n")
    assert (digest(made) in last, empty) == (True, "")


@settings(deadline=None)
@given(_plans)
def test_json_is_json_and_deterministic(made: Plan) -> None:
    """Any plan is one JSON document, the same each time."""
    text = json.dumps(as_json(made), allow_nan=False)
    assert json.loads(text) == as_json(made)
    assert json.dumps(as_json(made)) == text


def test_json_has_the_contracts_shape() -> None:
    """The keys that scripts rely on, at every level."""
    document = as_json(scenarios()["everything"])
    assert set(document) == {
        "schema_version", "commit", "digest", "summary", "proxies", "refused", "errors", "warnings",
    }  # fmt: skip
    assert document["schema_version"] == 1
    assert document["summary"] == {"create": 4, "update": 8, "delete": 4, "unchanged": 5, "unreachable": 1}
    proxies = {proxy["proxy"]: proxy for proxy in document["proxies"]}
    assert [name for name, proxy in proxies.items() if not proxy["reachable"]] == ["default/ratings-v1"]
    change = proxies["edge/gateway"]["changes"][1]
    assert set(change) == {"type", "name", "action", "cause", "fields"}
    assert (change["type"], change["cause"]) == ("route", "drift")
    path = f"virtual_hosts[{HOST}:9080].routes[primary].weighted_clusters[v1].weight"
    assert change["fields"][0] == {"path": path, "old": 60, "new": 95}
    (error,) = document["errors"]
    assert error["message"].startswith("default/ratings-v1: ")
    assert {type(item) for item in _leaves(document)} <= {str, int, bool, float, type(None)}


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


def test_mentions_references_and_links_are_taken_apart() -> None:
    """A name may look like a person, an issue or an address; outside code it must not become one."""
    said = Diagnostic(code="x", message="@everyone see #1 at https://example.com `@x`")
    line = next(line for line in render_markdown(plan(refused=(said,))).splitlines() if "everyone" in line)
    assert line == (
        "- **error** <code>x</code> @&#8203;everyone see #&#8203;1 at https&#58;//example.com <code>@x</code>"
    )


def test_colors_are_only_colors() -> None:
    """Symbols are colored as in Terraform, and only on request."""
    made = plan(turn([canary(5), cluster("a")], [canary(6), cluster("b")]))
    assert "\x1b" not in render_text(made, color=False)
    text = render_text(made, color=True)
    assert "\x1b[32m  + cluster b (change)\x1b[0m" in text
    assert "\x1b[31m  - cluster a (change)\x1b[0m" in text
    assert "\x1b[33m  ~ route 9080 (change)\x1b[0m" in text


def test_what_is_the_same_on_many_proxies_is_printed_once() -> None:
    """Equal changes are one block with all names, also where proxies differ in other resources."""
    names = [f"p{index}" for index in range(20)]
    made = plan(*(turn([canary(5)], [canary(6), cluster(f"own-{name}")], name=name) for name in names))
    text = render_text(made, color=False)
    assert text.count("route 9080") == 1
    assert text.startswith("on 20 proxies: p0, p1, p10, ")
    assert text.count("+ cluster own-") == 20


def _huge(proxies: int) -> Plan:
    return plan(
        *(turn([], [cluster(f"{'c' * 100}-{index}-{number}") for number in range(20)], name=f"p{index:04}")
          for index in range(proxies))
    )  # fmt: skip


def test_a_comment_that_would_be_too_long_drops_whole_details_from_the_end() -> None:
    """The verdict and the last line stay; the rest says how much is missing."""
    made = _huge(200)
    text = render_markdown(made)
    assert 40_000 < len(text) <= LIMIT
    shown, left = text.count("<details>"), re.search(r"^(\d+) details left out", text, re.MULTILINE)
    assert left is not None
    assert shown + int(left[1]) == 200
    assert "on p0000</summary>" in text
    assert text.startswith("**4000 to create, 0 to update, 0 to delete** on 200 of 200 proxies.\n")
    assert text.rstrip().endswith("policy commit <code>c0ffee</code>.")


def test_moves_and_messages_that_are_too_many_are_counted() -> None:
    """No part of a comment can push out the others."""
    said = tuple(Diagnostic(code="x", message=f"{index} {'&' * 500}") for index in range(100))
    fleet = [turn([canary(1)], [canary(2 + index % 90)], name=f"{'n' * 100}{index:04}") for index in range(500)]
    made = replace(plan(*fleet), refused=said)
    text = render_markdown(made)
    assert len(text) <= LIMIT
    assert re.search(r"^\d+ moves left out", text, re.MULTILINE)
    assert re.search(r"^- \d+ messages left out", text, re.MULTILINE)
    assert text.startswith("**Refused**")
    assert "<details>" in text


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (plan(), "**No changes**: 0 proxies up to date."),
        (scenarios()["nothing"], "**No changes**: 1 proxy up to date."),
        (move(canary(5), canary(25), "a", "b"), "**reviews v2 5% -&gt; 25%** on 2 of 2 proxies."),
        (
            plan(ProxyPlan(proxy=Key("a", "b"), error=Diagnostic(code="x", message="x"))),
            "**No changes**: 0 proxies up to date; 1 proxy unreachable.",
        ),
    ],
)
def test_the_first_line_is_the_verdict(made: Plan, verdict: str) -> None:
    """One sentence, before anything else."""
    assert render_markdown(made).splitlines()[0] == verdict


def test_the_last_line_names_the_commit_or_says_that_there_is_none() -> None:
    """A stale comment can be told from a fresh one."""
    made = move(canary(5), canary(25))
    assert render_markdown(made).splitlines()[-1].endswith("policy commit <code>c0ffee</code>.")
    assert render_markdown(replace(made, commit="")).splitlines()[-1].endswith("files that are not committed.")


def test_the_table_shows_each_move_with_its_proxies() -> None:
    """Route, destination, before, after, where."""
    text = render_markdown(move(canary(5), canary(25), "a", "b"))
    assert "| <code>reviews primary</code> | <code>v2</code> | 5% | 25% | 2 proxies: a, b |" in text
    assert V2 not in text
