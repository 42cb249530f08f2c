"""Three ways to bet against a healthy canary. Each multiplies a stake that starts at 1 and is not expected to grow while the canary is healthy.

By Ville's inequality such a stake ever reaches 1 / rate with at most probability `rate`, however often somebody looks: that is the
sequential test of Wald (1945), mixed over alternatives as in Robbins (1970), and "always valid" in the words of Johari et al. (2022);
Ramdas, Gruenwald, Vovk and Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference", is the survey. All of it is a
few closed forms. The libraries there are (`confseq`: compiled C++, "early-stage" by its own words) compute boundaries for sums of one
kind of variable; none has these stakes, and none is needed.

"Bad" is the outcome that is counted: an error, or a request slower than a threshold.

1. `odds_bets`: per request. Envoy draws for each request on its own, so of the bad requests of a batch the canary's are a random sample:
   given how many requests either side had they follow the hypergeometric distribution, whatever made them bad and however that drifts.
   The likelihood ratio of binomials is convex in the count, and the binomial is the wider of the two, so its mean stays at most 1
   (conditioning on the count of bad ones: Lindon and Malek 2022, "Anytime-valid inference for multinomial count data"; Lindon, Sanden and
   Shirikian 2022, "Rapid regression detection in software deployments through sequential testing").
2. `stake_bets`: per batch. Bad outcomes may come in clumps on one side, such as one instance's bad minute. Then only that a batch's rates
   are equal on average is relied on: bet a part of the stake on the difference, cut off on both sides alike so that no single batch can
   win more than that part (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; the role of the
   anytime-valid t-test of Wang and Ramdas 2023, without its normal distribution).
3. `sticking`: what 1. is worth if callers stick to their version. See there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, inf, lgamma, log, log1p

ODDS = (1.5, 2.0, 3.0, 6.0, 15.0, 60.0)
"""How many times the tolerated odds of being bad a canary may have: each is betted on with an equal part of the stake."""
TOLERATED = 1.1
"""A canary with at most these odds of being bad, relative to stable's, counts as no worse: nobody wants to go back for less."""
STAKES = (0.1, 0.25, 0.5)
"""Parts of the stake that are put on one batch; each with an equal part of it at the start."""
CUT = 3.0
"""Rates of a batch are cut off at so many times what is usual for stable."""
CROWDS = tuple(10.0 ** (half / 2) for half in range(11))
"""How many callers of equal weight there may be, if they stick: 1 to 100,000."""
BREADTH = 0.16
"""Variance of the logarithm of the odds around each of ODDS, so that they overlap."""
NEARLY_ALL = (30 / 31, 3.1)
"""Mean and size of the beta distribution of the canary's part of bad requests, if it is broken: nearly all, however near."""
MANY = 1e6
"""Callers that are as good as requests that are spread one by one."""
UNEVEN = 3.0
"""How much fewer callers may be behind bad requests than are behind requests."""


def mean_of(logs: Sequence[float]) -> float:
    """The logarithm of the mean of numbers, from their logarithms."""
    top = max(logs)
    return -inf if top == -inf else top + log(sum(exp(item - top) for item in logs) / len(logs))


def odds_share(share: float, odds: float) -> float:
    """The canary's part of bad requests, if it has `share` of requests and `odds` times the odds of being bad."""
    return share * odds / (1 - share + share * odds)


def odds_bets(logs: Iterable[float], *, share: float, canary: int, bad: int) -> tuple[float, ...]:
    """After a batch: `canary` of `bad` were the canary's, which had `share` of the batch's requests."""
    none = odds_share(share, TOLERATED)
    return tuple(
        round(
            held
            + canary * log(odds_share(none, odds) / none)
            + (bad - canary) * log((1 - odds_share(none, odds)) / (1 - none)),
            6,
        )
        for held, odds in zip(logs, ODDS, strict=True)
    )


def stake_bets(logs: Iterable[float], *, canary: float, stable: float, usual: float) -> tuple[float, ...]:
    """After a batch with these rates of bad requests, where `usual` was known before it. Rates near each other lose little."""
    cut = CUT * usual
    gain = (min(canary, cut) - min(TOLERATED * stable, cut)) / cut
    return tuple(round(held + log1p(part * gain), 6) for held, part in zip(logs, STAKES, strict=True))


def sticking(*, crowd: float, even: float, canary: float, bad: float) -> float:
    """The logarithm of a stake for callers that stick to a version: each was assigned once, and goes where it went before.

    Args:
        crowd: Independent callers of equal weight behind the bad requests.
        even: The canary's part of bad requests that a canary as bad as is tolerated has on average.
        canary: Bad requests of the canary.
        bad: Bad requests.

    Then the part of bad requests that falls to a healthy canary is itself random, with variance even (1 - even) / crowd however long
    one waits, and counts are beta-binomial. The stake is how much more probable the count is for a canary with about one of ODDS, or
    with nearly all bad requests: a ratio of two mixtures, a fair bet on average over assignments, that never grows beyond what `crowd` callers can tell.
    """
    worse = [odds_share(even, odds) for odds in ODDS]
    bets = [_beta_binomial(canary, bad, part, 1 / (BREADTH * part * (1 - part))) for part in worse]
    bets.append(_beta_binomial(canary, bad, *NEARLY_ALL))
    return mean_of(bets) - _beta_binomial(canary, bad, even, crowd)


def spread(*, crowd: float, share: float, canary: float, requests: float) -> float:
    """The logarithm of how much more probable the canary's count of requests is if they are spread one by one than if `crowd` callers stick.

    Positive: the count is nearer to `share` than such callers would bring about. Negative: a sample ratio mismatch (Fabijan et al. 2019).
    """
    return _beta_binomial(canary, requests, share, MANY) - _beta_binomial(canary, requests, share, crowd)


def _beta_binomial(count: float, total: float, part: float, crowd: float) -> float:
    first, second = part * crowd, (1 - part) * crowd
    return (
        lgamma(count + first)
        + lgamma(total - count + second)
        - lgamma(total + crowd)
        - lgamma(first)
        - lgamma(second)
        + lgamma(crowd)
    )
