"""Which adapter a registry gets, and what is said if there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery import KindError, PluginError, SettingsError, Surroundings
from reconciler.discovery.kinds import adapter, digest, kind
from reconciler.model.discovery import Protection, Registry
from tests.discovery.plugged import plug
from tests.discovery.scripted import LOFTS, Flock, Pigeons

AROUND = Surroundings(registry="test", domain="cluster.local", clock=SystemClock())


def registry(**given: Any) -> Registry:
    return Registry.model_validate({"name": "test"} | given)


def plugged(adapter: str, **settings: Any) -> Registry:
    return registry(plugin={"adapter": adapter, "settings": settings})


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"pigeons": "tests.discovery.scripted:build", "broken": "no_such_module_at_all:build"}
    plug(tmp_path, monkeypatch, points)


@pytest.mark.parametrize("name", ["file_sd", "http_sd"])
def test_our_own_are_found_by_their_field(name: str) -> None:
    """The module of that name makes it."""
    spec = {"file_sd": {"files": ("/nowhere/*.json",)}, "http_sd": {"url": "http://127.0.0.1:1/"}}[name]
    of = registry(**{name: spec})
    assert kind(of) == name
    assert callable(adapter(of, AROUND).watch)


def test_a_plugin_is_found_by_its_entry_point() -> None:
    """An installed package brings it; it gets its settings."""
    pigeons = LOFTS["attic"] = Pigeons()
    of = plugged("pigeons", loft="attic")
    assert kind(of) == "pigeons"
    made = adapter(of, AROUND)
    assert isinstance(made, Flock)
    assert made._platform is pigeons


def test_settings_that_an_adapter_does_not_take() -> None:
    """Its own words are shown."""
    with pytest.raises(SettingsError, match="nothing else to say") as caught:
        adapter(plugged("pigeons", attic="yes"), AROUND)
    assert caught.value.code == "discovery-settings"


@pytest.mark.parametrize(("name", "words"), [("doves", "broken, pigeons"), ("broken", "ModuleNotFoundError")])
def test_a_plugin_that_is_not_there(name: str, words: str) -> None:
    """What there is is listed; a package that can't be imported is named."""
    with pytest.raises(PluginError, match=words) as caught:
        adapter(plugged(name), AROUND)
    assert caught.value.code == "discovery-plugin"


@pytest.mark.parametrize("given", [{}, {"consul": {}, "kubernetes": {}}])
def test_exactly_one_kind(given: dict[str, Any]) -> None:
    """None, or several, is an error that says which there could be."""
    with pytest.raises(KindError, match="exactly one") as caught:
        kind(registry(**given))
    assert caught.value.code == "discovery-kind"


def test_what_a_registry_is_recognised_by() -> None:
    """Whatever its adapter is made from; not how much it is believed."""
    first = registry(consul={})
    assert digest(first, domain="a") == digest(registry(consul={}, protection=Protection(flaps=9)), domain="a")
    others = {
        digest(first, domain="b"),
        digest(registry(consul={"tag": "x"}), domain="a"),
        digest(registry(kubernetes={}), domain="a"),
        digest(Registry.model_validate({"name": "other", "consul": {}}), domain="a"),
    }
    assert len(others - {digest(first, domain="a")}) == 4
