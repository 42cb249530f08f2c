"""POST /v1/rollouts/{namespace}/{name}/{command}: what people ask of rollouts, each a commit of theirs. Reading them is in `views`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from reconciler.cycle.editing import Requester
from reconciler.model.key import Key
from reconciler.web.access.callers import Access, Role, require
from reconciler.web.errors import RequestError
from reconciler.web.replies import json_reply
from reconciler.web.routes.policies import requester
from reconciler.web.turns import Turns

PATH = "/v1/rollouts/{namespace}/{name}/{command}"
_MOST = 16


class Command(StrEnum):
    """What can be asked of a rollout, as the verbs of `reconcile rollout`."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RETRY = "retry"


class CommandQuery(BaseModel):
    """How a command is carried out.

    Attributes:
        full: With `promote`: through all steps, whatever they wait for.
        run: With `retry`: what the new run is called; counted by default.
        dry_run: Write nothing; say what would be written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    full: bool = False
    run: str = Field("", max_length=80)
    dry_run: bool = False


class Commands(Protocol):
    """Carries commands out. Called on threads of the server's."""

    def __call__(
        self, command: Command, key: Key, *, full: bool, run: str, dry_run: bool, by: Requester
    ) -> Mapping[str, Any]:
        """What came of it, as `reconcile rollout --output json` says it.

        Raises:
            ReconcilerError: It does not fit, or Git says no; nothing was written.
        """


def add(app: FastAPI, commands: Commands, access: Access) -> None:
    """Answer at /v1/rollouts/{namespace}/{name}/{command}."""
    turns = Turns(_MOST)

    @app.post(PATH)
    async def carry_out(
        request: Request, namespace: str, name: str, command: Command, query: Annotated[CommandQuery, Query()]
    ) -> Response:
        caller = require(access, request, Role.OPERATE)
        if (query.full and command is not Command.PROMOTE) or (query.run and command is not Command.RETRY):
            raise RequestError(f"{command} takes no such option", hint="`full` is for promote, `run` for retry")
        by, key = requester(caller), Key(namespace, name)
        done = await turns.take(
            lambda: commands(command, key, full=query.full, run=query.run, dry_run=query.dry_run, by=by)
        )
        return json_reply(done)
