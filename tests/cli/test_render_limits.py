from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.yamldoc import load

_POLICIES = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: rates}
spec:
  hosts: [rates.example.com]
  resolution: STATIC
  ports: [{number: 8081, name: grpc, protocol: GRPC}]
  endpoints: [{address: 10.0.0.9}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a}
spec: {address: 10.0.0.1, labels: {app: a}}
"""
_LIMIT = """\
---
apiVersion: reconciler/v1alpha1
kind: RateLimit
metadata: {{name: {name}}}
spec:
  target: {{workloads: {{labels: {{app: {app}}}}}}}
  global:
    service: {{host: rates.example.com}}
    domain: {domain}
    limits: [{limits}]
"""
_USERS = "{name: users, requests: 5, unit: MINUTE, by: [{header: X-User}]}"
_ALL = "{name: all, requests: 100, unit: SECOND}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A work tree whose policies nobody committed."""
    subprocess.run(("git", "init", "-q", "-b", "main", str(tmp_path)), check=True)
    (tmp_path / "policies").mkdir()
    return tmp_path


def _render(checkout: Path, policies: str, *more: str) -> int:
    (checkout / "policies" / "all.yaml").write_text(policies)
    return run(["render", "--rate-limits", "--work-tree", "--repo", str(checkout), *more])


def test_a_domain_is_a_file_of_the_reference_service(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Limits of several documents of one domain stand together; one that two documents have stands once."""
    policies = (
        _POLICIES
        + _LIMIT.format(name="one", app="a", domain="shop", limits=f"{_USERS}, {_ALL}")
        + _LIMIT.format(name="two", app="b", domain="shop", limits=f"{_ALL}, {_USERS.replace('users', 'more')}")
        + _LIMIT.format(name="far", app="c", domain="far", limits=_ALL)
    )
    assert _render(checkout, policies, "--domain", "shop") == 0
    assert (
        capsys.readouterr().out
        == """\
domain: shop
descriptors:
- key: limit
  value: all
  rate_limit:
    unit: second
    requests_per_unit: 100
- key: limit
  value: more
  descriptors:
  - key: x-user
    rate_limit:
      unit: minute
      requests_per_unit: 5
- key: limit
  value: users
  descriptors:
  - key: x-user
    rate_limit:
      unit: minute
      requests_per_unit: 5
"""
    )
    assert _render(checkout, policies) == 0
    out = capsys.readouterr().out
    assert [document["domain"] for document in load(out.encode())] == ["far", "shop"]
    assert _render(checkout, policies, "--output", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"domains": list(load(out.encode()))}


def test_a_name_with_two_meanings_in_a_domain_is_an_error(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A service could have only one of the two, so nothing is printed for it."""
    policies = (
        _POLICIES
        + _LIMIT.format(name="one", app="a", domain="shop", limits=_ALL)
        + _LIMIT.format(name="two", app="b", domain="shop", limits=_ALL.replace("SECOND", "HOUR"))
    )
    assert _render(checkout, policies) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("error[ref-duplicate-limit]: the domain shop has another limit all") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--domain", "shp"], "no RateLimit here has the domain shp"),
        (["--proxy", "a"], "either --proxy NAME or --rate-limits"),
    ],
)
def test_what_cannot_be_rendered_is_said(
    checkout: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A slip on the command line is an error of use, with what there is."""
    assert (
        _render(checkout, _POLICIES + _LIMIT.format(name="one", app="a", domain="shop", limits=_ALL), *arguments) == 1
    )
    assert said in capsys.readouterr().err


def test_markdown_is_no_configuration(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is for a service to read."""
    assert _render(checkout, _POLICIES, "--output", "markdown") == 1
    assert "render prints YAML" in capsys.readouterr().out


def test_without_global_limits_there_is_nothing_to_render(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file would be a configuration too, and one that nobody meant."""
    assert _render(checkout, _POLICIES) == 1
    assert "no RateLimit here has global limits" in capsys.readouterr().err
    assert run(["render", "--proxy", "a", "--domain", "shop"]) == 1
    assert "--domain is for --rate-limits" in capsys.readouterr().err
