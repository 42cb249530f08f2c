"""`reconcile daemon --ads`: the server beside the loop."""

from __future__ import annotations

import logging

import grpc
import pytest

from reconciler.cli.streams import AGAIN, Streams
from reconciler.clock import SystemClock
from reconciler.errors import UsageError
from reconciler.settings import AdsSettings

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


@pytest.mark.parametrize(
    "settings",
    [
        AdsSettings(address="0.0.0.0:0"),
        AdsSettings(address="192.0.2.1:0"),
        AdsSettings(address="[::]:0"),
        AdsSettings(address="everywhere.example:0"),
        AdsSettings(certificate="/nowhere.pem", key="/nowhere.key"),
        AdsSettings(certificate="/nowhere.pem"),
        AdsSettings(client_ca="/nowhere.pem"),
    ],
)
def test_strangers_are_served_on_purpose_only(settings: AdsSettings) -> None:
    """Plaintext stays on this machine unless somebody says otherwise, and half a set of certificates is none."""
    with pytest.raises(UsageError):
        Streams(settings, clock=SystemClock(), logger=logging.getLogger("test"))


def test_plaintext_for_other_hosts_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """Who asks for it finds it in the log, as a warning."""
    streams = Streams(AdsSettings(plaintext=True), clock=SystemClock(), logger=logging.getLogger("test"))
    with caplog.at_level(logging.INFO, logger="test"):
        address = streams.start(lambda: None)
        streams.stop()
    assert not address.endswith(":0")
    assert [item.levelname for item in caplog.records] == ["INFO", "WARNING"]
    assert "PLAINTEXT" in caplog.text


def test_who_is_refused_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """A peer that is turned away is in the log with the reason, and does not fill it by trying again."""
    clock = _Standing()
    streams = Streams(AdsSettings(), clock=clock, logger=logging.getLogger("test"))
    refused: list[str] = []
    with caplog.at_level(logging.WARNING, logger="test"):
        address = streams.start(lambda: None)
        try:
            for seconds in (0.0, 1.0, AGAIN + 1):
                clock.seconds = seconds
                with grpc.insecure_channel(address) as channel:
                    call = channel.stream_stream(_METHOD)(iter([b"\xff\x1bnonsense"]))
                    with pytest.raises(grpc.RpcError) as caught:
                        next(call)
                    refused.append(str(caught.value.code()))
        finally:
            streams.stop()
    assert refused == ["StatusCode.INVALID_ARGUMENT"] * 3
    assert [item.getMessage().split(": ")[1] for item in caplog.records] == ["this is no discovery request"] * 2


class _Standing(SystemClock):
    """A clock that only moves when it is told to."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds
