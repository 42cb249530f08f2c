"""What is said of instances that are not well: a line a service, who sees it, and nothing where nothing is wrong."""

from __future__ import annotations

from typing import Any

from reconciler.cli.wellbeing import wellbeing, wellbeing_lines
from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.seen import HostFlag, HostSeen, HostsSeen, Tally, Told

V2 = "outbound|9080|v2|reviews.default.svc.cluster.local"
WHOLE = "outbound|443||api.example.com"
DOWN = Diagnostic(code="admin-unreachable", message="nobody\nlistens")


def host(last: int, *flags: HostFlag, told: Told = Told.HEALTHY) -> HostSeen:
    return HostSeen(address=f"10.0.{last // 256}.{last % 256}", port=80, flags=frozenset(flags), told=told)


def seen(*answers: dict[str, list[HostSeen]], silent: str = "") -> HostsSeen:
    tally = Tally()
    for number, answer in enumerate(answers):
        tally.answer(Key("default", f"p{number}"), answer)
    if silent:
        tally.silence(Key("default", silent), DOWN)
    return tally.result()


def lines(found: HostsSeen, **unread: Diagnostic) -> list[str]:
    return wellbeing_lines(wellbeing(found, {Key("default", name): item for name, item in unread.items()}))


def test_a_service_as_people_say_it() -> None:
    """Host, port and subset; how many of how many; and how many callers see it."""
    bad = {V2: [host(1, HostFlag.EJECTED), host(2), host(3)]}
    assert lines(seen(bad, bad, bad, bad)) == ["reviews.default:9080 v2: 1 of 3 ejected (outlier) as seen by 4 proxies"]
    assert lines(seen(bad)) == ["reviews.default:9080 v2: 1 of 3 ejected (outlier) as seen by 1 proxy"]


def test_callers_that_see_different_things() -> None:
    """Ejections are each caller's own; what a platform says is everybody's."""
    one = {WHOLE: [host(1, HostFlag.EJECTED), host(2, HostFlag.EJECTED), host(3, told=Told.DRAINING)]}
    other = {WHOLE: [host(1, HostFlag.EJECTED), host(2), host(3, told=Told.DRAINING)]}
    assert lines(seen(one, other, other)) == [
        "api.example.com:443: 2 of 3 ejected (outlier) as seen by 1 to 3 of 3 proxies, 1 of 3 draining (platform) as seen by 3 proxies"
    ]


def test_nothing_is_said_where_all_is_well() -> None:
    """Of a healthy fleet there is only the number of proxies that answered."""
    found = seen({V2: [host(1)], "inbound|80||": [host(2)]})
    assert wellbeing(found, {}) == {"answered": 1, "silent": [], "services": []}
    assert lines(found) == []


def test_other_clusters_go_by_their_names() -> None:
    """Of an Envoy that somebody else configures."""
    assert lines(seen({"a|b": [host(1, HostFlag.FAILED_CHECK)]})) == [
        "a|b: 1 of 1 failed (health check) as seen by 1 proxy"
    ]
    assert lines(seen({"outbound|x||h": [host(1, HostFlag.LEAVING)]})) == [
        "outbound|x||h: 1 of 1 leaving as seen by 1 proxy"
    ]


def test_who_does_not_say_is_named_once() -> None:
    """Unless the table names it already as unreachable."""
    document = wellbeing(seen({V2: [host(1)]}, silent="q"), {Key("default", "a"): DOWN})
    assert [item["proxy"] for item in document["silent"]] == ["default/a", "default/q"]
    assert wellbeing_lines(document, unreachable=["default/a"]) == [
        "default/q does not say how it sees instances: nobody\nlistens"
    ]


def test_large_services_and_fleets_are_summed_up() -> None:
    """Twenty instances of one and twenty services stand for the rest, whose number is said."""
    many = {V2: [host(number, HostFlag.EJECTED) for number in range(300)]}
    (service,) = wellbeing(seen(many), {})["services"]
    assert (service["not_well"], len(service["hosts"]), service["more_hosts"]) == (300, 20, 280)
    wide: dict[str, Any] = {f"c{number}": [host(1, HostFlag.EJECTED)] for number in range(25)}
    said = lines(seen(wide))
    assert (len(said), said[-1].startswith("and 5 more services ")) == (21, True)
    mute = wellbeing_lines(wellbeing(seen(), {Key("default", f"p{number}"): DOWN for number in range(8)}))
    assert (len(mute), mute[-1]) == (6, "and 3 more proxies do not say it")


def test_the_document() -> None:
    """Its whole form, which people script against."""
    found = seen({V2: [host(1, HostFlag.EJECTED, told=Told.UNHEALTHY), host(2)]}, {V2: [host(2)]})
    assert wellbeing(found, {})["services"] == [
        {
            "cluster": V2,
            "host": "reviews.default.svc.cluster.local",
            "port": 9080,
            "subset": "v2",
            "instances": 2,
            "not_well": 1,
            "callers": 2,
            "troubles": [
                {"trouble": "ejected", "instances": 1, "seen_by": [1, 1]},
                {"trouble": "unhealthy", "instances": 1, "seen_by": [1, 1]},
            ],
            "hosts": [{"address": "10.0.0.1", "port": 80, "callers": 1, "troubles": {"ejected": 1, "unhealthy": 1}}],
            "more_hosts": 0,
        }
    ]
