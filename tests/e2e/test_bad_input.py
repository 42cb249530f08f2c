from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.rig import Rig, git


@dataclass(frozen=True)
class Bad:
    """A commit that can't be used, and what must be said about it."""

    name: str
    file: str
    content: str | bytes
    code: str
    place: str = ""


ROUTE = "policies/routes.yaml"
EXTRA = "policies/extra.yaml"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def route(old: str, new: str) -> str:
    from tests.e2e.rig import ROUTES

    text = ROUTES % {"v1": 100, "v2": 0}
    assert old in text
    return text.replace(old, new)


BAD = [
    Bad("not-yaml", EXTRA, "a: [1, 2\nb: 3\n", "yaml-syntax", "policies/extra.yaml:2"),
    Bad("unknown-field", ROUTE, route("weight: 100", "wieght: 100"), "unknown-field", f"{ROUTE}:12:7"),
    Bad("negative-weight", ROUTE, route("weight: 100", "weight: -1"), "weight-negative", f"{ROUTE}:12:15"),
    Bad("weights-total-0", ROUTE, route("weight: 100", "weight: 0"), "weights-zero", ROUTE),
    Bad("no-such-subset", ROUTE, route("subset: v2", "subset: v9"), "ref-subset", f"{ROUTE}:13"),
    Bad(
        "no-such-host", ROUTE, route("host: details, subset: v2", "host: detail, subset: v2"), "ref-host", f"{ROUTE}:13"
    ),
    Bad("duplicate", EXTRA, route("weight: 100", "weight: 99"), "ref-duplicate", EXTRA),
    Bad("alias-bomb", EXTRA, BOMB, "yaml-", EXTRA),
    Bad("50-mb", EXTRA, b"#" * (50 * 1024 * 1024), "file-size", EXTRA),
    Bad("invalid-utf-8", EXTRA, b"kind: Mesh\nname: caf\xe9\n", "yaml-encoding", f"{EXTRA}:2"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("b")) as rig:
        rig.apply()
        yield rig


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_commit_that_cannot_be_used_is_refused_with_its_place_and_harms_nobody(served: Rig, bad: Bad) -> None:
    """Each fault is one clear error with file and position, exit 1; the last good configuration keeps serving."""
    receipts = served.receipts()
    served.commit({bad.file: bad.content}, f"Break it: {bad.name}")
    try:
        ran = served.command("--output", "json")
        assert ran.code == 1
        errors = [item for item in ran.json()["errors"] if item["severity"] == "error"]
        assert {item["code"] for item in errors} == {errors[0]["code"]}, errors
        assert errors[0]["code"].startswith(bad.code)
        assert errors[0]["hint"] or errors[0]["message"]
        assert ":".join(str(errors[0][key]) for key in ("file", "line", "column") if key in errors[0]).startswith(
            bad.place
        )
        served.share_is(0, requests=50)
        assert served.receipts() == receipts
    finally:
        restored = served.files() | ({} if bad.file == ROUTE else {EXTRA: None})
        served.commit(restored, "Mend it")
    served.apply()


def test_a_symlink_out_of_the_tree_is_refused_by_name(served: Rig) -> None:
    """A link is never followed; it is an error that names it."""
    link = served.clone / "policies" / "link.yaml"
    link.symlink_to("/etc/hostname")
    served.commit({}, "Link away")
    try:
        ran = served.command("--output", "json")
        assert ran.code == 1
        assert [(item["code"], item["file"]) for item in ran.json()["errors"]] == [("file-kind", "policies/link.yaml")]
    finally:
        link.unlink()
        served.commit({}, "Unlink")


def test_an_invalid_head_keeps_drift_repair_going(served: Rig) -> None:
    """While main is broken, the fleet is still kept at the newest receipt's commit."""
    from tests.e2e.test_drift import by_hand

    served.commit({EXTRA: "kind: [\n"}, "Break it")
    try:
        by_hand(served)
        assert served.run().exit_code() == 1
        assert "by-hand" not in str(served.config("edge"))
    finally:
        served.commit({EXTRA: None}, "Mend it")


def test_all_errors_of_a_commit_are_said_at_once(served: Rig) -> None:
    """Loading does not stop at the first fault, nor at the first file."""
    broken = {
        ROUTE: route("weight: 100", "wieght: 100"),
        "policies/c.yaml": route("weight: 100", "weight: -9")
        .replace("name: details", "name: c")
        .replace("details.ex", "c.ex"),
        "policies/a.yaml": "a: [\n",
        "policies/b.yaml": "apiVersion: networking.istio.io/v1\nkind: Nonsense\n",
    }
    served.commit(broken, "Break it all")
    try:
        errors = served.command("--output", "json").json()["errors"]
        assert len([item for item in errors if item["severity"] == "error"]) >= 4
        assert {item["file"] for item in errors} >= set(broken)
    finally:
        served.commit(served.files() | {f"policies/{name}.yaml": None for name in "abc"}, "Mend it")


@pytest.mark.long
def test_an_empty_repository_a_missing_ref_and_no_repository_say_so(served: Rig) -> None:
    """Each is its own error with what to do, exit 1, in every form of output."""
    empty = served.folder / "empty.git"
    git("init", "-q", "--bare", "-b", "main", str(empty))
    nothing = served.folder / "nothing"
    nothing.mkdir()
    cases = {
        "git-empty-repository": ["--repo", str(empty)],
        "git-ref-not-found": ["--ref", "no-such-branch"],
        "git-not-a-repository": ["--repo", str(nothing)],
    }
    for code, arguments in cases.items():
        ran = served.command(*arguments, "--output", "json")
        assert ran.code == 1, code
        (error,) = ran.json()["errors"]
        assert error["code"] == code
        assert error["hint"]
        text = served.command(*arguments)
        assert (text.code, text.out) == (1, "")
        assert f"error[{code}]" in text.err
        assert "Traceback" not in text.err


def test_a_repository_without_its_objects_is_an_error_and_loses_nothing(served: Rig) -> None:
    """What can't be read moves nothing and is an error; once it is back, the next pass does the work."""
    served.commit(served.routes(90, 10), "v2 at 10%")
    count = len(served.receipts())
    objects = served.repo / "objects"
    objects.rename(served.repo / "objects.away")
    objects.write_text("")
    ran = served.command("--output", "json")
    objects.unlink()
    (served.repo / "objects.away").rename(objects)
    assert ran.code == 1
    assert len(served.receipts()) == count
    served.share_is(0, requests=50)
    served.apply()
    assert len(served.receipts()) == count + 1
    served.share_is(10)
