"""From a plan that has been judged to what reviewers are told of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from reconciler.errors import Diagnostic
from reconciler.model.plan import Plan
from reconciler.plan.digest import digest
from reconciler.plan.groups import groups, said
from reconciler.plan.review.traffic import route_changes
from reconciler.plan.review.values import Detail, Remark, Review, Verdict
from reconciler.plan.summary import counts, move_subject
from reconciler.plan.text import change_lines


def review_of(
    plan: Plan | None,
    *,
    errors: Sequence[Diagnostic] = (),
    doubts: Sequence[Diagnostic] = (),
    known: Collection[Diagnostic] = (),
    place: Callable[[Diagnostic], Diagnostic] = lambda item: item,
    base_ref: str,
    base: str,
    head: str,
    files: Sequence[str] = (),
    envoy: str = "",
    version: str = "",
    failed: bool = False,
) -> Review:
    """What reviewers are told.

    Args:
        plan: What merging would do, judged by the guards; None if there can't be one.
        errors: Why, or what else is wrong; any makes the verdict INVALID, or FAILED; a plan is shown all the same.
        doubts: Warnings about the preview itself.
        known: What is said of the base as well.
        place: Gives a message the line that it has at the head.
        base_ref: Name of the branch that is merged into.
        base: Its commit.
        head: The commit that is merged.
        files: Policy files that are touched.
        envoy: Version of the Envoy that was asked.
        version: Of this reconciler.
        failed: Whether errors are nobody's fault who opened the pull request.
    """
    named = [(item, tuple(key.short() for key in keys)) for item, keys in (said(plan) if plan is not None else ())]
    before = {_saying(item) for item in known}
    refused = plan.refused if plan is not None else ()
    remarks = [
        Remark(diagnostic=place(item), proxies=proxies, before=_saying(item) in before)
        for item, proxies in [*((item, ()) for item in (*errors, *doubts)), *named]
        if item not in refused
    ]
    review = Review(
        verdict=Verdict.FAILED if failed else Verdict.INVALID,
        base_ref=base_ref,
        base=base,
        head=head,
        remarks=tuple(sorted(remarks, key=lambda item: (not item.error, item.before))),
        files=tuple(files),
        envoy=envoy,
        version=version,
    )
    return review if plan is None else _planned(review, plan, usable=not errors)


def _planned(review: Review, plan: Plan, *, usable: bool) -> Review:
    total = counts(plan)
    verdict = Verdict.REFUSED if plan.refused else Verdict.NOTHING if plan.empty else Verdict.CHANGES
    return replace(
        review,
        verdict=verdict if usable else review.verdict,
        headline=move_subject(plan),
        create=total.create,
        update=total.update,
        delete=total.delete,
        touched=sum(bool(proxy.changes) for proxy in plan.proxies),
        proxies=len(plan.proxies),
        routes=route_changes(plan),
        refused=tuple(Remark(diagnostic=item) for item in plan.refused),
        details=tuple(
            Detail(
                proxies=tuple(key.short() for key in group.proxies),
                changes=len(group.changes),
                lines=tuple(change_lines(group.changes)),
            )
            for group in groups(plan)
        ),
        digest=digest(plan),
    )


def _saying(item: Diagnostic) -> tuple[str, str, str | None]:
    """What makes a message the same one, wherever in its file it stands now."""
    return item.code, item.message, item.file
