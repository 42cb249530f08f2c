"""What gRPC makes of compiled rules, row by row: what is carried out, and that what is said to be left out is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.proxyless.lab import Client, Lab, lab, reviews, split
from tests.xds.lab import eventually

_V2 = "route: [{destination: {host: reviews, subset: v2}}]"


@dataclass
class _Stage:
    lab: Lab
    client: Client
    backends: str
    rows: int = 0

    def shows(self, rule: str, answer: str, **order: Any) -> None:
        """With this rule before one that sends everything to v1, all calls get this answer.

        A rule before both, another one for each row, tells by an answer that no row has when the client has them.
        """
        self.rows += 1
        mark = f"row-{self.rows}"
        fault = "fault: {abort: {grpcStatus: DATA_LOSS, percentage: {value: 100}}}"
        marked = f"{{match: [{{headers: {{mark: {{exact: {mark}}}}}}}], {fault}, {_V2}}}"
        self.lab.publish(self.backends, split(100, 0, marked, rule))
        eventually(lambda: self._all("DATA_LOSS", metadata={"mark": mark}))
        assert self._all(answer, **order)
        self.lab.settled()

    def _all(self, answer: str, **order: Any) -> bool:
        found = self.client.call(5, **order)
        return all(item.startswith(answer) for item in found)


@pytest.fixture(scope="module")
def stage() -> Iterator[_Stage]:
    """One client and two servers for all rows."""
    with lab() as here:
        yield _Stage(here, here.client(), reviews(v1=here.server("v1"), v2=here.server("v2")))


@pytest.mark.parametrize(
    ("match", "metadata", "answer"),
    [
        ("uri: {prefix: /test.W}", {}, "v2"),
        ("uri: {prefix: /other}", {}, "v1"),
        ("uri: {exact: /test.Who/Am}", {}, "v2"),
        ("uri: {exact: /TEST.who/am}, ignoreUriCase: true", {}, "v2"),
        ("uri: {regex: '.*/A.'}", {}, "v2"),
        ("headers: {who: {exact: me}}", {"who": "me"}, "v2"),
        ("headers: {who: {exact: me}}", {}, "v1"),
        ("headers: {who: {prefix: m}}", {"who": "me"}, "v2"),
        ("headers: {who: {regex: 'm.'}}", {"who": "me"}, "v2"),
        ("headers: {who: {}}", {"who": "me"}, "v2"),
        ("headers: {':path': {prefix: /test}}", {}, "v2"),
        ("headers: {content-type: {prefix: application/grpc}}", {}, "v2"),
        ("withoutHeaders: {who: {exact: me}}", {}, "v2"),
        ("withoutHeaders: {who: {exact: me}}", {"who": "you"}, "v2"),
        ("withoutHeaders: {who: {exact: me}}", {"who": "me"}, "v1"),
        ("withoutHeaders: {who: {}}", {"who": "me"}, "v1"),
        ("withoutHeaders: {who: {}}", {}, "v2"),
        ("queryParams: {a: {exact: b}}", {}, "v1"),
        ("method: {exact: POST}", {}, "v1"),
        ("scheme: {exact: http}", {}, "v1"),
        ("authority: {prefix: reviews}", {}, "v1"),
        ("headers: {user-agent: {prefix: grpc}}", {}, "v1"),
        ("headers: {te: {prefix: t}}", {}, "v1"),
    ],
)
def test_matches(stage: _Stage, match: str, metadata: dict[str, str], answer: str) -> None:
    """A rule with this match goes to v2, everything else to v1."""
    stage.shows(f"{{match: [{{{match}}}], {_V2}}}", answer, metadata=metadata)


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("{redirect: {uri: /x}, match: [{uri: {prefix: /test}}]}", "UNAVAILABLE"),
        ("{directResponse: {status: 200}, match: [{uri: {prefix: /test}}]}", "UNAVAILABLE"),
        ("{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, %s}", "UNAVAILABLE: Fault injected"),
        ("{fault: {abort: {grpcStatus: ABORTED, percentage: {value: 100}}}, %s}", "ABORTED: Fault injected"),
        ("{timeout: 0.2s, fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}, %s}", "DEADLINE_EXCEEDED"),
        ("{timeout: 5s, %s}", "v2"),
        ("{retries: {attempts: 9, retryOn: '5xx,unavailable', perTryTimeout: 1s, backoff: 1s}, %s}", "v2"),
        ("{rewrite: {uri: /x}, headers: {request: {set: {a: b}}}, corsPolicy: {allowOrigins: [{exact: a}]}, %s}", "v2"),
        ("{mirror: {host: reviews, subset: v1}, %s}", "v2"),
    ],
)
def test_actions(stage: _Stage, rule: str, answer: str) -> None:
    """What becomes of calls that the rule takes; nothing in it makes gRPC refuse the whole."""
    stage.shows(rule.replace("%s", _V2), answer)
