from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.cli.services.sight import with_sight
from reconciler.cli.services.words import services_markdown, services_text
from reconciler.model.seen import HostFlag, HostsSeen, Tally
from tests.cli.services.test_sight import CLUSTER, HOST, document, endpoint, host, said

EVIL = "\x1b]0;owned\x07\x1b[2J|<b>`x`\n# y\u202e"
SINCE, HEARD, LATER = (f"2026-01-01T{time}+00:00" for time in ("11:48:00", "11:47:00", "13:00:00"))


def registry(state: str = "live", **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "registry": "files", "kind": "file_sd", "state": state, "heard": HEARD, "since": SINCE, "problem": None,
        "services": 1, "instances": 2, "held": [], "flapping": [],
    }  # fmt: skip
    return plain | fields


def detail(found: dict[str, Any], *, everything: bool = False) -> str:
    return services_text(found, detailed=True, everything=everything)


def overview(found: dict[str, Any]) -> str:
    return services_text(found, detailed=False, everything=False)


def test_a_service_is_one_line_with_what_is_wrong_with_it() -> None:
    """As its platform says it, and as callers see it."""
    endpoints = (endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("10.0.0.3", health="draining", registry=None))
    answers = said({CLUSTER: [host("10.0.0.1", HostFlag.EJECTED), host("10.0.0.3")]})
    found = with_sight(document(*endpoints, declared={"file": "b.yaml", "document": 0, "line": 7}), answers)
    lines = overview(found).splitlines()
    assert lines[0] == "commit    cccccccccc of main"
    assert lines[-1].split("  ") == [
        "b.default", "80/HTTP", "2/3 healthy, 1 draining, 1 ejected (outlier), 1 not everywhere yet", "git, files",
        "4 of 5: w, x, y, z",
    ]  # fmt: skip


def test_one_in_detail() -> None:
    """An instance a line: where it is from, and how callers see it."""
    answers = said(
        *[{CLUSTER: [host("10.0.0.1", HostFlag.EJECTED)]}] * 2, {CLUSTER: [host("10.0.0.1"), host("10.0.0.9")]}
    )
    endpoints = (
        endpoint("10.0.0.1", labels={"version": "v1", "app": "b"}, locality="r/z", weight=2),
        endpoint("fd00::1", registry=None, declared={"file": "w.yaml", "document": 1, "line": 9}),
    )
    found = with_sight(document(*endpoints, declared={"file": "b.yaml", "document": 0, "line": 7}), answers)
    lines = [" ".join(line.split()) for line in detail(found | {"registries": [registry("stale")]}).splitlines()]
    assert "declared b.yaml:7" in lines
    assert "registries files (stale for 12m)" in lines
    assert "10.0.0.1:8080 app=b,version=v1 r/z 2 healthy files (stale for 12m) ejected (outlier) at 2 of 3" in lines
    assert "[fd00::1]:8080 - - 1 healthy git: w.yaml:9 not yet there at all 3" in lines
    assert "not listed, and callers have it: 10.0.0.9:8080 at 1 of 3" in lines


def test_registries_say_since_when_they_are_not_to_be_relied_on() -> None:
    """What is held and what flaps is told with it, in short form unless all is wanted."""
    held = [{"host": f"h{n}", "had": 4, "has": 0, "since": SINCE, "until": LATER} for n in range(7)]
    stale = registry(
        "stale",
        problem={"message": "connection refused"},
        held=[held[0], held[0] | {"host": ""}],
        flapping=["b 10.0.0.1"],
    )
    found = with_sight(document(), HostsSeen()) | {"registries": [stale]}
    text = overview(found)
    row = next(line for line in text.splitlines() if line.startswith("files"))
    assert (
        "stale for 12m  1         2          connection refused; last heard 2026-01-01 11:47:00 UTC; 2 losses not believed yet; 1 flapping"
        in row
    )
    assert (
        "files lists 0 instances of h0 where it listed 4: the others stay in use until 2026-01-01 13:00:00 UTC" in text
    )
    assert "files lists 0 instances altogether where it listed 4" in text
    assert "files: b 10.0.0.1 comes and goes, and is left out" in text
    many = found | {"registries": [registry("silent", held=held)]}
    assert "silent for 12m" in overview(many)
    assert "and 2 more losses of files" in overview(many)
    assert "of h6 where" in services_text(many, detailed=False, everything=True)


