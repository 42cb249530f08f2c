"""A preview as the comment of a pull request: the verdict in one sentence, where traffic goes, what is wrong, details folded.

Everything that comes from the pull request is escaped: it can't become markup, a mention, a reference, a command to the forge or the
mark by which our own comment is found. Nothing here fails because of size: details go first, verdicts never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.plan.escaping import code, escape_markdown, fenced, fitting
from reconciler.plan.review.values import Detail, Neighbour, Remark, Review, RouteChange, Verdict
from reconciler.plan.words import count, listed, percent, shorten, visible

LIMIT = 60_000
"""Code points of a comment. Forges differ; this fits all that are spoken to, with room for the mark they add."""

_RESERVE = 2_000
_ROUTES, _REFUSED, _REMARKS, _NEIGHBOURS = 14_000, 8_000, 14_000, 4_000
_MESSAGE = 500
_PROXIES = 6
_SHARES = 6
_FILES = 3
_SHORT = 10
_TITLE = 80
_UNSIGNED = "Nobody who may has signed its head, so that acknowledges nothing."


def _nowhere(_file: str, _line: int | None) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the forge knows, and no preview says of itself.

    Attributes:
        link: The address of a file at the head commit, at a line; "" for none. Has to be safe inside `(` and `)`.
        full: Where the full plan is, an address likewise; "" for nowhere.
        neighbours: Other open pull requests that change the same routes; None if nobody was asked.
    """

    link: Callable[[str, int | None], str] = _nowhere
    full: str = ""
    neighbours: tuple[Neighbour, ...] | None = None


def render_review(review: Review, around: Surroundings) -> str:
    """The comment, at most `LIMIT` code points long."""
    head = [_verdict(review) + (f" {_UNSIGNED}" if review.unsigned else ""), ""]
    head += _routes(review)
    head += [
        f"Asked of the daemon, on the live fleet: {escape_markdown(shorten(visible(review.live), _MESSAGE))}.",
        "",
    ] * bool(review.live)
    head += _refusals(review, around)
    head += _conflicts(review)
    head += _remarks(review, around)
    head += _neighbours(around)
    tail = _last_line(review)
    room = LIMIT - _RESERVE - sum(len(line) + 1 for line in head) - len(tail)
    details = [_detail(item) for item in review.details]
    kept = fitting(details, room)
    head += [line for detail in kept for line in (detail, "")]
    if len(kept) < len(details):
        head += [_left_out(len(details) - len(kept), "detail", around), ""]
    return "\n".join([*head, tail]) + "\n"


def _verdict(review: Review) -> str:
    errors = count(sum(item.error for item in review.remarks), "error")
    into = f"into {code(review.base_ref)}" if review.base_ref else ""
    match review.verdict:
        case Verdict.FAILED:
            return "**The preview could not be computed**, so nobody knows yet what merging this would change."
        case Verdict.CONFLICT:
            return f"**This conflicts with {code(review.base_ref)}** in {count(len(review.conflicts), 'policy file')}."
        case Verdict.INVALID:
            return f"**Merging this {into} gives policies that can't be applied**: {errors}."
        case Verdict.REFUSED:
            return f"**Refused by a guard**: merging this {into} would change {_what(review)}."
        case Verdict.NOTHING:
            return f"**No changes**: merging this {into} leaves all {count(review.proxies, 'proxy')} as they are."
        case Verdict.CHANGES:
            return f"**Merging this {into} changes {_what(review)}.**"


def _what(review: Review) -> str:
    where = f"on {review.touched} of {count(review.proxies, 'proxy')}"
    if review.headline:
        return f"{escape_markdown(review.headline.replace(' -> ', ' → '))} {where}"
    numbers = f"{review.create} to create, {review.update} to update, {review.delete} to delete"
    return f"configuration {where}: {review.traffic or 'no traffic moves'} ({numbers})"


def _routes(review: Review) -> list[str]:
    if not review.routes:
        return []
    head = ["| host | route | share of traffic | moves | proxies |", "|---|---|---|---:|---|"]
    rows = [_row(item) for item in review.routes]
    kept = fitting(rows, _ROUTES)
    rest = [f"{count(len(rows) - len(kept), 'more route')} not shown.", ""] if len(kept) < len(rows) else []
    return [*head, *kept, "", *rest]


def _row(item: RouteChange) -> str:
    route = item.route if item.service in item.host else f"{item.service} {item.route}"
    cells = (code(item.host) if item.host else "", code(route), _shares(item),
             escape_markdown(percent(item.moved)) if item.kind == "moved" else item.kind, _proxies(item.proxies))  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _shares(item: RouteChange) -> str:
    parts = [
        _share(item.kind, *part) for part in ((share.destination, share.before, share.after) for share in item.shares)
    ]
    more = [f"and {len(parts) - _SHARES} more"] if len(parts) > _SHARES else []
    return "<br>".join([*parts[:_SHARES], *more])


def _share(kind: str, destination: str, before: float, after: float) -> str:
    if kind != "moved":
        return f"{code(destination)} {escape_markdown(percent(before if kind == 'gone' else after))}"
    arrow = f"{escape_markdown(percent(before))} → {escape_markdown(percent(after))}"
    return f"{code(destination)} {arrow if before == after else f'**{arrow}**'}"


