"""Files as a registry: they conform to the contract, and whatever happens to a file is seen, and takes nothing away by mistake."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

from reconciler.discovery.conformance import Ability, Member, Mood, Rule, State, Watched, rules, watching
from reconciler.discovery.contract import Adapter, Alive, Stopping
from reconciler.discovery.platforms.prometheus.file_sd import FileAdapter, build
from reconciler.discovery.platforms.prometheus.files import FileError
from reconciler.discovery.platforms.prometheus.targets import LARGEST, TargetsError
from reconciler.model.discovery import FileSd
from tests.discovery.groups import AROUND, full, group, groups

HOST = full("reviews")
WITHIN = 5.0


def replace(path: Path, content: Any) -> None:
    """As careful tools do: write beside it, and rename."""
    beside = path.with_suffix(".new")
    beside.write_text(content if isinstance(content, str) else json.dumps(content))
    beside.rename(path)


class Files:
    """A directory with one file for each service."""

    within = WITHIN
    patience = WITHIN
    alive = WITHIN
    secrets = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def adapter(self) -> Adapter:
        files = (str(self.folder / "*.json"), str(self.folder / "more.yaml"))
        return build(FileSd(files=files, interval=timedelta(milliseconds=300)), AROUND)

    def host(self, service: str) -> str:
        return full(service)

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        for name, members in services.items():
            replace(self.folder / f"{name}.json", groups({name: members}))
        for path in self.folder.glob("*.json"):
            if path.stem not in services:
                path.unlink()

    def be(self, mood: Mood) -> None:
        broken = self.folder / "more.yaml"
        if mood is Mood.WELL:
            broken.unlink(missing_ok=True)
        elif mood is Mood.GARBAGE:
            broken.write_text("- targets: [")
        elif mood is Mood.DENYING:  # root may read everything, but no loop of links
            broken.symlink_to(broken)
        else:
            raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError


LACKS = (Mood.SLOW, Mood.DOWN, Mood.PARTITIONED, Ability.RESTART)


@pytest.mark.parametrize("rule", rules(lacks=LACKS), ids=str)
def test_it_conforms(rule: Rule, tmp_path: Path) -> None:
    """Every rule for adapters holds for files."""
    rule.check(Files(tmp_path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "targets.json"
    replace(path, [group("10.0.0.1:80")])
    return path


def adapter(*files: Path, observer: Callable[[], BaseObserver] = Observer) -> FileAdapter:
    return FileAdapter(FileSd(files=tuple(map(str, files))), AROUND, observer=observer, look=0.2)


def addresses(state: State, host: str = HOST) -> list[str] | None:
    return [each.address for each in state[host].instances] if host in state else None


def sees(watched: Watched, wanted: list[str] | None, what: str = "wanted addresses") -> None:
    watched.until(lambda state: addresses(state) == wanted, within=WITHIN, what=what)


def says(watched: Watched, text: str | None) -> None:
    def said(it: Watched) -> bool:
        return it.problem is None if text is None else it.problem is not None and text in it.problem.message

    watched.wait(said, within=WITHIN, what=f"problem with {text!r}")


def test_yaml_says_the_same_as_json(tmp_path: Path) -> None:
    """The ending of the name says which it is."""
    (tmp_path / "a.yml").write_text('- targets: ["10.0.0.1:80"]\n  labels: {job: reviews, version: "2"}\n')
    with watching(adapter(tmp_path / "a.yml")) as watched:
        sees(watched, ["10.0.0.1"])
        assert watched.services[HOST].instances[0].labels == {"job": "reviews", "version": "2"}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yml", "", "empty"),
        ("a.yml", "- a: &a [1]\n- *b", "a.yml:2:3: the alias"),
        ("a.yml", "[]\n---\n[]", "more than one YAML document"),
        ("a.json", "", "not JSON"),
        ("a.json", "{}", "no list of target groups"),
        ("a.yml", "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [{'*a, ' * 9}*a]\n" for n in range(200)), "aliases expand"),
        ("a.json", " " * (LARGEST + 1), "larger than"),
    ],
)
def test_a_file_that_makes_no_sense_at_first_is_an_error(tmp_path: Path, name: str, text: str, why: str) -> None:
    """Half of the files would be half a list, so there is no Snapshot; an empty file is not the same as `[]`."""
    (tmp_path / name).write_text(text)
    replace(tmp_path / "good.json", [group("10.0.0.1:80")])
    with pytest.raises((FileError, TargetsError), match=why) as error:
        list(adapter(tmp_path / name, tmp_path / "good.json").watch(Stopping()))
    assert all(each.hint and each.code.startswith("discovery-") for each in error.value.diagnostics)


def test_a_file_that_is_being_written_keeps_what_it_said(file: Path) -> None:
    """Truncated, half written, then whole: only the whole is told, and what stays broken is a problem until it is mended."""
    with watching(adapter(file)) as watched:
        sees(watched, ["10.0.0.1"])
        text = json.dumps([group("10.0.0.1:80", "10.0.0.2:80")])
        with file.open("w") as writing:
            writing.write(text[:20])
            writing.flush()
            says(watched, "not JSON")
            assert addresses(watched.services) == ["10.0.0.1"]
            writing.write(text[20:])
        sees(watched, ["10.0.0.1", "10.0.0.2"])
        says(watched, None)
        assert not any("Gone" in repr(event) for event in watched.events)


def test_part_of_a_list_that_is_a_list_by_itself_is_not_told(tmp_path: Path) -> None:
    """YAML has no closing bracket: a file is read when its writer closes it, not at each write."""
    path = tmp_path / "a.yaml"
    lines = [f"- targets: ['10.0.0.{n}:80']\n  labels: {{job: reviews}}\n" for n in (1, 2, 3)]
    path.write_text("".join(lines))
    with watching(adapter(path)) as watched:
        sees(watched, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        with path.open("w") as writing:
            for line in lines[:2]:
                writing.write(line)
                writing.flush()
            replace(tmp_path / "other.yaml", [])  # the bell rings while it is half written
            writing.write(lines[2].replace("10.0.0.3", "10.0.0.4"))
        sees(watched, ["10.0.0.1", "10.0.0.2", "10.0.0.4"])
        counts = [len(event.service.instances) for event in watched.events if hasattr(event, "service")]
        assert counts == [3]


def test_files_come_and_go(tmp_path: Path) -> None:
    """A file that matches later counts, one that is deleted has no targets, and hidden ones and dangling links are none."""
    with watching(adapter(tmp_path / "*.json")) as watched:
        watched.wait(lambda it: bool(it.events), within=WITHIN, what="Snapshot")
        says(watched, "no file matches")
        replace(tmp_path / ".hidden.json", [group("10.0.0.9:80")])
        (tmp_path / "lock.json").symlink_to(tmp_path / "nobody")
        replace(tmp_path / "a.json", [group("10.0.0.1:80")])
        replace(tmp_path / "b.json", [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.1", "10.0.0.2"])
        says(watched, None)
        (tmp_path / "a.json").unlink()
        sees(watched, ["10.0.0.2"])
        (tmp_path / "b.json").rename(tmp_path / "b.json~")
        sees(watched, None)
        says(watched, "no file matches")


def test_a_file_that_is_missing_is_said_to_be(file: Path) -> None:
    """It counts as one without targets, and nobody has to wonder why."""
    with watching(adapter(file, file.with_name("typo.json"))) as watched:
        sees(watched, ["10.0.0.1"])
        says(watched, "typo.json")


def test_a_directory_may_be_deleted_and_made_anew(tmp_path: Path) -> None:
    """It is another directory then, and is watched again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    replace(folder / "a.json", [group("10.0.0.1:80")])
    with watching(adapter(folder / "*.json")) as watched:
        sees(watched, ["10.0.0.1"])
        shutil.rmtree(folder)
        sees(watched, None)
        folder.mkdir()
        replace(folder / "a.json", [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.2"])
        replace(folder / "a.json", [group("10.0.0.3:80")])
        sees(watched, ["10.0.0.3"])


def test_a_mounted_configmap_changes_at_once(tmp_path: Path) -> None:
    """Kubernetes renames a link beside the file, which itself is a link and stays as it is."""
    for name, address in (("one", "10.0.0.1"), ("two", "10.0.0.2")):
        (tmp_path / name).mkdir()
        replace(tmp_path / name / "a.json", [group(f"{address}:80")])
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "a.json").symlink_to("..data/a.json")
    with watching(adapter(tmp_path / "a.json")) as watched:
        sees(watched, ["10.0.0.1"])
        (tmp_path / "..tmp").symlink_to("two")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        sees(watched, ["10.0.0.2"])


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop"])
def test_what_can_t_be_read_any_more_keeps_what_it_said(file: Path, kind: str) -> None:
    """A directory, a named pipe (which would block), or no permission instead of the file: a problem, and nothing is lost."""
    with watching(adapter(file.parent / "targets.json")) as watched:
        sees(watched, ["10.0.0.1"])
        file.unlink()
        match kind:
            case "directory":
                file.mkdir()
            case "pipe":
                os.mkfifo(file)
            case "loop":
                file.symlink_to(file)
        says(watched, "targets.json")
        assert addresses(watched.services) == ["10.0.0.1"]


def test_a_directory_that_can_t_be_listed_loses_nothing(tmp_path: Path) -> None:
    """For a pattern too: what can't be listed is not empty."""
    folder = tmp_path / "folder"
    folder.mkdir()
    replace(folder / "a.json", [group("10.0.0.1:80")])
    with watching(adapter(folder / "*.json")) as watched:
        sees(watched, ["10.0.0.1"])
        folder.rename(tmp_path / "away")
        folder.symlink_to(folder)
        says(watched, "cannot read")
        assert addresses(watched.services) == ["10.0.0.1"]
        folder.unlink()
        (tmp_path / "away").rename(folder)
        says(watched, None)
        replace(folder / "a.json", [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.2"])


class _Exhausted:
    def __init__(self) -> None:
        raise OSError(errno.EMFILE, "inotify instance limit reached")


def test_without_an_inotify_instance_changes_are_still_seen(file: Path) -> None:
    """Linux has few of them. Files are looked at every second; a warning says so, and what to raise."""
    with watching(adapter(file, observer=_Exhausted)) as watched:  # type: ignore[arg-type]
        sees(watched, ["10.0.0.1"])
        says(watched, "a second or two late")
        assert watched.problem is not None
        assert "max_user_instances" in watched.problem.hint
        replace(file, [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.2"])
        file.write_text(json.dumps([group("10.0.0.3:80")]))
        sees(watched, ["10.0.0.3"])


def test_where_no_events_come_changes_are_still_seen(file: Path) -> None:
    """As on a network's file system: the system takes the watch, and says nothing."""
    with watching(adapter(file, observer=lambda: PollingObserver(timeout=60))) as watched:
        sees(watched, ["10.0.0.1"])
        replace(file, [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.2"])
        file.unlink()
        sees(watched, None)


def _deaf() -> BaseObserver:
    """Tells of `near` only."""
    observer = Observer()
    schedule = observer.schedule

    def elsewhere(handler: FileSystemEventHandler, path: str, **more: Any) -> ObservedWatch:
        return schedule(handler, path.replace("away", "near"), **more)

    observer.schedule = elsewhere  # type: ignore[method-assign, assignment]
    return observer


def test_files_that_change_all_the_time_leave_time_to_look_at_others(tmp_path: Path) -> None:
    """The system may tell of one directory without end, and of another one, on a network's file system, nothing."""
    near, away = tmp_path / "near" / "t.json", tmp_path / "away" / "t.json"
    for path in (near, away):
        path.parent.mkdir()
        replace(path, [group("10.0.0.1:80", job=path.parent.name)])
    numbers = itertools.count()
    with watching(adapter(near, away, observer=_deaf)) as watched:
        watched.until(lambda state: len(state) == 2, within=WITHIN, what="both")
        replace(away, [group("10.0.0.2:80", job="away")])

        def seen(state: State) -> bool:
            replace(near, [group(f"10.0.1.{next(numbers) % 250}:80", job="near")])
            return addresses(state, full("away")) == ["10.0.0.2"]

        watched.until(seen, within=WITHIN, what="the other file")


def test_one_inotify_instance_serves_all_directories(tmp_path: Path) -> None:
    """A user has 128 of them by default, and Envoys use many."""
    paths = []
    for name in "abcdef":
        (tmp_path / name).mkdir()
        replace(tmp_path / name / "t.json", [group(f"10.0.0.{ord(name)}:80")])
        paths.append(tmp_path / name / "t.json")
    before = _inotify_instances()
    with watching(adapter(*paths)) as watched:
        watched.until(lambda state: HOST in state and len(state[HOST].instances) == 6, within=WITHIN, what="all")
        assert _inotify_instances() - before == 1


def _inotify_instances() -> int:
    return sum("inotify" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())


def test_while_nothing_changes_nothing_is_said(file: Path) -> None:
    """A file written anew with what it says already is no event."""
    with watching(adapter(file)) as watched:
        sees(watched, ["10.0.0.1"])
        count = len(watched.events)
        replace(file, [group("10.0.0.1:80")])
        replace(file.with_name("other.json"), [])
        replace(file, [group("10.0.0.2:80")])
        sees(watched, ["10.0.0.2"])
        assert [type(event).__name__ for event in watched.events[count:] if not isinstance(event, Alive)] == ["Put"]


@pytest.mark.parametrize(
    "path", ["targets.json", "/etc/targets", "/etc/targets.txt", "/etc/*/targets.json", "/etc/[ab]/t.yml"]
)
def test_a_path_that_file_sd_does_not_take_is_an_error(path: str) -> None:
    """When the adapter is made: as in Prometheus, and absolute, since a daemon may run anywhere."""
    with pytest.raises(ValueError, match="is not a path such as"):
        adapter(Path(path))
