"""Who signed a commit, by Git's own verification: `git verify-commit`, with keys that were given and no others.

Nothing of the user's or the repository's configuration counts: not their keyring, nor their idea of which program verifies.
A signature is good only if Git says so and says by whom; whatever is not understood is not good. What follows from that for
a commit is not decided here.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.errors import ReconcilerError
from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.signers import Signers

_PATIENCE = 30.0
_SKEW = 3600.0
"""Seconds by which clocks of people who commit on top of each other may differ."""
_PROGRAMS = {"ssh": "ssh-keygen", "openpgp": "gpg"}
_HEADS = {
    b"-----BEGIN SSH SIGNATURE-----": "ssh",
    b"-----BEGIN PGP SIGNATURE-----": "openpgp",
    b"-----BEGIN PGP MESSAGE-----": "openpgp",
    b"-----BEGIN SIGNED MESSAGE-----": "x509",
}
_GPG_OPTIONS = "trust-model always\nno-auto-key-retrieve\nlock-never\nno-autostart\nno-auto-check-trustdb\n"
_SSH_GOOD = re.compile(r'^Good "git" signature for (?P<who>.+) with \S+ key (?P<key>SHA256:\S+)$', re.MULTILINE)
_SSH_KEY = re.compile(r'^Good "git" signature with \S+ key (?P<key>SHA256:\S+)$', re.MULTILINE)
_GNUPG = re.compile(r"^\[GNUPG:\] (?P<word>[A-Z_]+)(?: (?P<rest>.*))?$", re.MULTILINE)


class Verdict(StrEnum):
    """What there is to say of a commit's signature."""

    GOOD = "good"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown-key"
    """The signature may be good, and its key is nobody's who may sign."""
    BAD = "bad"
    """It is not a signature of this commit."""
    EXPIRED = "expired"
    """Its key, or the signature itself, had expired."""
    NOT_YET = "not-yet"
    """Its key is allowed from a later time on."""
    REVOKED = "revoked"
    NAMESPACE = "namespace"
    """Made for, or by a key that may only sign, something other than Git's objects."""
    BACKDATED = "backdated"
    """The commit is dated before its parents, where keys are allowed up to some time: its date proves nothing."""
    UNSUPPORTED = "unsupported"
    """Of a kind that is not verified: X.509."""
    UNVERIFIED = "unverified"
    """A program for it is missing, or did not end in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One commit's signature, judged.

    Attributes:
        signer: An allowed signer's principal, or an OpenPGP user id; "" if nobody is known by it.
        key: The key's fingerprint, as far as it is known; of an OpenPGP key the primary key's.
        form: `ssh`, `openpgp` or `x509`; "" without one.
        detail: What the verifying program said, where that explains the verdict.
    """

    verdict: Verdict
    signer: str = ""
    key: str = ""
    form: str = ""
    detail: str = ""


def form_of(data: bytes) -> str:
    """Of which kind the signature in a commit object is: `ssh`, `openpgp`, `x509`, `other`; "" if it has none."""
    for line in data.partition(b"\n\n")[0].split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"gpgsig":
            return _HEADS.get(value.strip(), "other")
    return ""


def verify(
    git_dir: Path, commit: str, data: bytes, signers: Signers, *, extra: Mapping[str, str] | None = None
) -> Signature:
    """Judge one commit's signature.

    Args:
        git_dir: Where the commit is.
        commit: Its full id.
        data: The commit object.
        signers: Who may sign.
        extra: Variables that say where else its objects are.
    """
    form = form_of(data)
    if not form:
        return Signature(verdict=Verdict.UNSIGNED)
    if form not in _PROGRAMS:
        return Signature(verdict=Verdict.UNSUPPORTED, form=form)
    if (signers.ssh if form == "ssh" else signers.openpgp) is None:
        return Signature(verdict=Verdict.UNKNOWN_KEY, form=form, detail=f"nobody may sign by {form} here")
    if shutil.which(_PROGRAMS[form]) is None:
        return Signature(verdict=Verdict.UNVERIFIED, form=form, detail=f"{_PROGRAMS[form]} is not installed here")
    try:
        with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
            result = _asked(git_dir, commit, signers, Path(folder), dict(extra or {}))
    except (OSError, ReconcilerError) as error:
        return Signature(verdict=Verdict.UNVERIFIED, form=form, detail=str(error))
    return _by_ssh(result) if form == "ssh" else _by_openpgp(result)


