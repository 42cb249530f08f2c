"""Suspending and resuming change the bytes that they mean, and are each other's reverse."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.freeze import Suspension
from reconciler.model.tree import FileKind
from reconciler.policy import load
from reconciler.policy.suspension import NEW_FILE, SuspensionError, resumed, suspended
from tests.policy.memory import BASE, MemoryTree

HEAD = "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\n"
MESHES = [
    HEAD + "spec: {verifyDeadline: 5s}\n",
    HEAD + "spec: {}\n",
    HEAD,
    HEAD + "spec:\n  domain: cluster.local  # ours\n  # the end\n",
    HEAD.replace("\n", "\r\n") + "spec:\r\n    domain: cluster.local\r\n",
    HEAD + "spec:\n  guards:\n    maxWeightIncrease: 20\n\n---\n" + BASE,
    BASE + "\n---\n# Ours.\n" + HEAD + "spec:\n  domain: cluster.local",
]


Files = dict[str, str | bytes | FileKind]


def files(text: str) -> Files:
    return {"policies/base.yaml": BASE, "policies/own.yaml": text} if BASE not in text else {"policies/own.yaml": text}


@pytest.mark.parametrize("text", MESHES)
@pytest.mark.parametrize("until", ["", "2026-08-31T06:00:00Z"])
def test_resuming_takes_back_exactly_what_suspending_wrote(text: str, until: str) -> None:
    """In block style and in brackets, between other documents, with comments, other line ends and no last line end."""
    wanted = Suspension(reason="incident 7: don't touch", until=until, by="Ann")
    ((path, after),) = suspended(MemoryTree(files(text)), wanted).items()
    assert path == "policies/own.yaml"
    assert after is not None
    loaded = load(MemoryTree({**files(text), path: after}))
    assert loaded.mesh is not None, loaded.diagnostics
    assert loaded.mesh.settings.suspend == wanted
    assert resumed(MemoryTree({**files(text), path: after})) == {path: text.encode()}


@settings(max_examples=40)
@given(reason=st.text(min_size=1, max_size=80), by=st.text(max_size=20))
def test_any_words_are_written_so_that_they_are_read_again(reason: str, by: str) -> None:
    """Quotes, line breaks, colons and whatever YAML would take for something else; or they are refused, and nothing is written."""
    wanted = Suspension(reason=reason, by=by)
    try:
        found = suspended(MemoryTree(files(MESHES[0])), wanted)
    except SuspensionError:
        return
    ((path, after),) = found.items()
    assert after is not None
    loaded = load(MemoryTree({**files(MESHES[0]), path: after}))
    if loaded.mesh is not None:
        assert loaded.mesh.settings.suspend == wanted
    assert resumed(MemoryTree({**files(MESHES[0]), path: after})) == {path: MESHES[0].encode()}


def test_without_a_mesh_document_a_file_comes_and_goes() -> None:
    """It is there as long as it is needed."""
    ((path, after),) = suspended(MemoryTree({"policies/base.yaml": BASE}), Suspension(reason="x")).items()
    assert path == NEW_FILE
    assert after is not None
    loaded = load(MemoryTree({"policies/base.yaml": BASE, path: after}))
    assert loaded.mesh is not None, loaded.diagnostics
    assert loaded.mesh.settings.suspend == Suspension(reason="x")
    assert resumed(MemoryTree({"policies/base.yaml": BASE, path: after})) == {NEW_FILE: None}


def test_another_suspension_takes_the_place_of_the_first() -> None:
    """To prolong it, or to give another reason."""
    first = suspended(MemoryTree(files(MESHES[3])), Suspension(reason="x", by="Ann", until="2026-08-31T06:00:00Z"))
    tree: Files = {**files(MESHES[3]), **{path: text for path, text in first.items() if text is not None}}
    ((path, after),) = suspended(MemoryTree(tree), Suspension(reason="y")).items()
    assert after is not None
    loaded = load(MemoryTree({**tree, path: after}))
    assert loaded.mesh is not None
    assert loaded.mesh.settings.suspend == Suspension(reason="y")
    with pytest.raises(SuspensionError, match="just so already"):
        suspended(MemoryTree({**tree, path: after}), Suspension(reason="y"))


def test_what_is_not_suspended_is_not_resumed() -> None:
    """Nothing is written."""
    for tree in (files(MESHES[0]), files(HEAD), {"policies/base.yaml": BASE}):
        with pytest.raises(SuspensionError, match="not suspended"):
            resumed(MemoryTree(tree))


def test_a_file_that_cant_be_changed_in_place_is_named() -> None:
    """What stands in an anchor that others share is left as it is."""
    text = HEAD + "spec:\n  suspend: &s {reason: a}\n"
    with pytest.raises(SuspensionError, match=r"policies/own\.yaml: "):
        suspended(MemoryTree(files(text)), Suspension(reason="x"))


@pytest.mark.parametrize(
    ("there", "path"),
    [
        ([NEW_FILE], "policies/mesh-suspend.yaml"),
        ([NEW_FILE, "policies/mesh-suspend.yaml"], "policies/mesh-suspend-1.yaml"),
        (["policies/mesh.yaml/base.yaml"], "policies/mesh-suspend.yaml"),
    ],
)
def test_a_name_that_is_taken_keeps_nobody_from_suspending(there: list[str], path: str) -> None:
    """Our own file gets another name, and goes again; the one that is there stays as it is."""
    tree: Files = {name: BASE.replace("name: ", f"name: x{number}") for number, name in enumerate(there)}
    found = suspended(MemoryTree(tree), Suspension(reason="x"))
    assert list(found) == [path]
    after = found[path]
    assert after is not None
    assert resumed(MemoryTree({**tree, path: after})) == {path: None}
