"""Hosts: what is an address, and what is a name."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.hosts import is_address

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
