"""What travels over the control socket: a pass that somebody wants, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

_LONGEST_WAIT = 3600.0


class PassRequest(BaseModel):
    """The body of `POST /v1/passes`.

    Attributes:
        repository: Which repository is meant, as `identity` of the client's settings names it; "" for whichever is served.
        ref: The branch that policies are read from; has to be the one that the daemon serves; "" for that one.
        select: Only these proxies, as `namespace/name`; all of them if empty.
        allow: Guard codes that are overridden.
        dry_run: Only say what the pass would do, and touch nothing.
        merge: Of a dry run: the full id of a commit of the repository, for what would be done once it is merged into the branch.
        plan_digest: Carry the plan out only if it has this digest; "" for whatever it is.
        output: The form of the result.
        color: Whether text has ANSI colors: whether the client writes to a terminal.
        exit_code: Whether changes that are left count in the exit code, as with `--exit-code`.
        timeout: Seconds that the client waits. A pass that has not begun by then never will.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: StrictStr = ""
    ref: StrictStr = ""
    select: tuple[StrictStr, ...] = ()
    allow: tuple[StrictStr, ...] = ()
    dry_run: StrictBool = False
    merge: Annotated[StrictStr, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    plan_digest: StrictStr = ""
    output: Literal["text", "json", "markdown"] = "json"
    color: StrictBool = False
    exit_code: StrictBool = False
    timeout: Annotated[float, Field(gt=0, le=_LONGEST_WAIT, strict=True, allow_inf_nan=False)] = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What a command line that ran the pass itself would have written, and left with.

    Attributes:
        stdout: The result, in the form that was asked for.
        stderr: Complaints, for people.
        exit_code: As the command line's contract says.
    """

    stdout: str
    stderr: str
    exit_code: int

    def as_json(self) -> dict[str, Any]:
        """The answer's body."""
        return {"schema_version": 1, "stdout": self.stdout, "stderr": self.stderr, "exit_code": self.exit_code}
