"""Hosts: what is an address, and what is a name."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.hosts import HostSet, covers, is_address

_TEXTS = st.one_of(
    st.text("0123456789.", max_size=16),
    st.lists(st.one_of(st.integers(0, 300).map(str), st.sampled_from(["00", "01", "٣", ""])), max_size=5).map(".".join),
    st.ip_addresses().map(str),
    st.text(max_size=8),
)


@given(_TEXTS)
def test_an_address_is_what_the_library_parses_and_has_no_zone(text: str) -> None:
    """The quick way out for names and IPv4 gives the same answer."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        parsed = False
    else:
        parsed = "%" not in text
    assert is_address(text) is parsed


_HOSTS = st.builds("".join, st.tuples(st.sampled_from(["", "*"]), st.text("ab.", max_size=4)))


@given(st.lists(_HOSTS, max_size=8), _HOSTS)
def test_a_set_of_hosts_finds_what_comparing_with_each_finds(hosts: list[str], name: str) -> None:
    """In the order of the hosts, which lists in what proxies get depend on."""
    known, each = HostSet(hosts), [*dict.fromkeys(hosts)]
    assert known.covering(name) == [host for host in each if covers(host, name)]
    assert known.covered(name) == [host for host in each if covers(name, host)]
    narrower = [name if covers(host, name) else host for host in each if covers(host, name) or covers(name, host)]
    assert known.narrowed(name) == [*dict.fromkeys(narrower)]
