"""Real keys for tests: ssh's by ssh-keygen, OpenPGP's by GnuPG, and commits signed with them by git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DATE = "@1767323045 +0000"


@dataclass(frozen=True)
class SshKey:
    """An ssh key, and what an allowed signers file says of it."""

    path: Path

    @property
    def public(self) -> str:
        return " ".join(Path(f"{self.path}.pub").read_text(encoding="ascii").split()[:2])

    @property
    def options(self) -> list[str]:
        """For git, to sign with it."""
        return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.path}"]

    def line(self, principal: str, options: str = "") -> str:
        return f"{principal} {options} {self.public}\n"


def ssh_key(path: Path) -> SshKey:
    """A new one, without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return SshKey(path)


@dataclass(frozen=True)
class Gnupg:
    """A home of GnuPG's with secret keys. Its path has to be short: an agent listens in it."""

    home: Path

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            ["gpg", "--batch", "-q", *arguments],
            input=stdin, capture_output=True, check=False, env={**os.environ, "GNUPGHOME": str(self.home)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def key(self, user: str, *, expires: str = "never", then: str = "") -> None:
        """Make a key for `Name <mail>`; `then` is the day that the clock shows."""
        clock = ["--faked-system-time", then] if then else []
        self.run(*clock, "--passphrase", "", "--quick-gen-key", user, "ed25519", "sign", expires)

    def revoke(self, mail: str) -> None:
        """Revoke a key, by the certificate that was made with it."""
        listed = self.run("--with-colons", "-k", mail).decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        text = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text(encoding="utf-8")
        self.run("--import", stdin=text.replace(":-----BEGIN", "-----BEGIN").encode())

    def publish(self, *mails: str, to: Path) -> Path:
        """A keyring of these public keys alone."""
        to.mkdir(mode=0o700)
        Gnupg(to).run("--import", stdin=self.run("--export", *mails))
        Gnupg(to).stop()
        return to

    def options(self, mail: str, *, then: str = "") -> list[str]:
        """For git, to sign with a key; `then` as above."""
        options = ["-c", "gpg.format=openpgp", "-c", f"user.signingkey={mail}"]
        if then:
            program = self.home / f"gpg-{then}"
            program.write_text(f'#!/bin/sh\nexec gpg --faked-system-time {then} "$@"\n', encoding="ascii")
            program.chmod(0o755)
            options += ["-c", f"gpg.program={program}"]
        return options

    def stop(self) -> None:
        """End the agent."""
        subprocess.run(["gpgconf", "--kill", "all"], check=True, env={**os.environ, "GNUPGHOME": str(self.home)})


@contextmanager
def gnupg(home: Path) -> Iterator[Gnupg]:
    """A home whose agent ends with the context."""
    home.mkdir(mode=0o700)
    found = Gnupg(home)
    try:
        yield found
    finally:
        found.stop()


def signed(
    repository: Path,
    options: list[str],
    *,
    message: str = "Sign",
    parent: str = "",
    at: str = DATE,
    home: Path | None = None,
) -> str:
    """A commit of nothing that no branch names, signed by git with these options; unsigned without any."""
    date: Mapping[str, str] = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    parents = ["-p", parent] if parent else []
    done = subprocess.run(
        ["git", *person, *options, "commit-tree", *(["-S"] if options else []), *parents, "-m", message, tree],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **date, **({"GNUPGHOME": str(home)} if home else {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
