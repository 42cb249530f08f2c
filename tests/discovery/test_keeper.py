"""What is used of a registry: losses are doubted, flapping is damped, marks and gains are believed at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.discovery import Alive, Gone, Problem, Put, Snapshot
from reconciler.discovery.keeping.keeper import Keeper
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found, Instance, Knowledge
from reconciler.model.discovery import Protection
from reconciler.model.services import Health

START = datetime(2025, 1, 1, tzinfo=UTC)
PROBLEM = Diagnostic(code="discovery-registry", message="it is down", hint="wait")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def one(name: str, health: Health = Health.HEALTHY) -> Instance:
    return Instance(address=f"10.0.0.{ord(name) + 100}", ports={"http": 8080}, health=health)


def service(names: str, host: str = "reviews") -> Found:
    """A service with an instance for each letter; of a capital one that drains."""
    each = (one(name.lower(), Health.DRAINING if name.isupper() else Health.HEALTHY) for name in names)
    return Found(host=host, instances=tuple(each))


def keeper(remembered: Mapping[str, Found] | None = None, **protection: object) -> Keeper:
    rules = Protection.model_validate({"hold_for": timedelta(seconds=60)} | protection)
    return Keeper(registry="test", kind="plugin", protection=rules, now=START, remembered=remembered)


def listing(*services: Found) -> Snapshot:
    return Snapshot.of(services)


def used(of: Keeper, host: str = "reviews") -> str:
    """The letters of what is used; "-" if the service is not."""
    if host not in of.used:
        return "-"
    letters = (chr(int(each.address.rsplit(".", 1)[1]) - 100) for each in of.used[host].instances)
    marks = (each.health is Health.HEALTHY for each in of.used[host].instances)
    return "".join(letter if mark else letter.upper() for letter, mark in zip(letters, marks, strict=True))


def test_what_is_listed_is_used() -> None:
    """A registry that only gains is believed at once, and what it says is used as it is."""
    it = keeper()
    assert it.standing().knowledge is Knowledge.SILENT
    found = service("ab")
    assert it.fold(listing(found), at(1)) == {"reviews"}
    assert it.used == {"reviews": found}
    assert it.used["reviews"] is found
    assert it.fold(Put(service("abc")), at(2)) == {"reviews"}
    assert it.fold(Put(service("abc")), at(3)) == frozenset()
    assert it.fold(Alive(), at(4)) == frozenset()
    assert used(it) == "abc"
    standing = it.standing()
    assert (standing.knowledge, standing.heard, standing.since) == (Knowledge.LIVE, at(4), at(1))
    assert (standing.services, standing.instances, standing.held, standing.flapping) == (1, 3, (), ())


def test_a_service_is_not_emptied_in_one_step() -> None:
    """The loss of all instances is held for as long as the mesh says, and then believed; the standing says so."""
    it = keeper()
    it.fold(listing(service("ab")), at(0))
    assert it.fold(Put(service("")), at(10)) == frozenset()
    (held,) = it.standing().held
    assert (held.host, held.had, held.has, held.since, held.until) == ("reviews", 2, 0, at(10), at(70))
    assert it.due() == at(70)
    assert it.tick(at(69)) == frozenset()
    assert used(it) == "ab"
    assert it.tick(at(70)) == {"reviews"}
    assert used(it) == ""
    assert it.standing().held == ()
    assert it.due() is None


def test_a_service_is_not_removed_in_one_step() -> None:
    """That there is no such service is a loss of all its instances; a service without any is not held."""
    it = keeper()
    it.fold(listing(service("a"), service("", "empty"), service("b", "other")), at(0))
    assert it.fold(Gone("reviews"), at(1)) == frozenset()
    assert it.fold(Gone("empty"), at(1)) == {"empty"}
    assert used(it) == "a"
    assert it.fold(Alive(), at(61)) == {"reviews"}
    assert "reviews" not in it.used


def test_a_loss_that_is_taken_back_is_forgotten() -> None:
    """Once it is listed again, the next loss is held for as long as the first."""
    it = keeper()
    it.fold(listing(service("a")), at(0))
    it.fold(Gone("reviews"), at(1))
    it.fold(Put(service("a")), at(50))
    assert it.standing().held == ()
    it.fold(Gone("reviews"), at(60))
    it.tick(at(100))
    assert used(it) == "a"


def test_new_instances_come_in_while_a_loss_is_held() -> None:
    """What is listed is used at once, beside what is held, until as many are listed as there were."""
    it = keeper()
    it.fold(listing(service("abc")), at(0))
    it.fold(Put(service("")), at(1))
    it.fold(Put(service("d")), at(2))
    assert used(it) == "dabc"
    it.fold(Put(service("da")), at(3))
    assert used(it) == "dabc"
    it.fold(Put(service("def")), at(4))
    assert used(it) == "def"
    assert it.standing().held == ()


def test_another_set_of_as_many_is_no_loss() -> None:
    """A redeployment replaces instances: nothing is held of what was replaced, not even of the only instance."""
    it = keeper()
    it.fold(listing(service("ab"), service("a", "single")), at(0))
    it.fold(Put(service("cd")), at(1))
    assert used(it) == "cd"
    it.fold(Put(service("", "single")), at(2))
    it.fold(Put(service("b", "single")), at(3))
    assert used(it, "single") == "b"


def test_the_share_that_may_be_lost_can_be_set() -> None:
    """A loss of up to that share is believed, a greater one is held."""
    it = keeper(max_loss_percent=50.0)
    it.fold(listing(service("abcd")), at(0))
    it.fold(Put(service("ab")), at(1))
    assert used(it) == "ab"
    it.fold(Put(service("abcd")), at(2))
    it.fold(Put(service("a")), at(3))
    assert used(it) == "abcd"


def test_each_loss_has_its_own_time() -> None:
    """What was lost later is believed later: no step of the registry is believed sooner because another came before it."""
    it = keeper(max_loss_percent=0.0)
    it.fold(listing(service("abc")), at(0))
    it.fold(Put(service("ab")), at(1))
    it.fold(Put(service("")), at(51))
    assert used(it) == "abc"
    assert it.tick(at(61)) == {"reviews"}
    assert used(it) == "ab"
    (held,) = it.standing().held
    assert held.until == at(111)
    it.tick(at(111))
    assert used(it) == ""


def test_marks_are_believed_at_once() -> None:
    """That an instance drains is no loss, and that it goes afterwards was announced."""
    it = keeper(max_loss_percent=0.0)
    it.fold(listing(service("ab")), at(0))
    assert it.fold(Put(service("aB")), at(1)) == {"reviews"}
    assert used(it) == "aB"
    it.fold(Put(service("a")), at(2))
    assert used(it) == "a"
    it.fold(Put(service("A")), at(3))
    it.fold(Gone("reviews"), at(4))
    assert used(it) == "-"


def test_what_makes_up_for_a_loss_is_healthy() -> None:
    """Instances that get no requests don't replace those that do."""
    it = keeper()
    it.fold(listing(service("ab")), at(0))
    it.fold(Put(service("CD")), at(1))
    assert used(it) == "CDab"


