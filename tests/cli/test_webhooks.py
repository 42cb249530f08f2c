"""Webhooks as the daemon is told to take them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from reconciler.cli.serving.webhooks import webhooks
from reconciler.clock import SystemClock
from reconciler.daemon import Daemon
from reconciler.errors import UsageError
from reconciler.web.webhooks import Receiver
from tests.daemon.world import QUIET, Fleet

LOGGER = logging.getLogger("test.webhooks")


def taken(secrets: dict[str, str]) -> Receiver | None:
    loop = Daemon(Fleet(), schedule=QUIET, clock=SystemClock(), logger=LOGGER)
    return webhooks(secrets, loop=loop, ref="main", clock=SystemClock(), logger=LOGGER)


def test_without_secrets_none_are_taken() -> None:
    """There is no address for somebody who has nothing to prove."""
    assert taken({}) is None


def test_a_kind_that_there_is_not_is_said_with_those_that_there_are() -> None:
    """Before anything runs."""
    with pytest.raises(UsageError, match="no webhooks of the kind svn") as refused:
        taken({"svn": "/x"})
    assert "gitea, github, gitlab, plain" in refused.value.diagnostics[0].hint


def test_a_secret_that_is_not_there_yet_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may come later, as secrets do that are mounted; until then nobody is believed, and whoever starts the daemon reads why."""
    with caplog.at_level(logging.WARNING):
        found = taken({"github": str(tmp_path / "missing")})
    assert found is not None
    assert list(found.limits) == ["github"]
    assert caplog.messages == [
        "webhooks from github are refused: the file of the webhook's secret can't be read: No such file or directory"
    ]
