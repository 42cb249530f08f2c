"""Making a commit object on top of another: blobs and trees as one pack, then `git commit-tree`. No branch moves here.

Objects go through git itself, which knows the repository's permissions (`core.sharedRepository`), its fsync settings and
its alternates; one process takes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from reconciler.errors import PermanentError, ReconcilerError
from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.complaints import write_error
from reconciler.gitrepo.errors import SigningError
from reconciler.gitrepo.graft import EMPTY_TREE, Grafted, graft, pack
from reconciler.gitrepo.history import CommitInfo
from reconciler.gitrepo.objects import Objects
from reconciler.settings import GitSettings, Identity

_PACK_FROM = 100  # the default of Git's transfer.unpackLimit


def grafted(objects: Objects, parent: str | None, files: Mapping[str, bytes | None]) -> Grafted:
    """The tree of a commit, or an empty one, with these files set or removed; nothing is written yet."""
    return graft(objects.tree, objects.root(parent) if parent else EMPTY_TREE, files)


def write_commit(
    git_dir: Path,
    settings: GitSettings,
    tree: Grafted,
    *,
    parent: str | None,
    message: str,
    at: datetime,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Write a tree's objects and a commit of it; returns the commit's id. `extra` may say where else objects go.

    A crash leaves at most objects that nothing refers to, which `git gc` removes in time.

    Raises:
        GitWriteError: The repository can't be written.
        SigningError: The commit could not be signed.
    """
    where = f"--git-dir={git_dir}"
    if tree.objects:
        # As git does with what it receives: many objects stay one pack, a few become files of their own.
        store = ["index-pack", "--stdin"] if len(tree.objects) >= _PACK_FROM else ["unpack-objects", "-q"]
        stored = run([where, *store], stdin=pack(tree.objects))
        if not stored.ok:
            raise write_error(stored, what=f"{git_dir} can't be written")
    options, sign = _signing(settings)
    parents = ["-p", parent] if parent else []
    made = run(
        [where, *options, "commit-tree", *sign, *parents, "-F", "-", tree.tree],
        stdin=message.encode("utf-8", "replace"),
        extra={**identity(settings, at), **(extra or {})},
        timeout=settings.timeout,
    )
    if not made.ok:
        raise _commit_error(made, git_dir, signed=bool(sign))
    return made.text


def identity(settings: GitSettings, at: datetime) -> dict[str, str]:
    """The environment that says who and when."""
    when = f"@{int(at.astimezone(UTC).timestamp())} +0000"
    return {
        **_person("AUTHOR", settings.author),
        **_person("COMMITTER", settings.committer or settings.author),
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_DATE": when,
    }


def by_us(info: CommitInfo, settings: GitSettings) -> bool:
    """Whether a commit's author and committer are the ones of the commits that we make, by their addresses."""
    author, committer = settings.author, settings.committer or settings.author
    return info.author.endswith(f"<{author.email}>") and info.committer.endswith(f"<{committer.email}>")


def _person(role: str, who: Identity) -> dict[str, str]:
    return {f"GIT_{role}_NAME": who.name, f"GIT_{role}_EMAIL": who.email}


def _signing(settings: GitSettings) -> tuple[list[str], list[str]]:
    """Options for git and for commit-tree. The user's `commit.gpgSign` is not asked: the settings decide."""
    plain = ["-c", "i18n.commitEncoding=UTF-8"]
    if settings.signing is None:
        return plain, []
    keys = ["-c", f"gpg.format={settings.signing.format}", "-c", f"user.signingkey={settings.signing.key}"]
    return [*plain, *keys], ["-S"]


def _commit_error(result: Result, git_dir: Path, *, signed: bool) -> ReconcilerError:
    if signed and ("sign" in result.err or "gpg" in result.err or "key" in result.err):
        hint = "check the signing format and key; a key with a passphrase needs an agent"
        return SigningError(f"the commit can't be signed: {result.words}", hint=hint)
    if "empty ident" in result.err or "ident name" in result.err:
        return PermanentError(
            f"the commit has no usable author: {result.words}", code="git-identity", hint="set the author"
        )
    return write_error(result, what=f"{git_dir} can't be written")