def test_nothing_is_doubted_without_a_time() -> None:
    """`hold_for: 0s` believes everything."""
    it = keeper(hold_for=timedelta())
    it.fold(listing(service("ab")), at(0))
    it.fold(listing(), at(1))
    assert it.used == {}


def test_a_registry_that_lost_everything_is_doubted_as_a_whole() -> None:
    """One entry says so, and every service keeps what it had; when services come back, each is right at once."""
    it = keeper()
    it.fold(listing(service("ab", "one"), service("cd", "two"), service("e", "three")), at(0))
    assert it.fold(listing(), at(1)) == frozenset()
    (held,) = it.standing().held
    assert (held.host, held.had, held.has) == ("", 5, 0)
    it.fold(listing(service("fg", "one")), at(2))
    assert (used(it, "one"), used(it, "two"), used(it, "three")) == ("fg", "cd", "e")
    assert it.tick(at(61)) == {"two", "three"}
    assert sorted(it.used) == ["one"]


def test_a_registry_that_lost_too_much_is_doubted_in_all_services() -> None:
    """Services that lost little in the same step keep it too."""
    it = keeper(max_loss_percent=40.0)
    it.fold(listing(service("abc", "one"), service("defg", "two")), at(0))
    it.fold(listing(service("ab", "one"), service("d", "two")), at(1))
    assert (used(it, "one"), used(it, "two")) == ("abc", "defg")
    assert [held.host for held in it.standing().held] == [""]


def test_a_registry_that_is_down_is_stale() -> None:
    """What it said last stays in use, nothing is believed meanwhile, and the standing says why."""
    it = keeper()
    it.fold(listing(service("a")), at(0))
    it.fold(Gone("reviews"), at(1))
    before = it.revision
    it.failed(PROBLEM, at(5))
    assert it.revision > before
    assert it.due() is None
    assert it.tick(at(999)) == frozenset()
    standing = it.standing()
    assert (standing.knowledge, standing.since, standing.heard, standing.problem) == (
        Knowledge.STALE,
        at(5),
        at(1),
        PROBLEM,
    )
    assert used(it) == "a"
    it.fold(listing(service("ab")), at(1000))
    standing = it.standing()
    assert (standing.knowledge, standing.since, standing.problem) == (Knowledge.LIVE, at(1000), None)
    assert used(it) == "ab"


