"""The stage decide: what rollouts do in a pass. The engine says what; here is what it has to know, and what comes of it.

`scope` finds whom a rollout concerns, `reading` and `asking` measure, `landed` tells our commits from people's; `turning` asks the
engine with all of it. `memory` keeps evidence between passes, `landing` writes, and `walker` goes through them in order.
"""

from reconciler.cycle.walking.exempt import stepping
from reconciler.cycle.walking.walker import Decided, Walker

__all__ = ["Decided", "Walker", "stepping"]
