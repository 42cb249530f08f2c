from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.cycle.notices import Notice
from reconciler.model.key import Key
from reconciler.model.proxy import NotificationFormat
from reconciler.model.rollout import Phase
from reconciler.policy import load
from tests.cycle.test_notices import NOTICE
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.docs.newcomer import Newcomer
from tests.docs.shown import Reader
from tests.policy.memory import MemoryTree

PAGE = TOP / "docs" / "rollouts.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOP, EDGE, *EXAMPLES = blocks(PAGE, "yaml")
PEERS = {"from-argo-rollouts": 1, "from-flagger": 2}
"""Pages for those who come from another tool, and how many conversions each of them shows."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("q")


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def peer(page: str) -> Path:
    return TOP / "docs" / "howto" / f"{page}.md"


def documents(page: str) -> list[str]:
    """The examples of a page on another tool: its own form first."""
    return blocks(peer(page), "yaml")


def status(newcomer: Newcomer) -> dict[str, object]:
    """Where the rollout of the page stands."""
    return dict(json.loads(newcomer.do("reconcile rollout show shop --output json"))["rollout"])


def stands(newcomer: Newcomer, phase: str, step: int | None) -> None:
    """Wait until it does."""

    def there() -> bool:
        found = status(newcomer)
        return found["phase"] == phase and step in {None, found["step"]}

    newcomer.wait(there, f"{phase} at {step}")


@pytest.mark.long
def test_the_quick_start_works_as_it_is_written(folder: Path) -> None:
    """Every file and command, in order: it walks, waits, is aborted by what callers saw, tried again, held and promoted."""
    places = ("policies/shop.yaml", "policies/edge.yaml", "policies/rollout.yaml")
    awaited = {
        "reconcile daemon": ("Progressing", 3),
        "kill $(cat": ("Aborted", 3),
        "reconcile rollout retry": ("Progressing", 1),
        "reconcile rollout pause": ("Paused", None),  # on a busy machine a step later
        "reconcile rollout resume": ("Progressing", 3),
        "reconcile rollout promote": ("Succeeded", 5),
    }
    said = {}
    with Newcomer(folder, ports=("8080", "8001", "8002"), place="/tmp/shop") as newcomer:  # noqa: S108
        for command, printed in newcomer.follow(section("Quick start"), places):
            said[command] = printed
            for begin, (phase, step) in awaited.items():
                if command.startswith(begin):
                    stands(newcomer, phase, step)
        weights = (folder / "policies" / "shop.yaml").read_text()
    assert "a person has to promote it" in said["reconcile rollout show shop"]
    assert "success rate" in said["git log -1 main"]
    assert "weight: 0}  # comments stay" in weights
    shown = section("Quick start").rpartition("```text\n")[2].partition("\n```")[0]
    walked = said["git log --format='%h %an: %s' main"].splitlines()
    assert _told(walked) == _told(shown.replace("Pat", "pat@example.com").splitlines())
    assert "aborted" in said["reconcile rollout history shop"]
    assert (folder / "run" / "shop.svg").read_text().startswith("<svg")


def _told(lines: list[str]) -> list[str]:
    """What commits say, without their ids and where a person's pause came in between."""
    words = (line.partition(" ")[2] for line in lines)
    return sorted(re.sub(r"((?:pause|resume) v2|: (?:pause|resume)) ?.*", r"\1", line) for line in words)


@pytest.mark.parametrize("text", [*EXAMPLES, *(text for page in PEERS for text in documents(page)[1:])])
def test_every_example_is_valid_with_the_quick_starts_services(text: str) -> None:
    """What people copy loads, without a warning."""
    found = load(MemoryTree({"policies/a.yaml": SHOP, "policies/b.yaml": EDGE, "policies/c.yaml": text}))
    assert [str(item) for item in found.diagnostics] == []


@pytest.mark.parametrize("page", PEERS)
def test_a_manifest_of_another_tool_is_skipped_and_its_conversion_is_valid(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the form before is carried out in silence; the form after expands to what the page says."""
    before, *after = documents(page)
    skipped = load(MemoryTree({"policies/a.yaml": SHOP, "policies/b.yaml": EDGE, "policies/c.yaml": before}))
    assert {item.code for item in skipped.diagnostics} == {"skipped-kind"}
    assert len(after) == PEERS[page]
    (tmp_path / "policies").mkdir()
    for name, text in {"a": SHOP, "b": EDGE, "c": after[0]}.items():
        (tmp_path / "policies" / f"{name}.yaml").write_text(text)
    assert run(["validate", "--expand", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("setWeight: 100") == 1
    assert [printed] == after[1:] or len(after) == 1


@pytest.mark.long
@pytest.mark.parametrize("page", PEERS)
def test_the_way_from_another_tool_shows_what_is_seen(page: str, folder: Path) -> None:
    """Every command of the page in a repository with the quick start's service: converted, previewed, merged, and gone back."""
    spare = ("policies/canary.yaml", "policies/rollout.yaml", "expanded.yaml")
    text = peer(page).read_text(encoding="utf-8")
    with Reader(folder, ports=(), place="/tmp/shop") as reader:  # noqa: S108 -- as the page says
        for name, example in {"shop": SHOP, "edge": EDGE}.items():
            (folder / "policies" / f"{name}.yaml").write_text(reader.actual(example))
        reader.do("git add policies && git commit -q -m 'A shop'")
        done = list(reader.read(text, iter(spare)))
    assert done[-1] == "reconcile rollout list"
    assert len([line for line in text.splitlines() if line.startswith("$ ")]) == len(done)


def test_the_body_of_a_notification_is_the_documented_one() -> None:
    """What receivers parse has these fields, each with its row in the table."""
    (example,) = blocks(PAGE, "json")
    shown = json.loads(example)
    paused = replace(NOTICE, phase=Phase.PAUSED, rollout=Key("default", "shop"))
    assert list(shown) == list(_body(paused))
    table = section("Notifications").partition("| field |")[2]
    assert [name for name in shown if f"`{name}`" not in table] == []


def _body(notice: Notice) -> dict[str, object]:
    return notice.body(NotificationFormat.JSON)


@pytest.mark.parametrize("field", ["strategy", "rollbackWindow", "progressDeadlineAbort", "service"])
def test_what_the_tables_call_refused_is(field: str) -> None:
    """A field that is not carried out is named, with what to do."""
    text = documents("from-flagger")[1] + f"  {field}: {{}}\n"
    found = load(MemoryTree({"policies/a.yaml": SHOP, "policies/b.yaml": EDGE, "policies/c.yaml": text}))
    assert [item.code for item in found.diagnostics] == ["unsupported-field"]
    assert f"`{field}`" in "".join(peer(page).read_text(encoding="utf-8") for page in PEERS)
