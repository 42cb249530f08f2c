"""What only a bootstrap uses is asked about too: the daemon's cluster and the observer's listener."""

from __future__ import annotations

import pytest

from reconciler.cycle.backstop.world import World
from reconciler.envoy.validation import Validator
from tests.compile.meshes import house_templates, mesh_of

_MESH = """
kind: Mesh
metadata: {name: mesh}
spec: {certificates: {certificateChain: /c/chain.pem, privateKey: /c/key.pem, rootCertificate: /c/root.pem}}
---
kind: Proxy
metadata: {name: plain}
spec: {labels: {a: b}, admin: "unix:///run/plain.sock", push: {files: {directory: /d}}}
---
kind: Proxy
metadata: {name: observed}
spec: {labels: {a: b}, admin: "https://edge.example:9443", push: {ads: {}}}
---
kind: Proxy
metadata: {name: streamed}
spec: {labels: {a: b}, push: {ads: {}}}
"""


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("", "", "", ""),
        ("cluster-ads.yaml", "connect_timeout: 2s", "connect_timeout: -2s", "positive duration"),
        ("listener-observer.yaml", "cluster: reconciler-admin", "cluster: elsewhere", "elsewhere"),
        ("listener-observer.yaml", "regex: /(", "regex: /((", "missing )"),
    ],
)
def test_envoy_is_asked_about_every_template_of_a_bootstrap(
    envoy: str, name: str, old: str, new: str, complaint: str
) -> None:
    """Wherever its proxy stands among others; what a proxy's host has is not needed."""
    assert envoy
    templates = house_templates()
    if name:
        assert old in templates[name]
        templates[name] = templates[name].replace(old, new)
    world = World(mesh_of(_MESH), templates)
    assert world.findings == []
    said = Validator().ask(world.bootstrap.SerializeToString()).complaint
    assert complaint in said if complaint else said == ""
