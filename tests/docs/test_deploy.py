"""The files to deploy with: what they start, name and mount is there, and fits together."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.cli.configuration import assembled, in_force, table
from reconciler.cli.configuration.file import read_file
from reconciler.settings import Settings
from reconciler.yamldoc import load
from tests.docs.generate import TOP

DEPLOY = TOP / "docs" / "deploy"
UNIT = DEPLOY / "systemd" / "envoy-reconciler.service"
VARIABLES = {item.variable for item in table().values()} | {"RECONCILE_CONFIG"}


@pytest.fixture(scope="module")
def manifests() -> Mapping[str, Any]:
    """Every manifest by kind and name."""
    found = {}
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for item in load(path.read_bytes(), file=path.name):
            found[f"{item['kind']}/{item['metadata']['name']}"] = item
    return found


@pytest.fixture
def settings(manifests: Mapping[str, Any], tmp_path: Path) -> Settings:
    """What the settings file of the ConfigMap says."""
    path = tmp_path / "settings.yaml"
    path.write_text(manifests["ConfigMap/envoy-reconciler"]["data"]["settings.yaml"])
    return assembled(in_force(flags={}, environ={}, file=read_file(path)))


def container(manifests: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = manifests["Deployment/envoy-reconciler"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def accepted(arguments: list[str], settings: Path) -> bool:
    """Whether the daemon would take this command line."""
    named = [str(settings) if item.endswith("/settings.yaml") else item for item in arguments]
    return run([*named, "--print-config"]) == 0


def test_the_unit_is_one(tmp_path: Path) -> None:
    """The real systemd reads it without a word, and finds little that it could take from the daemon."""
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is not installed; .ci/packages installs it")
    program = Path(sys.executable).with_name("reconcile")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/envoy-reconciler/bin/reconcile", str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if UNIT.name in line]) == (0, [])
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


def test_what_the_unit_starts_exists(tmp_path: Path) -> None:
    """Its command line is taken by the daemon, and its variables are settings."""
    text = UNIT.read_text()
    (start,) = re.findall(r"^ExecStart=\S+/reconcile (.*)$", text, re.MULTILINE)
    (tmp_path / "settings.yaml").write_text("ads: {address: '127.0.0.1:0'}\n")
    assert accepted(shlex.split(start), tmp_path / "settings.yaml")
    assert set(re.findall(r"^Environment=(RECONCILE_\w+)=", text, re.MULTILINE)) <= VARIABLES


def test_what_the_container_starts_exists(tmp_path: Path) -> None:
    """Its command line is taken by the daemon, it is no root, and it has the programs that are called."""
    text = (DEPLOY / "Containerfile").read_text()
    entry, command = (
        load(match.encode())[0] for match in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE)
    )
    assert entry[-1] == "reconcile"
    assert accepted(command, tmp_path)
    assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
    assert {"git", "openssh-client", "ca-certificates", entry[0]} <= set(text.split())


def test_the_pod_is_started_with_settings_that_are_taken(
    manifests: Mapping[str, Any], settings: Settings, tmp_path: Path
) -> None:
    """Flags, variables and the file, as the pod would have them."""
    pod = container(manifests)
    path = tmp_path / "settings.yaml"
    path.write_text(manifests["ConfigMap/envoy-reconciler"]["data"]["settings.yaml"])
    assert accepted(pod["args"], path)
    assert {item["name"] for item in pod["env"]} <= VARIABLES
    ports = {item["name"]: str(item["containerPort"]) for item in pod["ports"]}
    assert settings.ads.address.endswith(f":{ports['ads']}")
    assert settings.http.address.endswith(f":{ports['http']}")
    served = manifests["Service/envoy-reconciler"]["spec"]["ports"]
    assert {item["targetPort"] for item in served} == ports.keys()
    tls = "HTTPS" if settings.http.certificate else "HTTP"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = pod[probe]["httpGet"]
        assert (get["path"], get["port"], get["scheme"]) in {("/healthz", "http", tls), ("/readyz", "http", tls)}


def test_every_file_that_settings_name_is_mounted(manifests: Mapping[str, Any], settings: Settings) -> None:
    """A secret that is named is in the Secret that is mounted there."""
    pod = container(manifests)
    volumes = {
        item["name"]: item for item in manifests["Deployment/envoy-reconciler"]["spec"]["template"]["spec"]["volumes"]
    }
    there = set()
    for mount in pod["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "secret" in volume:
            secret = manifests[f"Secret/{volume['secret']['secretName']}"]
            there |= {f"{mount['mountPath']}/{key}" for key in secret["stringData"]}
    named = {settings.ads.certificate, settings.ads.key, settings.ads.client_ca, settings.http.certificate}
    named |= {settings.http.key, settings.http.tokens, *settings.http.webhooks.values()}
    named |= {item["value"] for item in pod["env"] if item["name"].endswith("_FILE")}
    assert named - {""} <= there


def test_there_is_one_daemon_and_it_is_no_root(manifests: Mapping[str, Any]) -> None:
    """A second one beside it, for as long as a rolling update takes, would push against it."""
    deployment = manifests["Deployment/envoy-reconciler"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert deployment["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container(manifests)["securityContext"]["readOnlyRootFilesystem"] is True


def test_manifests_fit_together(manifests: Mapping[str, Any]) -> None:
    """Selectors, accounts and roles name what is there; the role is what the documentation asks for."""
    labels = manifests["Deployment/envoy-reconciler"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        manifests["Service/envoy-reconciler"]["spec"]["selector"],
        manifests["NetworkPolicy/envoy-reconciler"]["spec"]["podSelector"]["matchLabels"],
        manifests["Deployment/envoy-reconciler"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    account = manifests["Deployment/envoy-reconciler"]["spec"]["template"]["spec"]["serviceAccountName"]
    assert f"ServiceAccount/{account}" in manifests
    (example,) = (
        item
        for text in re.findall(r"```yaml\n(.*?)```", (TOP / "docs" / "discovery.md").read_text(), re.DOTALL)
        for item in load(text.encode())
        if isinstance(item, dict) and item.get("kind") == "ClusterRole"
    )
    assert manifests["ClusterRole/envoy-reconciler"]["rules"] == example["rules"]
    binding = manifests["ClusterRoleBinding/envoy-reconciler"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "envoy-reconciler"}]
