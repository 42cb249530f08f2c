"""`reconcile daemon --ads`: what its options ask for, and what they must not."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest

from reconciler.cli.streams import AGAIN, Streams, ads_settings
from reconciler.clock import SystemClock
from reconciler.errors import UsageError
from reconciler.settings import DEFAULT_IDENTITY, AdsSettings

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_NONE: dict[str, Any] = {"certificate": "", "key": "", "client_ca": "", "identities": [], "plaintext": False}


def test_without_an_address_nothing_is_served() -> None:
    """ADS is asked for, never assumed."""
    assert ads_settings("", **_NONE) is None


def test_an_address_alone_means_this_machine_in_plaintext() -> None:
    """The identity's form has its default even where nobody is asked for a certificate."""
    assert ads_settings("127.0.0.1:0", **_NONE) == AdsSettings(address="127.0.0.1:0", identities=(DEFAULT_IDENTITY,))


@pytest.mark.parametrize(
    ("address", "more", "words"),
    [
        ("", {"certificate": "a.pem"}, "need --ads"),
        ("", {"plaintext": True}, "need --ads"),
        ("15010", {}, "not an address"),
        (":15010", {}, "not an address"),
        ("127.0.0.1:http", {}, "not an address"),
        ("127.0.0.1:99999", {}, "not an address"),  # gRPC would take the rest of a division by 65536
        ("127.0.0.1:1", {"identities": ["{namespace}"]}, "--ads-identity"),
    ],
)
def test_options_that_contradict_each_other_are_refused(address: str, more: dict[str, Any], words: str) -> None:
    """An option that would be ignored is an error."""
    with pytest.raises(UsageError, match=words):
        ads_settings(address, **_NONE | more)


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
