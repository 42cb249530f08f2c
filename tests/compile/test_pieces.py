"""Configurations taken apart: any choice of pieces is a bootstrap that Envoy reads, and all of them are the whole again."""

from __future__ import annotations

from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.address_pb2 import Address

from reconciler.compile.offline import offline
from reconciler.compile.pieces import Kind, Piece, assemble, batches, referred
from reconciler.envoy.validation import Validator
from reconciler.model.key import Key
from reconciler.model.protos import encode
from tests.compile.meshes import compiled, gateway_proxy, service, sidecar_proxy, workload

_SIDECAR = """
kind: Sidecar
metadata: {name: other, namespace: shop}
spec: {egress: [{hosts: ["shop/*"]}]}
"""
_MESH = (
    service("reviews"),
    service("cart", namespace="shop"),
    workload("reviews-v1", app="reviews", address="10.0.0.1"),
    workload("reviews-v2", app="reviews", address="10.0.0.2"),
    workload("cart-v1", app="cart", address="10.0.0.3", namespace="shop"),
    *(sidecar_proxy(name) for name in ("reviews-v1", "reviews-v2")),
    sidecar_proxy("cart-v1", namespace="shop"),
    gateway_proxy(),
)


def _parts(*texts: str) -> dict[Key, Any]:
    return {key: offline(view) for key, view in compiled(*texts).views.items()}


def _pieces(*texts: str) -> tuple[Piece, ...]:
    (batch,) = batches(_parts(*texts), {})
    return batch.pieces()


def test_all_pieces_are_the_whole() -> None:
    """Taking apart and putting together loses nothing and adds nothing."""
    parts = _parts(*_MESH[:1], _MESH[2], _MESH[5])
    (batch,) = batches(parts, {})
    pieces = batch.pieces()
    whole = assemble(Bootstrap(), pieces, range(len(pieces)), (), named=())
    (offline_,) = parts.values()
    assert [encode(item) for item in whole.static_resources.clusters] == [encode(item) for item in offline_.clusters]
    assert [encode(item) for item in whole.static_resources.listeners] == [encode(item) for item in offline_.listeners]


def test_proxies_share_a_bootstrap_unless_they_contradict_each_other() -> None:
    """What two proxies have alike is asked about once; two contents of one name or address never meet."""
    parts = _parts(*_MESH, _SIDECAR)
    found = batches(parts, {})
    together = {key: number for number, batch in enumerate(found) for key in batch.proxies}
    assert set(together) == set(parts)
    assert together[Key("default", "reviews-v1")] == together[Key("default", "reviews-v2")]
    assert together[Key("default", "reviews-v1")] != together[Key("shop", "cart-v1")]
    shared = next(piece for piece in found[0].pieces() if piece.kind is Kind.LISTENER and len(piece.proxies) > 1)
    assert shared.name == "127.0.0.1_9080"


def test_admin_addresses_are_shown_to_envoy_by_proxy() -> None:
    """They are all that differs between the bootstraps of two proxies."""
    address = Address()
    address.pipe.path = "/run/a.sock"
    parts = _parts(*_MESH)
    key = next(iter(parts))
    pieces = [piece for batch in batches(parts, {key: address}) for piece in batch.pieces()]
    (found,) = (piece for piece in pieces if piece.kind is Kind.ADMIN)
    assert found.proxies == (key,)
    assert "/run/a.sock" in str(found.body)


def test_any_choice_of_pieces_is_taken_by_a_real_envoy() -> None:
    """A stand-in for a refused piece is never itself refused: not alone, and not with everything inside of it."""
    validator = Validator()
    pieces = _pieces(*_MESH[:1], *_MESH[2:4], *_MESH[5:7])
    everything = set(range(len(pieces)))
    inner = {number for number, piece in enumerate(pieces) if piece.kind is Kind.ROUTE}
    assert inner
    for kind in Kind:
        of_kind = {number for number, piece in enumerate(pieces) if piece.kind is kind}
        for chosen, refused in ((of_kind, set()), (everything, of_kind), (inner, everything - inner)):
            message = assemble(Bootstrap(), pieces, chosen, refused, named=())
            assert validator.ask(message.SerializeToString()).complaint == "", (kind, refused)


def test_what_is_refused_is_gone_and_its_name_is_not() -> None:
    """A route to a refused cluster is not itself refused: something of that name is still there."""
    pieces = _pieces(*_MESH[:1], _MESH[2], _MESH[5])
    number, cluster = next(
        (number, piece) for number, piece in enumerate(pieces) if piece.kind is Kind.CLUSTER and "reviews" in piece.name
    )
    whole = assemble(Bootstrap(), pieces, range(len(pieces)), {number}, named={number})
    (found,) = (item for item in whole.static_resources.clusters if item.name == cluster.name)
    assert found != cluster.body
    assert not found.load_assignment.endpoints


def test_names_are_kept_for_references_that_envoy_checks() -> None:
    """Routes only if their configuration wants it, which is Envoy's default where nothing is said."""
    texts = (_MESH[0], _MESH[2], _MESH[5])
    assert referred(_pieces(*texts)) == frozenset()
    (batch,) = batches(
        {
            key: offline(view)
            for key, view in compiled(*texts, route_configuration="validate_clusters: true\n").views.items()
        },
        {},
    )
    pieces = batch.pieces()
    clusters = {number for number, piece in enumerate(pieces) if piece.kind is Kind.CLUSTER}
    assert clusters
    assert referred(pieces) == clusters
