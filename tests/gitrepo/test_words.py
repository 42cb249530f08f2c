from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import PermanentError, ReconcilerError
from reconciler.gitrepo import AuthenticationError, CorruptRepositoryError, GitUnavailableError, NotARepositoryError
from reconciler.gitrepo.command import Result, environment
from reconciler.gitrepo.complaints import network_error, sounds_like_a_race, sounds_like_policy
from reconciler.gitrepo.graft import EMPTY_TREE, graft, object_id, pack
from reconciler.gitrepo.history import commit_info, trailers
from reconciler.gitrepo.location import is_url, mirror_name, redacted
from reconciler.gitrepo.objects import parse_tree


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:///srv/r.git", True), ("ssh://git@host:22/r", True), ("https://host/r", True), ("http://host/r", True),
        ("git@github.com:owner/r.git", True), ("host:r", True), ("git@[::1]:r", True),
        (".", False), ("/srv/r", False), ("./a:b", False), ("a/b:c", False), ("", False), ("r.git", False),
        ("ext::sh -c true", False), ("-oProxyCommand=true:r", False), ("https:", False),
    ],
)  # fmt: skip
def test_urls_are_told_from_paths_as_git_does(location: str, *, expected: bool) -> None:
    """Schemes and scp's form are URLs; a slash before the colon, an option or a transport helper is not."""
    assert is_url(location) is expected


def test_secrets_are_cut_out_of_urls() -> None:
    """Over HTTP the user may be the token; ssh's user is part of the address."""
    text = "a https://u:p@h/x b http://tok@h c ssh://git:p@h/y d ssh://git@h/z e git@h:w"
    assert redacted(text) == "a https://h/x b http://h c ssh://git@h/y d ssh://git@h/z e git@h:w"


def test_a_mirror_is_named_after_its_repository_not_its_password() -> None:
    """The name is readable, differs between repositories, and survives a new token."""
    name = mirror_name("https://u:one@host/owner/repo.git")
    assert name.startswith("owner-repo-")
    assert name == mirror_name("https://v:two@host/owner/repo.git")
    assert name != mirror_name("https://other/owner/repo.git")
    assert mirror_name("git@h:owner/repo").startswith("owner-repo-")
    assert mirror_name("file:///../..").partition("-")[0] == "repository"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("fatal: Authentication failed for 'https://h/r'", AuthenticationError),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", AuthenticationError),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", AuthenticationError),
        ("Host key verification failed.", AuthenticationError),
        ("remote: Repository not found.\nfatal: repository 'https://h/r/' not found", NotARepositoryError),
        ("fatal: '/x' does not appear to be a git repository", NotARepositoryError),
        ("ssh: Could not resolve hostname h: Name or service not known", GitUnavailableError),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", GitUnavailableError),
        ("something nobody has heard of", GitUnavailableError),
    ],
)
def test_network_failures_are_told_apart(words: str, kind: type[ReconcilerError]) -> None:
    """Credentials and wrong addresses are for people; everything else may pass."""
    assert type(network_error(Result(128, b"", words), url="u")) is kind


@pytest.mark.parametrize(
    "words",
    [
        "[rejected] (stale info)", "[remote rejected] (failed to update ref)", "[rejected] (fetch first)",
        "cannot lock ref 'refs/heads/x': is at a but expected b", "remote rejected: incorrect old value provided",
    ],
)  # fmt: skip
def test_wordings_of_a_race(words: str) -> None:
    """Every wording seen of a race, and none of them sounds like a rule."""
    assert sounds_like_a_race(words)
    assert not sounds_like_policy(words)


@pytest.mark.parametrize(
    "words",
    [
        "[remote rejected] (pre-receive hook declined)",
        "GH006: Protected branch",
        "GH013",
        "ref updates aborted by hook",
    ],
)
def test_wordings_of_a_rule(words: str) -> None:
    """Every wording seen of a rule."""
    assert sounds_like_policy(words)


def test_a_killed_command_says_by_what() -> None:
    """A message is never empty."""
    assert Result(-9, b"", "").words == "ended by signal 9"
    assert Result(3, b"", "hint: try\n").words == "exit status 3"
    assert Result(1, b"", "a\nb\n").words == "a; b"


