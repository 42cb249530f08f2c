"""Whose commits count: a head, or a last good commit, that nobody who may has signed is not applied.

A signature vouches for the whole tree of its commit, so the head's is asked for and no older one; trailers count only from
commits that are signed themselves. Comes before a tree is loaded. Without signers in the settings everybody may.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace

from reconciler.clock import Clock
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError, Severity
from reconciler.gitrepo import Repository, Signature, Signers, SignersError, Verdict, read_signers
from reconciler.plan import shorten, visible
from reconciler.settings import TrustSettings

_REMEMBERED = 512
_LASTING = 600.0
"""Seconds after which a good signature is judged anew where time may change it: OpenPGP keys expire."""
_BRIEFLY = 30.0
"""Seconds after which one that is not good is: what said so may have been in trouble itself."""
_FINAL = frozenset({("ssh", Verdict.GOOD), ("", Verdict.UNSIGNED)})
_SUBJECT = 60
_SIGN = "have somebody sign it who may: git commit --amend -S, or a signed merge or commit on top of it"


class UntrustedError(PolicyError):
    """A commit's signature is not of this commit, not for Git, of an unknown kind, or its date proves nothing."""

    default_code = "commit-signature"


class UnsignedCommitError(UntrustedError):
    """Commits have to be signed, and this one is not."""

    default_code = "commit-unsigned"


class UnknownSignerError(UntrustedError):
    """A commit is signed with a key of nobody who may, or one that has expired, was revoked, or counts later."""

    default_code = "commit-signer"


class UnverifiedCommitError(UntrustedError):
    """A commit's signature can't be verified here."""

    default_code = "commit-unverified"


_WORDS = {
    Verdict.UNSIGNED: (UnsignedCommitError, "is not signed", _SIGN),
    Verdict.UNKNOWN_KEY: (
        UnknownSignerError,
        "is signed with a key of nobody who may",
        f"add the key if it should count, or {_SIGN}",
    ),
    Verdict.EXPIRED: (
        UnknownSignerError,
        "is signed with a key, or by a signature, that had expired",
        f"sign with the new key: {_SIGN}; or let its owner extend it, and bring the signers up to date",
    ),
    Verdict.NOT_YET: (UnknownSignerError, "is signed with a key that counts only from later on", _SIGN),
    Verdict.REVOKED: (
        UnknownSignerError,
        "is signed with a key that was revoked",
        f"find out who did that; then {_SIGN}",
    ),
    Verdict.NAMESPACE: (
        UntrustedError,
        "is signed for something else than Git, or with a key for something else",
        _SIGN,
    ),
    Verdict.BACKDATED: (
        UntrustedError,
        "is dated before its parents, and by dates it is told whether a key still counted",
        "set the clock of the machine that commits, and commit again",
    ),
    Verdict.BAD: (UntrustedError, "has a signature that is not of this commit", f"find out who made it; then {_SIGN}"),
    Verdict.UNSUPPORTED: (
        UntrustedError,
        "has a signature of a kind that is not verified",
        "sign by ssh or with OpenPGP",
    ),
    Verdict.UNVERIFIED: (
        UnverifiedCommitError,
        "can't be verified",
        "install ssh-keygen (openssh-client) and gpg (gnupg) where the reconciler runs",
    ),
}


class Trust:
    """Says which commits count. Remembers what it has judged, as long as the signers are the same."""

    def __init__(self, repository: Repository, settings: TrustSettings, clock: Clock) -> None:
        self._repository = repository
        self._settings = settings
        self._clock = clock
        self._judged: OrderedDict[tuple[str, str], tuple[Signature, float]] = OrderedDict()
        self._own: tuple[str, float, Diagnostic | None] | None = None

    @property
    def required(self) -> bool:
        """Whether commits have to be signed at all."""
        return self._settings.required

    def findings(self, commit: str, *, so: str = "it is not applied") -> tuple[Diagnostic, ...]:
        """Why a commit, by its full id, does not count; nothing if it does, or everybody's do.

        Args:
            commit: Which.
            so: What follows from it, in words.

        Raises:
            CorruptRepositoryError: It is not here.
        """
        if not self.required:
            return ()
        try:
            signers = read_signers(self._settings)
        except SignersError as error:
            return error.diagnostics
        found = self._signature(commit, signers)
        return () if found.verdict is Verdict.GOOD else (self._told(commit, found, so),)

    def require(self, commit: str, *, so: str = "it is not applied") -> None:
        """Refuse a commit that does not count.

        Args:
            commit: Which.
            so: What follows from it, in words.

        Raises:
            UntrustedError: It does not.
            CorruptRepositoryError: It is not here.
        """
        if found := self.findings(commit, so=so):
            raise UntrustedError(diagnostics=found)

    def trusted(self, commit: str) -> bool:
        """Whether a commit counts."""
        try:
            return not self.findings(commit)
        except ReconcilerError:
            return False

    def own_key(self) -> Diagnostic | None:
        """Why commits that we make ourselves would not count; None if they would. Such a commit must not be made."""
        if not self.required:
            return None
        try:
            signers = read_signers(self._settings)
        except SignersError as error:
            return replace(error.diagnostics[0], severity=Severity.WARNING)
        now = self._clock.monotonic()
        if self._own is None or self._own[0] != signers.identity or now - self._own[1] > _LASTING:
            self._own = (signers.identity, now, self._of_own_key(signers))
        return self._own[2]

    def _of_own_key(self, signers: Signers) -> Diagnostic | None:
        try:
            found = self._repository.own_signature(signers, at=self._clock.now())
        except ReconcilerError as error:
            return _own_key(error.message, error.diagnostics[0].hint)
        if found.verdict is Verdict.GOOD:
            return None
        if found.verdict is Verdict.UNSIGNED:
            return _own_key("the reconciler has no key to sign with", "give it one: --signing-key")
        return _own_key(
            f"what the reconciler commits {_WORDS[found.verdict][1]}{_by(found)}", "add its key to the signers"
        )

    def _signature(self, commit: str, signers: Signers) -> Signature:
        key, now = (commit, signers.identity), self._clock.monotonic()
        known = self._judged.get(key)
        if known is not None and now - known[1] < _lasting(known[0]):
            self._judged.move_to_end(key)
            return known[0]
        found = self._repository.signature(commit, signers)
        if found.verdict is not Verdict.UNVERIFIED:
            self._judged[key] = (found, now)
            self._judged.move_to_end(key)
            while len(self._judged) > _REMEMBERED:
                self._judged.popitem(last=False)
        return found

    def _told(self, commit: str, found: Signature, so: str) -> Diagnostic:
        kind, words, hint = _WORDS[found.verdict]
        info = self._repository.commit_info(commit)
        subject = shorten(visible(info.subject), _SUBJECT)
        return Diagnostic(
            code=kind.default_code,
            message=f'{commit[:12]} "{subject}" by {visible(info.author)} {words}{_by(found)}, so {so}',
            hint=hint,
        )


def _lasting(found: Signature) -> float:
    if (found.form, found.verdict) in _FINAL:
        return math.inf
    return _LASTING if found.verdict is Verdict.GOOD else _BRIEFLY


def _by(found: Signature) -> str:
    said = (f"{found.form} key {found.key}" if found.key else "", found.signer, found.detail)
    shown = ", ".join(shorten(visible(item), 300) for item in said if item)
    return f" ({shown})" if shown else ""


def _own_key(why: str, hint: str) -> Diagnostic:
    return Diagnostic(
        code="trust-own-key",
        message=f"commits have to be signed, and {why}: rollouts take no step and nothing is reverted on the branch",
        severity=Severity.WARNING,
        hint=hint,
    )
