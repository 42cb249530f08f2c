from __future__ import annotations

import pytest

from tests.docs.istio import SIX, differences, messages, reached


@pytest.mark.parametrize("kind", SIX)
def test_every_field_of_istio_is_carried_out_or_refused_by_name(kind: str) -> None:
    """Nothing of the six kinds is unknown here, and nothing here is unknown to Istio: files and habits carry over."""
    assert list(differences(kind, messages())) == []


def test_the_list_of_fields_holds_nothing_else() -> None:
    """Every message of the list belongs to one of the six kinds, so that no line of it goes unread."""
    api = messages()
    assert set(api) == reached(api)


def test_a_forgotten_or_invented_field_would_be_seen() -> None:
    """The comparison goes into messages inside messages, and both ways."""
    api = {name: dict(fields) for name, fields in messages().items()}
    api["StringMatch"]["suffix"] = None
    del api["HTTPRetry"]["backoff"]
    api["Percent"]["value"] = "Percent"
    del api["HTTPRewrite"]["uri"]
    found = set(differences("VirtualService", api))
    assert {
        ("http.match.uri.suffix", "forgotten"),
        ("http.retries.backoff", "ours"),
        ("http.mirrorPercentage.value", "shape"),
        ("http.rewrite.uri", "ours"),
    } <= found