def backdated(at: float, parents: list[float]) -> bool:
    """Whether a commit is dated before one of its parents, by more than clocks differ.

    ssh-keygen asks whether a key was allowed at the commit's own date, which whoever has an expired key can choose.
    """
    return any(at < parent - _SKEW for parent in parents)


def _asked(git_dir: Path, commit: str, signers: Signers, folder: Path, extra: dict[str, str]) -> Result:
    """What Git says, with the signers written down for it alone."""
    allowed, home = folder / "allowed-signers", folder / "gnupg"
    allowed.write_bytes(signers.ssh or b"")
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text(_GPG_OPTIONS, encoding="ascii")
    for name, content in signers.openpgp or ():
        (home / name).write_bytes(content)
    options = {
        "gpg.program": "gpg",
        "gpg.openpgp.program": "gpg",
        "gpg.ssh.program": "ssh-keygen",
        "gpg.minTrustLevel": "undefined",
        "gpg.ssh.allowedSignersFile": str(allowed),
        "gpg.ssh.revocationFile": "/dev/null",
    }
    given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    apart = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "0",
        "GNUPGHOME": str(home),
    }
    return run(
        [f"--git-dir={git_dir}", *given, "verify-commit", "--raw", commit], extra=apart | extra, timeout=_PATIENCE
    )


def _by_ssh(result: Result) -> Signature:
    good, known = _SSH_GOOD.search(result.err), _SSH_KEY.search(result.err)
    if result.ok and good is not None:
        return Signature(verdict=Verdict.GOOD, signer=good["who"], key=good["key"], form="ssh")
    reasons = {
        "key has expired": Verdict.EXPIRED,
        "key is not yet valid": Verdict.NOT_YET,
        "certificate expired": Verdict.EXPIRED,
        "certificate not yet valid": Verdict.NOT_YET,
        "not permitted for use in signature namespace": Verdict.NAMESPACE,
        "namespace does not match": Verdict.NAMESPACE,
    }
    for words, verdict in reasons.items():
        for line in result.err.splitlines():
            if words in line.lower():
                return _ssh(verdict, known, _without_path(line))
    if known is not None and not result.ok:
        return _ssh(Verdict.UNKNOWN_KEY, known, "")
    return _ssh(Verdict.BAD, known, result.words)


def _ssh(verdict: Verdict, known: re.Match[str] | None, detail: str) -> Signature:
    return Signature(verdict=verdict, key=known["key"] if known else "", form="ssh", detail=detail)


def _without_path(line: str) -> str:
    """A complaint about a line of the copy, as one about the same line of the file."""
    return re.sub(r"^.*allowed-signers:(\d+): ", r"line \1 of the allowed signers: ", line.strip())


def _by_openpgp(result: Result) -> Signature:
    said = {match["word"]: match["rest"] or "" for match in _GNUPG.finditer(result.err)}
    words = said.get("VALIDSIG", "").split()
    key = words[-1] if words else ""
    if result.ok and "GOODSIG" in said and key:
        return Signature(verdict=Verdict.GOOD, signer=_user(said["GOODSIG"]), key=key, form="openpgp")
    for word, verdict in {
        "BADSIG": Verdict.BAD,
        "REVKEYSIG": Verdict.REVOKED,
        "EXPKEYSIG": Verdict.EXPIRED,
        "EXPSIG": Verdict.EXPIRED,
    }.items():
        if word in said:
            return Signature(verdict=verdict, signer=_user(said[word]), key=key, form="openpgp")
    if "NO_PUBKEY" in said:
        missing = said.get("ERRSIG", "").split()
        named = missing[-1] if missing and missing[-1] != "-" else said["NO_PUBKEY"]
        return Signature(verdict=Verdict.UNKNOWN_KEY, key=named, form="openpgp")
    return Signature(verdict=Verdict.BAD, key=key, form="openpgp", detail=result.words)


def _user(rest: str) -> str:
    return rest.partition(" ")[2]
