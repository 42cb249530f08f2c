"""Asking the real Envoy about a configuration, without starting it: `envoy --mode validate`, and its words made readable.

Envoy stops at its first complaint; who wants all of them asks again about less. It opens no port and fetches nothing.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.envoy.binary import find_envoy
from reconciler.errors import TransientError

_RECORD, _FIELD = "\x1e", "\x1f"
_FORMAT = f"{_RECORD}%l{_FIELD}%v"
_FATAL = {"critical"}
_WARNING = {"warning"}

_HEAD = re.compile(r"^error initializing configuration '[^']*': ")
_CONSTRAINT = re.compile(r"Proto constraint validation failed \((?P<chain>.*)\)\.?$", re.DOTALL)
_STEP = re.compile(r"^(?:\w+)ValidationError\.(?P<field>\w+)(?P<index>\[[^\]]*\])?: (?P<text>.*)$", re.DOTALL)
_OUTER = {"static_resources", "clusters", "listeners", "route_config", "virtual_hosts", "routes"}
"""Where a piece stands is said with its name, not with its number in what Envoy was given."""
_DEBUG = re.compile(r"goo\.gle/debug\w+\s*")
_DEPRECATED = re.compile(r"Using deprecated option '(?P<field>[\w.]+)' from file \S+ (?P<rest>.*)$", re.DOTALL)
_ADVICE = re.compile(r"\.? Consider setting resolver_name.*$", re.DOTALL)
_SOURCE = re.compile(r"\[?source/[\w/.-]+:\d+\]?:?\s*")
_TRACE = re.compile(r"\[backtrace\]|Backtrace|#\d+:|stacktrace", re.IGNORECASE)
_ABSENT = re.compile(
    r"^(paths must refer to an existing path|file .* does not exist|unable to (open|read) file|Invalid path: )"
)
_LONGEST = 600
_VERSION = re.compile(r"version: [0-9a-f]+/([0-9][0-9A-Za-z.-]*)/")


class EnvoyStuckError(TransientError):
    """An Envoy that was asked to validate a configuration gave no answer in time."""

    default_code = "envoy-stuck"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Envoy said.

    Attributes:
        complaint: Why it refuses the configuration, in one line, or "" if it does not.
        warnings: What it takes and says something about, each once, in order.
    """

    complaint: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def needs_file(self) -> bool:
        """Whether the complaint is only that a file of the proxy's host is not on this machine."""
        return _ABSENT.match(self.complaint) is not None


class Validator:
    """The Envoy binary of this machine in validate mode.

    Args:
        timeout: Seconds for one answer; 5,000 clusters take about 2.

    Raises:
        EnvoyNotFoundError: There is no Envoy.
    """

    def __init__(self, *, timeout: float = 120.0) -> None:
        self._binary = find_envoy()
        self._timeout = timeout

    @property
    def version(self) -> str:
        """The binary's version, `1.37.0`; "" if it does not say it as Envoy does."""
        done = subprocess.run([self._binary, "--version"], capture_output=True, timeout=self._timeout, check=False)
        found = _VERSION.search(done.stdout.decode(errors="replace"))
        return found[1] if found else ""

    def ask(self, bootstrap: bytes) -> Verdict:
        """Whether Envoy takes a bootstrap (binary `envoy.config.bootstrap.v3.Bootstrap`).

        Raises:
            EnvoyStuckError: It did not end in time.
        """
        with tempfile.TemporaryDirectory(prefix="validate-") as folder:
            path = Path(folder) / "bootstrap.pb"
            path.write_bytes(bootstrap)
            command = [
                self._binary, "--mode", "validate", "-c", str(path), "--disable-hot-restart",
                "--log-level", "warning", "--log-format", _FORMAT,
            ]  # fmt: skip
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._timeout, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise EnvoyStuckError(
                    f"{self._binary} --mode validate gave no answer in {self._timeout:.0f} s",
                    hint="try again when the machine has less to do",
                ) from error
        return read_verdict(done.stderr.decode(errors="replace"), done.returncode)


def read_verdict(log: str, code: int) -> Verdict:
    """The verdict in a log of records (each begins with `_RECORD`) and an exit code, which is negative for a signal."""
    complaint, warnings = "", list[str]()
    for record in log.split(_RECORD)[1:]:
        level, _, text = record.partition(_FIELD)
        if level in _FATAL and not _TRACE.search(text):
            complaint = complaint or cleaned(text)
        elif level in _WARNING:
            warnings.append(cleaned(text))
    if code == 0:
        complaint = ""
    elif not complaint:
        last = next((line for line in reversed(log.splitlines()) if line.strip() and not _TRACE.search(line)), "")
        said = f": {cleaned(last.replace(_RECORD, '').replace(_FIELD, ': '))}" if last else ""
        complaint = f"Envoy crashed (signal {-code}){said}" if code < 0 else f"Envoy ended with {code}{said}"
    # What it refuses it often warns about in the same words.
    return Verdict(complaint, tuple(text for text in dict.fromkeys(warnings) if text != complaint))


def cleaned(text: str) -> str:
    """Envoy's words in one line: without the name of the file that it was given, message dumps and source positions."""
    text = _HEAD.sub("", text.strip())
    constraint = _CONSTRAINT.search(text)
    if constraint is not None:
        text = _constraint(constraint["chain"])
    deprecated = _DEPRECATED.search(text)
    if deprecated is not None:
        text = f"the field {deprecated['field'].removeprefix('envoy.')} is deprecated and will go from Envoy"
    text = " ".join(_SOURCE.sub("", _DEBUG.sub("", _ADVICE.sub("", text))).split())
    text = text.rstrip(". ") if not text.endswith("...") else text
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def constraint_path(text: str) -> tuple[str, ...]:
    """The proto fields that a cleaned complaint about a constraint names (`a.b[0].c: ...`); none for another one."""
    head, colon, _ = text.partition(": ")
    if not colon or not re.fullmatch(r"[a-z_0-9]+(\[[^\]]*\])?(\.[a-z_0-9]+(\[[^\]]*\])?)*", head):
        return ()
    return tuple(re.findall(r"[a-z_0-9]+(?=[.\[]|$)", re.sub(r"\[[^\]]*\]", "", head)))


def _constraint(chain: str) -> str:
    """`AValidationError.B[0]: embedded message failed validation | caused by CValidationError.D: why` as `b[0].d: why`."""
    steps, text = list[str](), chain
    for part in chain.split(" | caused by "):
        found = _STEP.match(part)
        if found is None:
            text = part
            break
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found["field"]).lower()
        if steps or name not in _OUTER:
            steps.append(name + (found["index"] or ""))
        text = found["text"]
    return f"{'.'.join(steps)}: {text}" if steps else text