@pytest.mark.parametrize("shown", [services_text, services_markdown])
def test_no_word_of_a_registry_reaches_a_terminal_or_becomes_markup(shown: Callable[..., str]) -> None:
    """Names, labels, addresses, reasons: each can say anything, and be as long as it likes."""
    bad = endpoint(f"unix://{EVIL}", labels={EVIL: "y" * 9000}, locality=EVIL, registry=EVIL)
    found = with_sight(
        document(bad, host=EVIL + HOST, addresses=[EVIL], registries=[EVIL], namespace=EVIL), HostsSeen()
    )
    held = [{"host": EVIL, "had": 1, "has": 0, "since": SINCE, "until": LATER}]
    found |= {
        "registries": [
            registry("stale", registry=EVIL, kind=EVIL, problem={"message": EVIL}, held=held, flapping=[EVIL])
        ],
        "unused": [{"host": EVIL, "registries": [EVIL]}],
        "health": {"answered": 0, "silent": [{"proxy": EVIL, "code": "x", "reason": EVIL}]},
    }
    for detailed in (True, False):
        text = shown(found, detailed=detailed, everything=False)
        assert text.replace("\n", "").isprintable()
        assert "y" * 200 not in text
        assert not any(line.startswith("# y") for line in text.splitlines())
        assert shown is services_text or not {"<b>", "`x`"} & {text[i : i + 3] for i in range(len(text))}


def test_of_a_large_service_the_first_are_shown_and_those_first_that_are_not_well() -> None:
    """Ten thousand lines help nobody; who wants them says so."""
    many = [endpoint(f"10.0.{n // 250}.{n % 250}") for n in range(9_999)] + [endpoint("10.9.9.9", health="unhealthy")]
    found = with_sight(document(*many), said({CLUSTER: [host(item["address"]) for item in many]}))
    lines = detail(found).splitlines()
    assert len(lines) < 50
    assert next(line for line in lines if line.startswith("  10.")).split()[:1] == ["10.9.9.9:8080"]
    assert lines[-1] == "  and 9975 more (--all)"
    assert sum(line.startswith("  10.") for line in detail(found, everything=True).splitlines()) == len(many)


def test_services_whose_instances_are_not_listed_say_what_they_are() -> None:
    """By name, any address, or none; and nobody may call it."""
    for resolution, words in (("DNS", "by DNS"), ("NONE", "any address"), ("STATIC", "none")):
        nobody = with_sight(document(resolution=resolution, callers={"proxies": [], "of": 5}), HostsSeen())
        assert overview(nobody).splitlines()[-1].split("  ")[2].strip() == words
        assert overview(nobody).endswith("nobody")
    everybody = with_sight(document(callers={"proxies": ["default/w"], "of": 1}), HostsSeen())
    assert overview(everybody).endswith("all 1")
    nothing = with_sight(document(), HostsSeen()) | {"services": []}
    assert overview(nothing).endswith("There are no services to show.")


def test_what_is_not_known_is_said_last() -> None:
    """Hosts that are no services, Envoys that others configure, and proxies that do not answer."""
    found = with_sight(document(), Tally().result())
    found["proxies"].append({"proxy": "default/legacy", "admin": None, "configured_here": False})
    found |= {
        "unused": [{"host": "x.example.com", "registries": ["files"]}] * 30,
        "health": {"answered": 0, "silent": [{"proxy": "default/w", "code": "c", "reason": "it is down"}]},
    }
    text = overview(found)
    assert "x.example.com is listed by files, and is no service: nobody says its ports" in text
    assert "and 5 more hosts that are no services (-o json has all)" in text
    assert "others configure default/legacy: what they may call is not known here" in text
    assert "default/w does not say how it sees instances: it is down" in text
