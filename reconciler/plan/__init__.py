"""Diffs of views with observations, the digest, the guards, and plans as text, JSON and Markdown. Pure."""

from reconciler.plan.diff import compare_views, plan_proxy
from reconciler.plan.fields import Differ
from reconciler.plan.splits import Move, Split, splits

__all__ = ["Differ", "Move", "Split", "compare_views", "plan_proxy", "splits"]