def test_a_registry_that_never_answered_is_silent() -> None:
    """Of such a one nothing is known, and nothing may be taken for gone."""
    it = keeper()
    it.failed(PROBLEM, at(1))
    assert (it.standing().knowledge, it.standing().problem, it.failure) == (Knowledge.SILENT, PROBLEM, PROBLEM)


def test_what_is_remembered_is_used_and_doubted() -> None:
    """After a restart it is stale, used at once, and the first answer is doubted against it."""
    it = keeper({"reviews": service("ab"), "ratings": service("c", "ratings")})
    standing = it.standing()
    assert (standing.knowledge, standing.services, standing.instances) == (Knowledge.STALE, 2, 3)
    assert it.fold(listing(service("ab")), at(1)) == frozenset()
    assert used(it, "ratings") == "c"
    assert [held.host for held in it.standing().held] == ["ratings"]
    it.tick(at(61))
    assert sorted(it.used) == ["reviews"]


def test_what_the_platform_does_not_say_right_now_stays() -> None:
    """A Snapshot may leave open what became of a service: it is neither gone nor doubted, until the platform says."""
    it = keeper({"reviews": service("ab"), "ratings": service("c", "ratings")}, hold_for=timedelta())
    it.fold(Snapshot({"ratings": service("c", "ratings")}, frozenset({"reviews"})), at(0))
    assert (used(it), used(it, "ratings"), it.standing().held) == ("ab", "c", ())
    it.fold(listing(service("c", "ratings")), at(1))
    assert "reviews" not in it.used


def test_a_problem_is_shown_until_it_is_over() -> None:
    """What can't be used of an answer doesn't make the registry stale."""
    it = keeper()
    it.fold(listing(service("a")), at(0))
    it.fold(Problem(PROBLEM), at(1))
    assert (it.standing().problem, it.standing().knowledge) == (PROBLEM, Knowledge.LIVE)
    it.fold(Problem(None), at(2))
    assert it.standing().problem is None


def test_what_flaps_is_left_out_until_it_is_steady() -> None:
    """An instance that came more often than allowed within the window waits until it has stayed for as long."""
    it = keeper(flaps=3, flap_window=timedelta(seconds=60))
    it.fold(listing(service("ab")), at(0))
    for turn in range(4):
        it.fold(Put(service("a")), at(2 * turn + 1))
        it.fold(Put(service("ab")), at(2 * turn + 2))
        assert used(it) == ("ab" if turn < 3 else "a")
    assert it.standing().flapping == (f"reviews {one('b').address}",)
    assert it.due() == at(68)
    it.fold(Put(service("a")), at(10))
    it.fold(Put(service("ab")), at(20))
    assert it.tick(at(79)) == frozenset()
    assert it.tick(at(80)) == {"reviews"}
    assert used(it) == "ab"
    assert it.standing().flapping == ()
    assert it.due() is None


def test_the_last_instance_is_never_left_out() -> None:
    """A service whose instances all flap keeps all of them."""
    it = keeper(flaps=1)
    it.fold(listing(service("a")), at(0))
    for turn in range(5):
        it.fold(Put(service("")), at(2 * turn + 1))
        it.fold(Put(service("a")), at(2 * turn + 2))
        assert used(it) == "a"
    assert len(it.standing().flapping) == 1


def test_slow_comings_and_goings_are_no_flapping() -> None:
    """What is older than the window does not count."""
    it = keeper(flaps=2, flap_window=timedelta(seconds=10))
    it.fold(listing(service("ab")), at(0))
    for turn in range(10):
        it.fold(Put(service("a")), at(6 * turn + 1))
        it.fold(Put(service("ab")), at(6 * turn + 2))
    assert used(it) == "ab"


def test_other_rules_count_from_now_on() -> None:
    """A mesh that believes more is not waited for: what is in doubt falls due by the new rules."""
    it = keeper()
    it.fold(listing(service("a")), at(0))
    it.fold(Put(service("")), at(1))
    it.protect(Protection(hold_for=timedelta(seconds=5)))
    assert it.due() == at(6)
    assert it.tick(at(6)) == {"reviews"}


def test_what_else_changes_of_a_service_comes_through_a_doubt() -> None:
    """Ports and addresses of a service are no instances: they are used as they are listed."""
    it = keeper()
    it.fold(listing(service("ab")), at(0))
    it.fold(Put(replace(service(""), addresses=("10.1.0.1",))), at(1))
    assert it.used["reviews"].addresses == ("10.1.0.1",)
    assert used(it) == "ab"
