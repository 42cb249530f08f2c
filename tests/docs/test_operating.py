from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.configuration import assembled, in_force
from reconciler.cli.configuration.file import read_file
from reconciler.cycle.report import ExitCode
from reconciler.model.receipt import OutcomeKind
from reconciler.plan.guards import GUARD_CODES
from reconciler.push import Phase
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.e2e.rig import clean_environment

OPERATING = (TOP / "docs" / "operating.md").read_text(encoding="utf-8")
SETTINGS = (TOP / "docs" / "settings.md").read_text(encoding="utf-8")
PUSHING = (TOP / "docs" / "pushing.md").read_text(encoding="utf-8")
_ROLLOUT = ("list", "show", "history", "promote", "pause", "resume", "abort", "retry")
VERBS = (
    "",
    "daemon",
    "validate",
    "render",
    "bootstrap",
    "status",
    "services",
    "import kubernetes",
    "demo",
    *(f"rollout {verb}" for verb in _ROLLOUT),
)


@functools.cache
def helped(verb: str) -> str:
    """What `--help` says, on long lines."""
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", *verb.split(), "--help"],
        capture_output=True, text=True, check=True, env=clean_environment() | {"COLUMNS": "400"},
    )  # fmt: skip
    return done.stdout


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,2}} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[2]


def test_every_variable_is_listed() -> None:
    """What the environment can say is on the page, and nothing else is."""
    known = set(re.findall(r"RECONCILE_[A-Z_]+", helped("") + helped("daemon")))
    assert set(re.findall(r"RECONCILE_[A-Z_]+", SETTINGS)) == known


def test_the_example_of_a_settings_file_is_one(tmp_path: Path) -> None:
    """What the page shows can be copied."""
    (text,) = blocks(TOP / "docs" / "settings.md", "yaml")
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assembled(in_force(flags={}, environ={}, file=read_file(path)))


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        *(
            f"docs/{name}.md"
            for name in (
                "ads",
                "discovery",
                "operating",
                "policies",
                "proxyless-grpc",
                "pushing",
                "rollouts",
                "settings",
            )
        ),
    ],
)
def test_every_option_that_a_page_names_exists(page: str) -> None:
    """Nobody is told to use an option that there is not."""
    text = (TOP / page).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "reconcile" in line or line.startswith("| `--")]
    named = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    known = {option for verb in VERBS for option in re.findall(r"--[a-z][a-z-]+", helped(verb))}
    assert named - known <= {
        "--quiet",
        "--editable",
        "--format",
        "--system",
        "--disable-hot-restart",
        "--bind",
        "--directory",
    }


def test_every_guard_outcome_phase_and_exit_code_is_explained() -> None:
    """The words that users meet are on the pages."""
    assert set(re.findall(r"`(guard-[a-z-]+)` \|", section(OPERATING, "Guards"))) == GUARD_CODES
    assert set(re.findall(r"^\| `(\w+)` \|", section(PUSHING, "When something fails"), re.MULTILINE)) == set(
        OutcomeKind
    )
    assert re.findall(r"^\d\. \*\*(\w+)\*\*", section(PUSHING, "Phases"), re.MULTILINE) == list(Phase)
    codes = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert set(map(int, re.findall(r"^\| (\d) \|", section(OPERATING, "Exit codes"), re.MULTILINE))) == codes