def test_no_prompt_can_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal and no window is asked; a script that answers for a CI system is left in place."""
    monkeypatch.setenv("GIT_ASKPASS", "/ci/token")
    monkeypatch.setenv("GIT_DIR", "/other")
    found = environment({"X": "y"})
    assert (found["GIT_TERMINAL_PROMPT"], found["SSH_ASKPASS"], found["GIT_ASKPASS"]) == ("0", "", "/ci/token")
    assert found["X"] == "y"
    assert "GIT_DIR" not in found


@pytest.mark.parametrize(
    "body",
    [
        "", "Text only.", "K: v", "Text.\n\nK: v\nOther-Key:w", "K: v\n\nText.", "Text\nK: v", "K: a\n  b\n c\nL: d",
        "Text.\n\nK: v\nnot one", "Text.\n\nSigned-off-by: A <a>\nK: v\nL: w\nnot one",
        "T.\n\nK: v\nSigned-off-by: A <a>\nx\ny\nz", "T.\n\n(cherry picked from commit abc)\nK: v", "x\n\nA b: c\nK: v",
        "Text.\n\nK:\nL: ", "T\n\nReconcile-Allow: guard-weight-increase\n\n", "T.\n\nhttp://x: y\n", "T.\n\n----\nK: v",
    ],
)  # fmt: skip
def test_trailers_are_those_that_git_finds(body: str) -> None:
    """Our reading agrees with `git interpret-trailers`."""
    said = subprocess.run(
        ["git", "interpret-trailers", "--parse", "--no-divider"],
        input=f"Subject\n\n{body}\n",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expected: dict[str, tuple[str, ...]] = {}
    for line in said.splitlines():
        key, _, value = line.partition(":")
        if " " not in key:  # git keeps lines such as "(cherry picked ...", which have no key that anybody asks for
            expected[key] = (*expected.get(key, ()), value.strip())
    assert dict(trailers(body)) == expected


@pytest.mark.parametrize("data", [b"", b"tree x\n\nmessage", b"author A\ncommitter B\n\n"])
def test_what_is_no_commit_is_an_error(data: bytes) -> None:
    """A broken commit is never one without an author."""
    with pytest.raises(CorruptRepositoryError):
        commit_info("1" * 40, data)


def test_old_encodings_and_signatures_are_read() -> None:
    """Encodings are honoured, unknown ones survived, and a signature's lines are not headers."""
    head = b"tree t\nparent p\nauthor \xe9 <e> 1 +0100\ncommitter C <c> 86400 -0800\n%sgpgsig -----BEGIN\n author x\n -----END\n\n"
    known = commit_info("1" * 40, head % b"encoding ISO-8859-1\n" + b"caf\xe9\r\n\r\nBody\n")
    assert (known.author, known.subject, known.body, known.parents) == ("é <e>", "café", "Body", ("p",))
    assert known.at.isoformat() == "1970-01-02T00:00:00+00:00"
    assert commit_info("1" * 40, head % b"encoding klingon\n" + b"x").author == "\ufffd <e>"


_NAMES = st.sampled_from(["a", "a.b", "a-", "a0", "b", "é", "z z"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_FILES = st.dictionaries(_PATHS, st.binary(max_size=4), max_size=8)


def _compatible(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without files that lie where another file's folder would be."""
    folders = {path[:end] for path in files for end in range(len(path)) if path[end] == "/"}
    return {path: content for path, content in files.items() if path not in folders}


@given(before=_FILES.map(_compatible), after=_FILES.map(_compatible))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_graft_gives_the_tree_that_git_gives(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Setting and removing files from any tree ends in exactly the tree that Git itself makes of the result."""
    trees: dict[str, bytes] = {}

    def grafted(root: str, files: dict[str, bytes | None]) -> str:
        made = graft(lambda tree: parse_tree(trees[tree]), root, files)
        trees.update({object_id(kind, content): content for kind, content in made.objects if kind == "tree"})
        return made.tree

    removed = dict.fromkeys(before)
    first = grafted(EMPTY_TREE, dict(before))
    emptied = grafted(first, removed)
    second = grafted(first, {**removed, **after})

    assert emptied == EMPTY_TREE
    assert second == _by_git(after)


def _by_git(files: dict[str, bytes]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for path, content in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(content)
        subprocess.run(["git", "init", "-q", "."], cwd=top, check=True)
        subprocess.run(["git", "add", "-A"], cwd=top, check=True)
        return subprocess.run(["git", "write-tree"], cwd=top, check=True, capture_output=True, text=True).stdout.strip()


@given(st.lists(st.tuples(st.just("blob"), st.binary(max_size=70_000)), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_pack_unpacks_to_its_objects(objects: list[tuple[str, bytes]]) -> None:
    """Git reads every pack that we write, whatever the sizes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
        subprocess.run(["git", "unpack-objects", "-q", "--strict"], cwd=folder, input=pack(objects), check=True)
        for kind, content in objects:
            shown = subprocess.run(
                ["git", "cat-file", kind, object_id(kind, content)], cwd=folder, check=True, capture_output=True
            )
            assert shown.stdout == content


def test_a_folder_is_never_replaced_by_a_file() -> None:
    """Writing a file where a folder is would remove what is in it: that is our own mistake, and refused."""
    trees: dict[str, bytes] = {}
    made = graft(lambda tree: parse_tree(trees[tree]), EMPTY_TREE, {"a/b": b"1"})
    trees.update({object_id(kind, content): content for kind, content in made.objects if kind == "tree"})

    with pytest.raises(ReconcilerError, match="is a folder"):
        graft(lambda tree: parse_tree(trees[tree]), made.tree, {"a": b"2"})
    assert not issubclass(ReconcilerError, PermanentError)
