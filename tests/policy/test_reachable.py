"""Which matches are never used."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.origin import Origin
from reconciler.model.virtualservice import HTTPMatch, HTTPRoute, StringMatch
from reconciler.policy.checks.reachable import check_reachable
from reconciler.policy.findings import Report

PATHS = st.sampled_from(["/", "/a", "/A", "/ab", "/a/b", "/A/B", ".*", "a+"])
MATCHES = st.builds(
    HTTPMatch,
    uri=st.one_of(
        st.none(),
        st.builds(StringMatch, exact=PATHS),
        st.builds(StringMatch, prefix=PATHS),
        st.builds(StringMatch, regex=PATHS),
    ),
    ignore_uri_case=st.booleans(),
    headers=st.dictionaries(st.sampled_from("ab"), st.builds(StringMatch, exact=st.sampled_from("xy")), max_size=2),
    port=st.sampled_from([0, 80]),
)


def _taken(matches: list[HTTPMatch]) -> list[tuple[int, str]]:
    """The matches of one rule that are warned of, each with what takes their requests."""
    report = Report(Origin("a.yaml", 0))
    check_reachable([HTTPRoute(match=tuple(matches))], report)
    return [(int(item.path[-1]), item.message.split(": ")[1]) for item in report.findings]


@settings(deadline=None)
@given(st.lists(MATCHES, min_size=2, max_size=8))
def test_a_match_is_taken_among_many_by_the_first_that_takes_it_alone(matches: list[HTTPMatch]) -> None:
    """However many there are, the verdict is that of each pair; matches that are never used themselves take nothing."""
    used: list[int] = []
    expected = []
    for later, match in enumerate(matches):
        taker = next((index for index in used if _taken([matches[index], match])), None)
        if taker is None:
            used.append(later)
        else:
            expected.append((later, f"match {taker + 1} of rule 1 before it takes its requests"))
    assert _taken(matches) == expected
