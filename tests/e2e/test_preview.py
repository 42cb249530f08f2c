"""Dry runs of a mesh on ADS: who is asked, what they see, and what is missing where no daemon is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.demo.commands import Daemon
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import Rig, git
from tests.e2e.sidecars import Sidecars
from tests.e2e.test_asked import connect, on_ads
from tests.e2e.test_daemon import daemon

_LOG = "envoy-templates/access-log.yaml"


class Quiet(Sidecars):
    """A daemon that looks at Git only when it is asked."""

    def _daemon(self) -> Daemon:
        return Daemon(
            "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}", "--interval", "1h", "--drift-interval", "1h",
            environ=self.environ,
            log=self.folder / "daemon.log",
        )  # fmt: skip

    def refs(self) -> str:
        return git("-C", str(self.repo), "for-each-ref")

    def socket(self) -> Path:
        (found,) = self.folder.glob("envoy-reconciler/*.sock")
        return found


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    """A caller and two instances, one of which Git has no Proxy of."""
    with Quiet(tmp_path_factory.mktemp("q"), announced=frozenset({"b-2"})) as mesh:
        mesh.start_all()
        mesh.wait(lambda: "proxies/default/b-2.yaml" in mesh.files_recorded(), "the announced proxy to be recorded")
        yield mesh


@pytest.mark.long
def test_a_dry_run_sees_whom_the_daemon_sees_and_its_digest_is_what_is_applied(mesh: Quiet) -> None:
    """Proxies that announced themselves are in the plan; nothing is touched; the pass with its digest does just that."""
    mesh.commit({_LOG: mesh.files()[_LOG].replace("request=", "r=")}, "Change every listener's log")
    before = mesh.refs()
    dry = mesh.command("--dry-run", "-o", "json")
    assert (dry.code, dry.err) == (0, "")
    assert dry.json()["dry_run"] is True
    changed = {item["proxy"] for item in dry.json()["proxies"] if item["changes"]}
    assert changed == {"default/a-1", "default/b-1", "default/b-2"}
    assert dry.json()["warnings"] == []

    named = mesh.command("--dry-run", "-o", "json", "--daemon", str(mesh.socket()), "--exit-code")
    assert (named.code, named.json()["digest"]) == (2, dry.json()["digest"])
    one = mesh.command("--dry-run", "-o", "json", "--select", "proxy/b-2")
    assert [item["proxy"] for item in one.json()["proxies"]] == ["default/b-2"]
    nobody = mesh.command("--dry-run", "--select", "proxy/nobody")
    assert (nobody.code, "error[ref-proxy]" in nobody.err) == (1, True)
    with HttpClient(f"unix://{mesh.socket()}", AdminSettings()) as http:
        both = http.post_json("/v1/passes", {"ref": "main", "dry_run": True, "plan_digest": dry.json()["digest"]})
        assert (both.status, b'"usage"' in both.body) == (400, True)
    assert mesh.refs() == before, "a dry run touches nothing"

    stale = mesh.command("--plan-digest", "abc")
    assert (stale.code, "error[plan-digest]" in stale.out + stale.err) == (3, True)
    done = mesh.command("--plan-digest", dry.json()["digest"])
    assert done.code == 0, (done.out, done.err)
    assert mesh.receipts()[0] == (mesh.head(), "applied")
    assert "Plan: no changes" in mesh.command("--dry-run").out

    assert mesh.daemon.stop() == 0
    alone = mesh.command("--dry-run", "-o", "json")
    assert (alone.code, [item["code"] for item in alone.json()["warnings"]]) == (0, ["ads-preview"])
    assert [item["proxy"] for item in alone.json()["proxies"]] == ["default/a-1", "default/b-1"]


@pytest.mark.long
def test_proxies_that_do_not_run_are_the_daemons_too(rig: Rig) -> None:
    """Nobody can be asked here: that and the missing daemon are said; with a daemon, what it finds is the result."""
    on_ads(rig)
    alone = rig.command("-o", "json")
    assert alone.code == 1
    assert {"admin-unreachable", "ads-needs-daemon"} <= {item["code"] for item in alone.json()["errors"]}
    digest = rig.command("-o", "json", "--plan-digest", "abc")
    assert {"admin-unreachable", "ads-needs-daemon"} <= {item["code"] for item in digest.json()["errors"]}
    with daemon(rig, "--ads", "127.0.0.1:0", "--interval", "1h", "--drift-interval", "1h") as running:
        asked = rig.command("-o", "json")
        assert asked.code == 4, asked.out
        assert [item["outcome"] for item in asked.json()["outcomes"]] == ["unreachable"]
        assert "ads-needs-daemon" not in asked.out + asked.err
        local = rig.command("--dry-run", "--work-tree", "--repo", ".", where=str(rig.clone))
        assert local.out.count("warning[ads-preview]") == 1, "uncommitted files are no daemon's"
        preview = rig.command("--dry-run", "-o", "json")
        assert preview.code == 1, "a dry run that could ask nobody has nothing to say"
        assert [item["code"] for item in preview.json()["errors"]] == ["admin-unreachable"]
        connect(rig, running)
        rig.wait(lambda: "Proxies: 1/1" in rig.record(), "the gateway is live")
        assert rig.command("--dry-run", "--exit-code").code == 0
