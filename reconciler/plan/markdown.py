"""A plan as the comment of a pull request: the verdict, what moves, what is wrong, and the details folded away.

Everything that comes from policies or proxies is escaped: it can't become markup, a mention or a link to an issue.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.plan import Plan
from reconciler.plan.digest import digest
from reconciler.plan.escaping import code, escape_markdown, fenced, fitting
from reconciler.plan.groups import Group, fleet_moves, groups, said
from reconciler.plan.splits import Move
from reconciler.plan.summary import counts, move_subject
from reconciler.plan.text import change_lines
from reconciler.plan.words import count, percent, shorten, show_proxies, visible

LIMIT = 60_000
"""Code points of a comment. Forges differ (GitHub's pull-request bodies stop at 65,536); this fits all of them."""

_SECTION = 18_000
_RESERVE = 1_000
_MESSAGE = 600
_PROXIES = 8


def render_markdown(plan: Plan) -> str:
    """The comment, at most `LIMIT` code points long; the last line has the digest and the commit.

    Where it would be longer, rows, messages and whole details are dropped from the end, and it says how many. The verdict
    and the last line are always there.
    """
    table = _table(fleet_moves(plan))
    messages = _section([diagnostic_markdown(item, proxies) for item, proxies in _messages(plan)], "message")
    head = [_verdict(plan), "", *table, *messages]
    tail = _last_line(plan)
    room = LIMIT - _RESERVE - sum(len(line) + 1 for line in head) - len(tail)
    details = [_detail(group) for group in groups(plan)]
    kept = fitting(details, room)
    head += [line for detail in kept for line in (detail, "")]
    if len(kept) < len(details):
        head += [_left_out(len(details) - len(kept), "detail"), ""]
    return "\n".join([*head, tail]) + "\n"


def _verdict(plan: Plan) -> str:
    found = counts(plan)
    total = len(plan.proxies)
    down = f"; {count(found.unreachable, 'proxy')} unreachable" if found.unreachable else ""
    touched = f"{sum(bool(proxy.changes) for proxy in plan.proxies)} of {count(total, 'proxy')}"
    if plan.refused:
        return f"**Refused**: the guards object to this plan, which would change {touched}{down}."
    if plan.empty:
        return f"**No changes**: {count(total - found.unreachable, 'proxy')} up to date{down}."
    move = move_subject(plan)
    if move:
        return f"**{escape_markdown(move)}** on {touched}{down}."
    numbers = f"{found.create} to create, {found.update} to update, {found.delete} to delete"
    return f"**{numbers}** on {touched}{down}."


def _table(moved: dict[Move, tuple[Key, ...]]) -> list[str]:
    if not moved:
        return []
    rows = [
        "| " + " | ".join((code(f"{move.service} {move.route}"), code(move.destination),
                           escape_markdown(percent(move.before)), escape_markdown(percent(move.after)),
                           escape_markdown(show_proxies(proxies, _PROXIES)))) + " |"
        for move, proxies in moved.items()
    ]  # fmt: skip
    head = ["| route | destination | before | after | proxies |", "|---|---|---:|---:|---|"]
    kept = fitting(rows, _SECTION)
    rest = [_left_out(len(rows) - len(kept), "move"), ""] if len(kept) < len(rows) else []
    return [*head, *kept, "", *rest]


def _messages(plan: Plan) -> list[tuple[Diagnostic, tuple[Key, ...]]]:
    down = [(proxy.error, (proxy.proxy,)) for proxy in plan.proxies if proxy.error is not None]
    rest = said(plan)
    refused = [pair for pair in rest if pair[0] in plan.refused]
    return [*refused, *down, *(pair for pair in rest if pair not in refused)]


def diagnostic_markdown(item: Diagnostic, proxies: Sequence[Key] = ()) -> str:
    """A message as one item of a list, with what to do about it and the proxies that it is about."""
    place = f"{code(item.place)}: " if item.place else ""
    where = f", on {escape_markdown(show_proxies(proxies, _PROXIES))}" if proxies else ""
    hint = f"; {escape_markdown(shorten(visible(item.hint), _MESSAGE))}" if item.hint else ""
    message = escape_markdown(shorten(visible(item.message), _MESSAGE))
    return f"- **{item.severity}** {code(item.code)} {place}{message}{where}{hint}"


def _section(lines: Sequence[str], noun: str) -> list[str]:
    kept = fitting(lines, _SECTION)
    rest = [f"- {_left_out(len(lines) - len(kept), noun)}"] if len(kept) < len(lines) else []
    return [*kept, *rest, ""] if lines else []


def _detail(group: Group) -> str:
    title = f"{count(len(group.changes), 'change')} on {escape_markdown(show_proxies(group.proxies, _PROXIES))}"
    return f"<details><summary>{title}</summary>\n\n{fenced(tuple(change_lines(group.changes)))}\n\n</details>"


def _last_line(plan: Plan) -> str:
    commit = f"policy commit {code(plan.commit)}" if plan.commit else "files that are not committed"
    return f"Plan digest {code(digest(plan))}, {commit}."


def _left_out(amount: int, noun: str) -> str:
    return f"{count(amount, noun)} left out to keep this short; `reconcile --dry-run` shows everything."
