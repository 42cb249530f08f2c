"""Canary against stable, looked at as often as one likes: evidence that grows window by window, and what it says so far.

Pure. What is assumed and promised stands in docs/analysis.md.
"""

from reconciler.rollouts.comparison.comparing import begin, judge, update
from reconciler.rollouts.comparison.judgement import Judgement, Verdict
from reconciler.rollouts.comparison.state import Kind, State
from reconciler.rollouts.comparison.window import Window

__all__ = ["Judgement", "Kind", "State", "Verdict", "Window", "begin", "judge", "update"]
