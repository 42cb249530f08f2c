"""A pull request's preview for the people who review it: a value, its JSON, and the comment that is made of it. Pure.

`review_of` makes it from a plan, `as_document` and `from_document` carry it from one job to another, `render_review` writes the
comment. A document may come from whoever opened the pull request, so what is read from one is believed to be text and no more.
"""

from reconciler.plan.review.comment import Surroundings, render_review
from reconciler.plan.review.document import DocumentError, as_document, from_document
from reconciler.plan.review.making import review_of
from reconciler.plan.review.values import Detail, Neighbour, Remark, Review, RouteChange, Share, Verdict

__all__ = [
    "Detail",
    "DocumentError",
    "Neighbour",
    "Remark",
    "Review",
    "RouteChange",
    "Share",
    "Surroundings",
    "Verdict",
    "as_document",
    "from_document",
    "render_review",
    "review_of",
]
