"""What proxies are to have, as values that they share."""

from __future__ import annotations

from random import Random

from hypothesis import given as always
from hypothesis import strategies as st

from reconciler.model.resource import Resource, ResourceType, set_version
from reconciler.xds.sets import TYPES, Shelf

RESOURCES = st.lists(
    st.builds(Resource.of, st.sampled_from(ResourceType), st.sampled_from("abcdef"), st.sampled_from([b"1", b"2"])),
    unique_by=lambda item: item.id,
)


@always(st.lists(RESOURCES, max_size=4), st.randoms(use_true_random=False))
def test_equal_sets_are_one_object_whatever_was_asked_for_before(given: list[list[Resource]], random: Random) -> None:
    """A fleet with one view costs what one proxy costs, in whatever order its resources come; RUNTIME keys are left out."""
    shelf = Shelf()
    for resources in given:
        sets = shelf.sets(resources).sets
        random.shuffle(mixed := list(resources))
        again = shelf.sets(mixed).sets
        assert tuple(sets) == TYPES
        for type_ in TYPES:
            wanted = sorted((item for item in resources if item.id.type is type_), key=lambda item: item.id)
            assert again[type_] is sets[type_]
            assert [entry.resource for entry in sets[type_].entries.values()] == wanted
            assert type_ is ResourceType.ENDPOINTS or sets[type_].version == set_version(wanted)
