"""What registries list, between passes and the path of endpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.discovering import Discovery
from reconciler.cycle.lately import Lately
from reconciler.cycle.report import Stopwatch, silent
from reconciler.discovery import Merger, Newest, Registries
from reconciler.errors import BugError
from reconciler.model.discovered import Catalogue, Found
from reconciler.model.discovery import FileSd, Registry
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Endpoint
from reconciler.push import Channel
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.discovery.declaring import HTTP, catalogue, instance
from tests.policy.memory import BASE, MemoryTree

_REGISTRIES = """\
---
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {discovery: [{name: %s, fileSd: {files: [/nowhere/x.json]}}]}
"""
_A, _X = "a.default.svc.cluster.local", "x.default.svc.cluster.local"


def _desired(compiler: Compiler, *hosts: str, registry: str = "a") -> Desired:
    """What a commit asks for while a registry lists these hosts."""
    found = [(registry, Found(host=host, ports=(HTTP,), instances=(instance("10.0.0.1"),))) for host in hosts]
    compiler.discover(catalogue(*found) if found else Catalogue())
    watch = Stopwatch(silent)
    return compiler.desired(MemoryTree({"policies/all.yaml": BASE + _REGISTRIES % registry}), watch)


def test_hosts_that_registries_drop_are_still_theirs() -> None:
    """That their clusters go is no matter of Git's; of a host that Git declares everything is, and so it is without the registry."""
    lately, compiler = Lately(), Compiler()
    assert lately.listed(_desired(compiler, _A, _X)) == {_X}
    assert lately.listed(_desired(compiler, _A)) == {_X}
    assert lately.listed(_desired(compiler)) == {_X}
    assert lately.listed(_desired(compiler, registry="b")) == set()
    assert Lately().listed(_desired(compiler)) == set()


def test_an_account_that_was_seen_between_passes_is_trusted_by_the_next() -> None:
    """Though it is gone when that begins: nobody would ask for a pass when it comes back, for nothing would be new."""
    compiler = Compiler()
    _desired(compiler, _X)
    where = _desired(compiler, _X).mesh
    seen = Found(host=_X, ports=(HTTP,), instances=(instance("10.0.0.2", service_account="sa"),))
    Merger(compiler.accounts).merged((), where, catalogue(("a", seen)))
    (service,) = (item for item in _desired(compiler, _X).services if item.host == _X)
    assert service.accounts == {"sa"}


class _Broken:
    """A recipe with a fault."""

    host = _A

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """See `model.resource.Recipe`."""
        if endpoints:
            raise ZeroDivisionError("shares")
        made = Resource.of(ResourceType.ENDPOINTS, "broken", b"")
        return Resource(made.id, made.body, made.version, self)


def test_endpoints_that_cannot_be_made_are_complained_about_once(tmp_path: Path) -> None:
    """It is a fault of ours: whoever reads the log learns whose endpoints stay as they were, and why."""
    targets = tmp_path / "x.json"
    targets.write_text(json.dumps([{"targets": ["10.0.0.1:8080"], "labels": {"job": _A}}]))
    newest, log = Newest(), logging.getLogger("test")
    plane, clock = Plane(fresh=newest.fresh), SystemClock()
    plane.publish(Key("default", "p"), [_Broken().at(())])
    registries = Registries(clock=clock, cache=None, on_change=lambda: None, log=log)
    channel = Channel(plane=plane, clock=clock, settings=AdminSettings(), fresh=newest.fresh)
    try:
        with channel:
            discovery = Discovery(registries, newest, channel=channel)
            discovery.adopt(_desired(Compiler()))
            registries.configure([Registry(name="a", file_sd=FileSd(files=(str(targets),)))], domain="cluster.local")
            assert registries.settled(10)
            with pytest.raises(BugError, match=rf"endpoints of {_A} stay as they were: ZeroDivisionError\('shares'\)"):
                discovery.deliver()
            assert discovery.deliver()  # nothing new; a pass has yet to take in that the service is listed
    finally:
        registries.close()


def test_before_the_first_pass_is_done_a_change_takes_another() -> None:
    """What is new since that pass began would be seen by nobody otherwise: a change is announced once until it is read."""
    registries = Registries(clock=SystemClock(), cache=None, on_change=lambda: None, log=logging.getLogger("test"))
    discovery = Discovery(registries)
    assert discovery.deliver()
    discovery.adopt(_desired(Compiler()))
    assert not discovery.deliver()
    registries.close()


def test_endpoints_that_were_just_sent_are_under_way(tmp_path: Path) -> None:
    """A proxy that was asked before they arrived has not drifted: for a moment nobody plans them."""
    targets = tmp_path / "b.json"
    targets.write_text(json.dumps([{"targets": ["10.0.0.1:80"], "labels": {"job": "a"}}]))
    registries = Registries(clock=SystemClock(), cache=None, on_change=lambda: None, log=logging.getLogger("test"))
    newest = Newest()
    with Channel(plane=None, clock=SystemClock(), settings=AdminSettings(), fresh=newest.fresh) as channel:
        discovery = Discovery(registries, newest, channel=channel)
        try:
            discovery.adopt(_desired(Compiler(), _A))
            assert not discovery.under_way(_A)
            registries.configure([Registry(name="a", file_sd=FileSd(files=(str(targets),)))], domain="cluster.local")
            assert registries.settled(10)
            discovery.deliver()
            assert discovery.under_way(_A)
            assert not discovery.under_way("another.default.svc.cluster.local")
            discovery.asks()
            time.sleep(1.0)  # longer than a moment: a slow look at many proxies
            assert discovery.under_way(_A)
            discovery.asks()
            assert not discovery.under_way(_A)
        finally:
            registries.close()


def test_a_head_that_guards_refuse_is_tried_again_when_instances_change() -> None:
    """It may wait for just that: a subset gets no traffic before it has an instance."""
    registries = Registries(clock=SystemClock(), cache=None, on_change=lambda: None, log=logging.getLogger("test"))
    discovery = Discovery(registries)
    discovery.adopt(_desired(Compiler()))
    discovery.refused()
    assert discovery.deliver()
    discovery.in_force()
    assert not discovery.deliver()
    registries.close()
