"""The page of services' metrics, logs and traces: what it shows is taken by the product, by Prometheus, and is what is logged."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from reconciler.errors import Severity
from reconciler.policy import load
from reconciler.yamldoc import load as read
from tests.compile.meshes import house_templates
from tests.policy.memory import MemoryTree

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "monitoring.md"


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_policies_of_the_page_are_valid() -> None:
    """The Mesh that it begins with, and the collector."""
    files = {f"policies/{number}.yaml": text for number, text in enumerate(blocks("yaml")) if "kind:" in text}
    found = load(MemoryTree(files)).diagnostics
    assert len(files) == 2
    assert [item for item in found if item.severity is Severity.ERROR] == []


def test_prometheus_takes_the_settings_of_the_page(tmp_path: Path) -> None:
    """The job that finds the fleet, and the rules that it names."""
    (example,) = (text for text in blocks("yaml") if "scrape_configs" in text)
    (tmp_path / "reconciler.token").write_text("x")
    rules = TOP / "docs" / "monitoring" / "istio-compatible-rules.yaml"
    (tmp_path / rules.name).write_text(rules.read_text())
    file = tmp_path / "prometheus.yml"
    file.write_text(example.replace("/etc/prometheus", str(tmp_path)))
    promtool("check", "config", str(file))


def test_prometheus_takes_the_queries_of_the_page(tmp_path: Path) -> None:
    """Each of them, by itself."""
    (text,) = blocks("promql")
    queries = text.replace("\n  /", " /").splitlines()
    assert len(queries) == 2
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_page_explains_every_field_of_a_log() -> None:
    """Those of the template, and no others."""
    (template,) = read(house_templates()["access-log.yaml"].encode())
    section = PAGE.read_text(encoding="utf-8").partition("## Access logs")[2].partition("## Traces")[0]
    rows = section.partition("| field | says |")[2].splitlines()
    named = {name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(template["typed_config"]["log_format"]["json_format"])
