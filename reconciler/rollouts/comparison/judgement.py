"""What a comparison says so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known after all windows so far. It may be asked for after each of them: the promise holds over all looks.

    Attributes:
        verdict: `fail`: the canary is worse, wrongly said with at most the promised probability. `pass`: enough was seen, and
            nothing was found so far. `inconclusive`: too little was seen, or it can't be judged.
        e_value: Evidence against the canary: `fail` needs 1 / rate. Under 1 is none.
        detail: Why, in words for a person.
        canary: The canary's success rate in percent, or its percentile of request times in milliseconds; NaN before any request.
        stable: Stable's.
        enough: Whether enough was seen on both sides that a plainly bad canary would have been found. An `inconclusive` with enough traffic won't mend itself by waiting:
            somebody has to look.
    """

    verdict: Verdict
    e_value: float
    detail: str
    canary: float
    stable: float
    enough: bool
