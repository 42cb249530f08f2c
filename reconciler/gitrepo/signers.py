"""Who may sign commits, read from files of the operator's: what signatures are judged by. Judges nothing itself.

The files are read whole and copied for each check, so what was judged by is exactly what `Signers.identity` names, and no
option, trust database or agent beside them has a say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import InputError
from reconciler.settings import TrustSettings

_LONGEST = 64 * 1024 * 1024
_KEYRINGS = ("pubring.kbx", "pubring.gpg")


class SignersError(InputError):
    """What says who may sign commits can't be read, so nobody may."""

    default_code = "trust-signers"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Signers:
    """Who may sign.

    Attributes:
        ssh: A file of ssh-keygen's ALLOWED SIGNERS; None for nobody by ssh.
        openpgp: GnuPG's public keyrings by their names; None for nobody with OpenPGP.
    """

    ssh: bytes | None = None
    openpgp: tuple[tuple[str, bytes], ...] | None = None

    @property
    def identity(self) -> str:
        """Equal for those who are judged alike."""
        parts = (repr(self.ssh is None), self.ssh or b"", repr(self.openpgp is None), *(self.openpgp or ()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def times(self) -> bool:
        """Whether an ssh key may count only up to some time; certificates of an authority end by themselves."""
        said = (self.ssh or b"").lower()
        return b"valid-before" in said or b"cert-authority" in said


def read_signers(settings: TrustSettings) -> Signers:
    """Read who may sign.

    Raises:
        SignersError: A file or directory that is named is not there or can't be read; it fails closed.
    """
    ssh = _content(Path(settings.allowed_signers), "--allowed-signers") if settings.allowed_signers else None
    openpgp = _keyrings(Path(settings.keyring)) if settings.keyring else None
    return Signers(ssh=ssh, openpgp=openpgp)


def _keyrings(folder: Path) -> tuple[tuple[str, bytes], ...]:
    if not folder.is_dir():
        raise SignersError(
            f"--signers-keyring {folder} is not a directory, so nobody may sign",
            hint="name a GNUPGHOME that has the public keys of those who may sign",
        )
    found = tuple(
        (name, _content(folder / name, "--signers-keyring")) for name in _KEYRINGS if (folder / name).exists()
    )
    if not found:
        raise SignersError(
            f"--signers-keyring {folder} has neither {' nor '.join(_KEYRINGS)}, so nobody may sign",
            hint=f"fill it: GNUPGHOME={folder} gpg --import KEYS.asc; a key database (keyboxd) is not read",
        )
    return found


def _content(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(_LONGEST + 1)
    except OSError as error:
        raise SignersError(
            f"{option} {path} can't be read, so nobody may sign: {error.strerror or error}",
            hint="put the file there, readable for this process; no commit is applied until then",
        ) from error
    if len(found) > _LONGEST:
        raise SignersError(f"{option} {path} is larger than {_LONGEST // 2**20} MiB", hint="name the right file")
    return found
