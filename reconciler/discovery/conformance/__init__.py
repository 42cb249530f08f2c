"""The conformance test of adapters: what each one has to do, as rules that any adapter's tests can run, in whatever package it is.

1. Write a class that fulfils `Platform`: it holds the server that the adapter talks to, brings it into a state (`publish`) and into
   trouble (`be`), and makes adapters for it.
2. Run all rules against it, except those that need what your platform can't do or be (a file is never partitioned)::

       from reconciler.discovery.conformance import Ability, Mood, Rule, rules

       @pytest.mark.parametrize("rule", rules(lacks=[Ability.DRAIN, Mood.PARTITIONED]), ids=str)
       def test_it_conforms(rule: Rule, platform: Pigeons) -> None:
           rule.check(platform)

A rule begins with `be(Mood.WELL)` and publishes what it needs, so one platform may serve all rules, one after another. It raises
AssertionError with the rule that was broken. What only your platform has (ports by name, zones, tags) is for tests of your own:
`watching(adapter)` drives it there too.

It needs nothing but this package and the standard library, and nothing of the product uses it.
"""

from reconciler.discovery.conformance.platforms import Ability, Member, Mood, Platform
from reconciler.discovery.conformance.rules import Rule, rules
from reconciler.discovery.conformance.watching import State, Watched, watching

__all__ = ["Ability", "Member", "Mood", "Platform", "Rule", "State", "Watched", "rules", "watching"]
