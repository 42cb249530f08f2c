from __future__ import annotations

import re
import signal

from reconciler.envoy.binary import EnvoyProcess
from tests.e2e.rig import Rig
from tests.e2e.test_daemon import Running, daemon


def on_ads(rig: Rig) -> None:
    """The gateway is pushed to by ADS from now on."""
    text = rig.gateway("edge")
    rig.commit({"policies/edge.yaml": re.sub(r"push: .*", "push: {ads: {}}", text)}, "Push to edge by ADS")
    rig.envoys["edge"].stop()


def connect(rig: Rig, running: Running) -> None:
    """Start the gateway's Envoy with the bootstrap for this daemon."""
    found = re.search(r" ADS on (127\.0\.0\.1:\d+)", running.text())
    assert found is not None
    ran = rig.command("bootstrap", "--proxy", "edge", "--ads", found[1])
    assert ran.code == 0, ran.err
    file = rig.folder / "edge.yaml"
    file.write_text(ran.out)
    envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{rig.admin('edge')}", log=rig.folder / "edge.log")
    rig.envoys["edge"] = envoy
    envoy.start()


def test_a_pass_over_proxies_on_ads_is_the_daemons(rig: Rig) -> None:
    """`reconcile` finds the daemon by itself, shows its result as its own, and says what to start where there is none."""
    on_ads(rig)
    alone = rig.command("-o", "json")
    assert alone.code == 1
    assert "ads-needs-daemon" in [item["code"] for item in alone.json()["errors"]]

    with daemon(rig, "--ads", "127.0.0.1:0", "--interval", "1h", "--drift-interval", "1h") as running:
        connect(rig, running)
        rig.wait(lambda: rig.receipts() != [] and "Proxies: 1/1" in rig.record(), "the gateway is live")
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        done = rig.command()
        assert done.code == 0, (done.err, running.text())
        assert done.err == ""
        assert "Recorded as " in done.out
        rig.share_is(30)
        again = rig.command("-o", "json", "--exit-code")
        assert (again.code, again.json()["summary"]["update"], again.json()["dry_run"]) == (0, 0, False)
        heard = rig.command("--author", "A <a@example.com>")
        assert (heard.code, "warning[daemon-options]: --author" in heard.err) == (0, True)
        unknown = rig.command("--select", "proxy/nobody")
        assert (unknown.code, "error[ref-proxy]" in unknown.err) == (1, True)

        status = rig.command("status")
        assert status.code == 0, status.err
        head, row = status.out.splitlines()[-2:]
        assert head.split() == ["PROXY", "STATE", "PENDING", "RECORDED", "PROOF", "CONNECTED", "VERIFIED", "WHY"]
        assert re.fullmatch(r"default/edge +in-sync +0 +applied +\w+ +yes +[0-9a-f]{7} \d+[smh] ago", row), row
        (proxy,) = rig.command("status", "-o", "json").json()["proxies"]
        connection = proxy["daemon"]["connection"]
        assert (connection["connected"], connection["held"]) == (True, [])
        assert connection["client"].startswith("envoy/")
        assert {"cluster", "listener", "route"} <= set(connection["acked"])

        rig.envoys["edge"].stop()
        rig.wait(lambda: " no " in rig.command("status").out, "the lost connection is shown")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert "Traceback" not in running.text()
    after = rig.command("status")
    assert "CONNECTED" not in after.out
    assert "error[ads-needs-daemon]" not in after.err
