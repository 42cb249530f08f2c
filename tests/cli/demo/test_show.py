from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.demo.leftovers import processes_of, wait_until_gone

DEMO = [sys.executable, "-m", "reconciler", "demo"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private TMPDIR with a short path."""
    with tempfile.TemporaryDirectory(prefix="t-") as path:
        yield Path(path).resolve()


def environ(folder: Path, **more: str) -> dict[str, str]:
    """What a user's shell gives the demo, with a TMPDIR that shows what is left behind."""
    return os.environ | {"TMPDIR": str(folder)} | more


@pytest.mark.long
def test_the_show_proves_what_it_says_and_leaves_nothing(folder: Path) -> None:
    """The whole demo: every claim is checked by itself, so it is enough that it ends well and tells its story."""
    done = subprocess.run(DEMO, env=environ(folder), capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    wait_until_gone(folder)
    scenes = re.findall(r"^(\d+)  (.+)$", done.stdout, flags=re.MULTILINE)
    assert [int(number) for number, _ in scenes] == list(range(1, len(scenes) + 1))
    assert "\x1b" not in done.stdout
    for story in (
        r"live on 7/7 proxies",
        r"productpage-v1 +:\d+ +→ outbound\|9080\|v1\|reviews\.default\.svc\.cluster\.local +→ :\d+ +200, \d+ bytes",
        r"reviews-v1 +:\d+ +→ inbound\|\d+\|\| +→ :\d+ +200, \d+ bytes",
        r"Counters of all 7 Envoys, before and after: these 6 grew by 1",
        r"(\d+) of \1 users saw nothing else",
        r"One route configuration was sent, to productpage-v1",
        r"default/productpage-v1 +in-sync +0 +applied +exact +yes",
        r"~ route .*\(change\)",
        r"policies/reviews/traffic\.yaml:\d+:\d+: error\[",
        r"Ada +Let reviews v2 walk to 100%",
        r"envoy-reconciler +canary\(reviews\): start v2 at 1% \(step 1/7\)",
        r"Git says 99 / 1; \d+ requests, 0 failed",
        r"Git says 90 / 10; \d+ requests, 0 failed",
        r"Git says 50 / 50; \d+ requests, 0 failed",
        r"reviews v2 50% -> 100% live on 7/7 proxies",
        r"v2 has all traffic, succeeded \(step 7/7\)",
        r"v3 had its 10%, (\d+) of \d+ requests, and failed \d+ of them",
        r"canary\(reviews\): abort, v3 back to 0% .*\n.*\n.*success rate \d\d(\.\d)?% < 99%",
        r"phase +Aborted",
        r"aborted \(golden-signals/request-success-rate failed",
        r"(\d+) requests failed, exactly those that v3 failed as it was told",
        r"[\d,]{5,} requests, each answered once: [1-9]\d* failed by v3 as it was told, 0 others failed, 0 lost, 0 repeated",
        r"created, 1 updated live on 8/8 proxies",
        r"The endpoints of details were sent to productpage-v1",
        r"Served since then: details-v1 \d+, details-v2 \d+; 0 failed",
        r"v4 is listed: it had its first request \d+ ms after the file was renamed",
        r"\"__health__\": \"draining\".*\n.* v4 drains: (its last request came \d+ ms|it had no request) after that, and the others served the next 100",
        r"version=v3 .* healthy +targets",
        r"version=v4 .* draining +targets",
        r"v4 is listed no more: productpage-v1's Envoy had forgotten it \d+ ms later",
        r"Meanwhile: \d+ requests, 0 failed; no commit on any branch; productpage-v1 was sent [3-9] lists of endpoints",
        r"reconcile demo --keep",
    ):
        assert re.search(story, done.stdout), story


@contextmanager
def running(folder: Path, *arguments: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """The demo as a child process, which a failing test does not wait for."""
    process = subprocess.Popen([*DEMO, *arguments], env=environ(folder, TERM="xterm-256color"), text=True, **more)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ending_it_early_is_calm(folder: Path, signum: signal.Signals) -> None:
    """Ctrl-C in the middle takes everything down, says so, and gives the exit code that shells expect."""
    with running(folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(line.startswith("3  ") for line in iter(process.stdout.readline, ""))
        process.send_signal(signum)
        rest = process.stdout.read()
        assert (process.wait(30), process.stderr.read()) == (128 + signum, "")
    assert rest.endswith("Interrupted. Everything that was started has ended, and nothing is left behind.\n\n")
    wait_until_gone(folder)


@pytest.mark.long
def test_on_a_terminal_ctrl_c_leaves_the_cursor_as_it_was(folder: Path) -> None:
    """The live line hides the cursor; whatever ends the demo, it is shown again."""
    ours, terminal = pty.openpty()
    seen = b""
    with running(folder, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        while b"req/s" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # how Linux says that the other side of a terminal is closed
            while part := os.read(ours, 4096):
                seen += part
        assert process.wait(30) == 130
    os.close(ours)
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") > 0
    wait_until_gone(folder)


@pytest.mark.long
def test_kept_it_stays_until_ctrl_c(folder: Path) -> None:
    """With --keep the last part lists commands that work as they are printed, and Ctrl-C is a good end."""
    with running(folder, "--keep", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = list(takewhile(lambda line: "$ tail -f" not in line, iter(process.stdout.readline, "")))
        assert "It is yours now, until Ctrl-C\n" in lines, "".join(lines)
        mine = [line.split() for line in lines[lines.index("It is yours now, until Ctrl-C\n") :]]
        status, services, a_pass, registry = (
            next(line for line in mine if line[1 : 1 + len(words.split())] == words.split())
            for words in ("reconcile status", "reconcile services", "reconcile --repo", "cat")
        )
        assert '"version": "v3"' in Path(registry[2]).read_text()
        for command, said in (
            (status, r"productpage-v1 +in-sync .* yes "),
            (services, r"instances +3/3 healthy"),
            (a_pass, r"Plan: no changes; \d+ unchanged"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "reconciler", *command[2:]],
                env=environ(folder),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert re.search(said, done.stdout), done.stdout
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 0
    wait_until_gone(folder)


@pytest.mark.long
def test_a_show_that_goes_wrong_says_why(folder: Path) -> None:
    """When the daemon dies in the middle, the exit code is 1, and its last words are on the screen."""
    with running(folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any(line.startswith("2  ") for line in iter(process.stdout.readline, ""))
        daemon = next(pid for pid, command in processes_of(folder).items() if " -m reconciler daemon " in command)
        os.kill(daemon, signal.SIGKILL)
        rest = process.stdout.read()
        assert process.wait(30) == 1
    assert "The demo failed. error[demo-daemon-exited]: the daemon is not running" in rest
    assert rest.count("live on 7/7 proxies") == 1
    wait_until_gone(folder)


def test_without_an_envoy_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    """A missing binary is found before anything is started, and the hint names the package that brings one."""
    bare = tmp_path / "python"  # this Python with its packages, and without the commands that stand beside it
    bare.symlink_to(Path(sys.executable).resolve())
    surroundings = environ(folder, PATH=str(tmp_path), PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    done = subprocess.run(
        [str(bare), *DEMO[1:]], env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "error[envoy-not-found]" in done.stdout
    assert "envoy-reconciler[demo]" in done.stdout
    wait_until_gone(folder)
