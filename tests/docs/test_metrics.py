"""The page of metrics, the alert rules and the dashboard: each names what there is, and Prometheus takes all of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.daemon.metrics import FAMILIES, Form
from tests.docs.metrics import MONITORING, PAGE, current, rules

DASHBOARD = MONITORING / "reconciler-dashboard.json"
_METRIC = re.compile(r"\b(?:reconciler|process)_[a-z_]+\b")
_PROCESS = frozenset(
    {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds"}
)


def names() -> set[str]:
    """Every name that a query may use."""
    found = set(_PROCESS)
    for item in FAMILIES:
        if item.form is Form.HISTOGRAM:
            found |= {f"{item.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            found.add(item.name)
    return found


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, cwd=MONITORING, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Of the dashboard, with Grafana's variables as it fills them in."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for query in (*found, *(item["expr"] for item in dashboard["annotations"]["list"])):
        yield query.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*")


def test_the_page_says_what_the_source_says() -> None:
    """`python -m tests.docs.metrics` writes its tables anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert current(text) == text


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    """By promtool: a case in which it fires with its words, and a near miss; no rule is without."""
    promtool("check", "rules", "reconciler-alerts.yaml")
    promtool("test", "rules", "reconciler-alerts.test.yaml")
    tested = re.findall(
        r"^- name: (\w+) (fires|is quiet)$", (MONITORING / "reconciler-alerts.test.yaml").read_text(), re.MULTILINE
    )
    wanted = [(rule["alert"], half) for rule in rules() for half in ("fires", "is quiet")]
    assert tested == wanted


def test_queries_name_only_what_is_exposed(tmp_path: Path) -> None:
    """A query for a metric that there is not is an empty panel and an alert that never fires; each one is parsed, too."""
    asked = [*queries(), *(str(rule["expr"]) for rule in rules())]
    assert {name for query in asked for name in _METRIC.findall(query)} - names() == set()
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(asked)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in promtool("check", "rules", str(file))


def test_every_metric_of_ours_has_a_place_on_the_dashboard_or_in_an_alert() -> None:
    """What nobody looks at needs not be counted."""
    asked = " ".join([*queries(), *(str(rule["expr"]) for rule in rules())])
    assert [item.name for item in FAMILIES if item.name not in asked] == []


def test_the_dashboard_is_laid_out() -> None:
    """Every panel has a title, a place of its own within 24 columns, and a datasource that whoever imports it chooses."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    identities = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(identities) == len(set(identities))


def test_prometheus_takes_the_example_of_the_page(tmp_path: Path) -> None:
    """With the files that it names."""
    (example,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name in ("reconciler.token", "reconciler-ca.pem"):
        (tmp_path / name).write_text("x")
    file = tmp_path / "prometheus.yml"
    file.write_text(example.replace("/etc/prometheus", str(tmp_path)))
    promtool("check", "config", "--syntax-only", str(file))
