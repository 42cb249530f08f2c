from __future__ import annotations

from reconciler.cli.render import _document
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.model.secrets import Certificate, secret_resource
from tests.push.lab import Shelf


def test_every_type_has_its_own_list() -> None:
    """Whatever a proxy should have is in the document, certificates by the names of their files."""
    shelf = Shelf("/d")
    certificate = Certificate("/a.pem", "/a.key")
    resources = [
        secret_resource(certificate),
        shelf.cluster("c"),
        shelf.endpoints("c", 1),
        shelf.listener("l", 1, "r"),
        shelf.route("r", c=1),
        Resource.of(ResourceType.RUNTIME, "a.b", b"1"),
    ]
    view = View.of(Key("default", "one"), resources)
    assert {item.id.type for item in resources} == set(ResourceType)
    document = _document(view)
    assert list(document) == ["listeners", "routes", "clusters", "endpoints", "secrets", "runtime"]
    assert document["secrets"][0]["tls_certificate"]["certificate_chain"] == {"filename": "/a.pem"}