def _proxies(names: Sequence[str]) -> str:
    shown = listed([code(name) for name in names], _PROXIES)
    return shown if len(names) == 1 else f"{len(names)}: {shown}"


def _refusals(review: Review, around: Surroundings) -> list[str]:
    """Every guard that objects, what it says as far as there is room, and the words that acknowledge it."""
    if not review.refused:
        return []
    by_code: dict[str, list[Remark]] = {}
    for item in review.refused:
        by_code.setdefault(item.diagnostic.code, []).append(item)
    lines: list[str] = []
    for found in by_code.values():
        said = [_remark(item, around, hint=False) for item in found]
        kept = fitting(said, _REFUSED // len(by_code)) or said[:1]
        rest = [f"- {count(len(said) - len(kept), 'more objection')} of this guard"] if len(kept) < len(said) else []
        lines += [*kept, *rest]
    trailers = [f"Reconcile-Allow: {name}" for name in by_code]
    how = (
        "If this is meant, end the message of any commit of this pull request with the line below, in a paragraph of its own "
        "(`git commit --allow-empty` makes a commit that is nothing but its message). A squash keeps it only if the message of "
        "the squashed commit ends with it, too: put it there when you merge."
    )
    return [*lines, "", how, "", fenced(trailers), ""]


def _conflicts(review: Review) -> list[str]:
    if not review.conflicts:
        return []
    named = fitting([f"- {code(path)}" for path in review.conflicts], _REMARKS)
    rest = [f"- {count(len(review.conflicts) - len(named), 'more file')}"] if len(named) < len(review.conflicts) else []
    how = f"Merge {code(review.base_ref)} into the branch, or rebase it, and resolve them there."
    return [*named, *rest, "", how, ""]


def _remarks(review: Review, around: Surroundings) -> list[str]:
    said = [_remark(item, around) for item in review.remarks if not item.before or item.error]
    old = [_remark(item, around) for item in review.remarks if item.before and not item.error]
    kept = fitting(said, _REMARKS)
    rest = [f"- {_left_out(len(said) - len(kept), 'message', around)}"] if len(kept) < len(said) else []
    lines = [*kept, *rest, ""] if said else []
    if old:
        shown = fitting(old, _NEIGHBOURS)
        more = [f"- {count(len(old) - len(shown), 'more warning')}"] if len(shown) < len(old) else []
        title = f"{count(len(old), 'warning')} that the branch has already"
        lines += [f"<details><summary>{title}</summary>", "", *shown, *more, "", "</details>", ""]
    return lines


def _remark(item: Remark, around: Surroundings, *, hint: bool = True) -> str:
    found = item.diagnostic
    place = f"{_place(item, around)}: " if found.place else ""
    where = f", on {_proxies(item.proxies)}" if item.proxies else ""
    advice = f"; {escape_markdown(shorten(visible(found.hint), _MESSAGE))}" if hint and found.hint else ""
    message = escape_markdown(shorten(visible(found.message), _MESSAGE))
    return f"- **{found.severity}** {code(found.code)} {place}{message}{where}{advice}"


def _place(item: Remark, around: Surroundings) -> str:
    found = item.diagnostic
    url = around.link(found.file, found.line) if found.file else ""
    return f"[{code(found.place)}]({url})" if url else code(found.place)


def _neighbours(around: Surroundings) -> list[str]:
    if not around.neighbours:
        return []
    rows = [_neighbour(item) for item in around.neighbours]
    kept = fitting(rows, _NEIGHBOURS)
    rest = [f"- {count(len(rows) - len(kept), 'more pull request')}"] if len(kept) < len(rows) else []
    return ["Other open pull requests change the same routes; whichever is merged second has to be previewed again:", "",
            *kept, *rest, ""]  # fmt: skip


def _neighbour(item: Neighbour) -> str:
    title = escape_markdown(shorten(visible(item.title), _TITLE))
    own = ", a step of a rollout that the reconciler proposes" if item.own else ""
    link = f"[{title} ({item.number})]({item.url})" if item.url else f"{title} ({item.number})"
    return f"- {link}{own}: {listed([code(path) for path in item.files], _FILES)}"


def _detail(item: Detail) -> str:
    title = f"{count(item.changes, 'change')} on {_proxies(item.proxies)}"
    return f"<details><summary>{title}</summary>\n\n{fenced(item.lines)}\n\n</details>"


def _last_line(review: Review) -> str:
    parts = [f"base {code(review.base[:_SHORT])}" if review.base else "", f"head {code(review.head[:_SHORT])}",
             f"plan digest {code(review.digest)}" if review.digest else "",
             f"accepted by Envoy {escape_markdown(review.envoy)}" if review.envoy else "",
             f"envoy-reconciler {escape_markdown(review.version)}"]  # fmt: skip
    return f"<sub>{' · '.join(part for part in parts if part)}</sub>"


def _left_out(amount: int, noun: str, around: Surroundings) -> str:
    where = f"[the full plan]({around.full})" if around.full else "`reconcile ci preview`"
    verb = "is" if amount == 1 else "are"
    return f"{count(amount, noun)} {verb} left out to keep this short; {where} has everything."
