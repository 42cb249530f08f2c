from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.compile.effective import effective
from reconciler.compile.index import Rule
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin

_SIMPLE = {"loadBalancer": {"simple": "RANDOM"}}
_POOL = {"connectionPool": {"tcp": {"maxConnections": 1}}}
_OTHER_POOL = {"connectionPool": {"tcp": {"maxConnections": 2}}}
_BUDGET = {"retryBudget": {"percent": 5}}


def _for(port: int, settings: dict[str, Any]) -> dict[str, Any]:
    return {"portLevelSettings": [{"port": {"number": port}, **settings}]}


def _held(policy: dict[str, Any], subset: dict[str, Any] | None, *, name: str = "v1") -> dict[str, Any]:
    """What holds for port 80 of a subset, as it would be written."""
    subsets = [{"name": "v1", **({} if subset is None else {"trafficPolicy": subset})}]
    spec = DestinationRule.model_validate_json(json.dumps({"host": "a", "trafficPolicy": policy, "subsets": subsets}))
    rule = Rule.merged([Policy("DestinationRule", Key("default", "a"), spec, Origin("a.yaml", 0))])
    found = effective(rule, name, 80)
    blocks = {item: getattr(found, item) for item in found.__dataclass_fields__}
    written = {
        item: value.model_dump(by_alias=True, exclude_unset=True, mode="json")
        for item, value in blocks.items()
        if value
    }
    return {"".join(part.title() if part != item.split("_")[0] else part for part in item.split("_")): value
            for item, value in written.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "subset", "expected"),
    [
        (_SIMPLE, None, _SIMPLE),
        (_SIMPLE | _POOL, _OTHER_POOL, _SIMPLE | _OTHER_POOL),
        (_SIMPLE | _BUDGET | _for(80, _POOL), None, _POOL),
        (_SIMPLE | _for(81, _POOL), None, _SIMPLE),
        (_SIMPLE | _for(80, _POOL), _BUDGET, _POOL | _BUDGET),
        (_POOL | _BUDGET, _for(80, _SIMPLE), _SIMPLE | _BUDGET),
        (_POOL | _BUDGET, _for(81, _SIMPLE), _POOL | _BUDGET),
        (_for(80, _POOL), _for(80, _SIMPLE), _SIMPLE),
        (_POOL, _OTHER_POOL | _for(80, _SIMPLE), _SIMPLE),
    ],
)
def test_what_holds_for_a_port_of_a_subset(
    policy: dict[str, Any], subset: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    """A subset overrides its rule block by block; settings for a port inherit nothing that they could say themselves."""
    assert _held(policy, subset) == expected


def test_an_unknown_subset_has_the_policy_of_the_rule() -> None:
    """Destinations that name it are refused elsewhere."""
    assert _held(_POOL, _SIMPLE, name="gone") == _POOL
