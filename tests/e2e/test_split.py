from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model.receipt import OutcomeKind
from tests.e2e.rig import Rig


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("s")) as rig:
        rig.apply()
        yield rig


@pytest.mark.parametrize("percent", [1, 25, 50, 99])
def test_a_weight_in_git_becomes_that_split_in_envoy(served: Rig, percent: int) -> None:
    """What the backends count is within the 99.9% binomial interval of the weights."""
    served.commit(served.routes(100 - percent, percent), f"v2 at {percent}%")
    report = served.apply(allow=frozenset({"guard-weight-increase"}))
    assert [outcome.kind for outcome in report.outcomes.values()] == [OutcomeKind.APPLIED]
    before = served.backends.counts()
    served.share_is(percent)
    counted = served.backends.counts() - before
    assert counted.total() == 1500


def test_weights_need_not_add_up_to_100(served: Rig) -> None:
    """Shares are relative, as in Istio: 1 and 3 are 25% and 75%; the total is warned of."""
    served.commit(served.routes(1, 3), "thirds of four")
    report = served.apply(allow=frozenset({"guard-weight-increase"}))
    assert report.plan is not None
    assert "weights-sum" in {item.code for item in report.plan.warnings}
    served.share_is(75)
