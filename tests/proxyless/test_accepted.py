"""gRPC takes what is compiled for it, whatever the policies are."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from reconciler.model.key import Key
from reconciler.model.resource import ResourceType
from tests.compile.applications import application
from tests.compile.meshes import compiled
from tests.compile.strategies import texts
from tests.proxyless.lab import lab

_APP = application(namespace="shop")


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=texts())
def test_nothing_is_refused(documents: list[str]) -> None:
    """For any mesh, every resource that a client comes to is answered without an error, and every call in time."""
    key = Key("shop", "app")
    view = compiled(*documents, _APP).views[key]
    names = [item.id.name for item in view.of_type(ResourceType.LISTENER)]
    if not names:
        return
    with lab() as here:
        here.plane.publish(key, view.resources.values())
        client = here.client(_APP)
        for name in names:
            assert client.call(target=name, timeout=5.0)
        here.settled(key)
