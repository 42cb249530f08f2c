"""What is remembered on disk: whatever happens to the process or to the file, the daemon starts, and with what was written last."""

from __future__ import annotations

import logging
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from reconciler.discovery.keeping.cache import VERSION, Cache, Line
from reconciler.model.discovered import Found, Instance
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health, Port

LOG = logging.getLogger("test.cache")
WHOLE = Found(
    host="reviews",
    namespace="prod",
    instances=(
        Instance(
            address="10.0.0.1",
            ports=MappingProxyType({"http": 80}),
            labels=MappingProxyType({"version": "v1"}),
            weight=3,
            health=Health.DRAINING,
            locality="a/b/c",
            network="n",
            service_account="sa",
            name="pod",
        ),
        Instance(address="10.0.0.2", ports={"http": 80}),
    ),
    ports=(Port(80, "http", Protocol.GRPC_WEB, 8080),),
    addresses=("10.1.0.1",),
    selector={"app": "reviews"},
    resolution=Resolution.DNS,
)
WRITER = """
import logging, sys
from pathlib import Path
from reconciler.discovery.keeping.cache import Cache, Line
from reconciler.model.discovered import Found, Instance

cache = Cache(Path(sys.argv[1]), logging.getLogger())
print("ready", flush=True)
for turn in range(1_000_000):
    instance = Instance(address=f"turn-{turn}", ports={"": 80})
    assert cache.write([Line("r", "d", f"host-{number}", Found(host=f"host-{number}", instances=(instance,))) for number in range(20)])
    print(turn, flush=True)
"""


@contextmanager
def opened(path: Path | None) -> Iterator[Cache]:
    with closing(Cache(path, LOG)) as cache:
        yield cache


def line(host: str = "reviews", found: Found | None = WHOLE, registry: str = "r", digest: str = "d") -> Line:
    return Line(registry, digest, host, found)


def test_what_is_written_is_remembered(tmp_path: Path) -> None:
    """All of a service, with everything that is known of it; by registry and by how that was asked."""
    with opened(tmp_path / "deep" / "cache") as cache:
        assert cache.remembered("r", "d") == {}
        bare = Found(host="bare")
        assert cache.write([line(), line("bare", bare), line("gone", bare), line(registry="other"), line(digest="old")])
        assert cache.write([line("gone", None), line("never", None)])
    with opened(tmp_path / "deep" / "cache") as cache:
        assert cache.remembered("r", "d") == {"reviews": WHOLE, "bare": bare}
        assert cache.remembered("r", "unknown") == {}
        assert cache.keep_only([("r", "d")])
    with opened(tmp_path / "deep" / "cache") as cache:
        assert cache.remembered("other", "d") == cache.remembered("r", "old") == {}
        assert len(cache.remembered("r", "d")) == 2
    assert (tmp_path / "deep" / "cache").stat().st_mode & 0o777 == 0o600


def test_who_asks_nothing_makes_no_file(tmp_path: Path) -> None:
    """Every command has a cache at hand; who has no registries has no file."""
    with opened(tmp_path / "deep" / "cache"):
        pass
    assert not (tmp_path / "deep").exists()


def test_a_file_that_is_in_use_is_opened_later(tmp_path: Path) -> None:
    """Another process may hold it for a moment, just as we start: that is no reason to remember nothing from then on."""
    path = tmp_path / "cache"
    with opened(path) as first:
        assert first.write([line()])
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with opened(path) as cache:
            assert cache.remembered("r", "d") == {}
            holder.close()
            assert cache.write([line("ratings")])
    finally:
        holder.close()
    with opened(path) as cache:
        assert set(cache.remembered("r", "d")) == {"reviews", "ratings"}


def test_what_no_file_can_have_keeps_nothing_else_out(tmp_path: Path) -> None:
    """JSON may have half a character, which is no UTF-8; what was remembered of such a service before stays."""
    half = Found(host="half", instances=(Instance(address="10.0.0.1", ports={"": 1}, labels={"x": "\ud800"}),))
    with opened(tmp_path / "cache") as cache:
        assert cache.write([Line("r", "d", "half", Found(host="half"))])
        assert cache.write(
            [Line("r", "d", "half", half), Line("r", "d", "\ud800", WHOLE), Line("r", "d", "reviews", WHOLE)]
        )
    with opened(tmp_path / "cache") as cache:
        assert cache.remembered("r", "d") == {"half": Found(host="half"), "reviews": WHOLE}


def test_what_can_not_be_written_is_read_and_left_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that is full, or may not be written to, is no fault of the file: a daemon that starts there knows what it knew."""
    with opened(tmp_path / "cache") as cache:
        assert cache.write([line()])
    (tmp_path / "cache-shm").mkdir()  # so that SQLite can't have its own file there, as on a full disk
    (tmp_path / "cache-wal").mkdir()
    with opened(tmp_path / "cache") as cache:
        assert cache.remembered("r", "d") == {"reviews": WHOLE}
        assert not cache.write([line()])
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "cache-shm", "cache-wal"]
    assert "can't be remembered" in caplog.text


def test_without_a_path_nothing_is_remembered() -> None:
    """And that is no failure."""
    with opened(None) as cache:
        assert cache.write([line()])
        assert cache.remembered("r", "d") == {}


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)


def _torn(path: Path) -> None:
    with opened(path) as cache:
        cache.write([line(f"host-{number}") for number in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _newer(path: Path) -> None:
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE something (x)")


def _senseless(path: Path) -> None:
    with opened(path) as cache:
        cache.write([line()])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("""UPDATE service SET found = '{"host": 7}'""")


def _a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [_garbage, _torn, _newer, _of_another_program, _senseless, _a_folder])
def test_a_file_that_can_not_be_used_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    """It is kept for whoever wants to see it, the log says so once, and another one is begun."""
    path = tmp_path / "cache"
    assert callable(spoil)
    spoil(path)
    with opened(path) as cache:
        assert cache.remembered("r", "d") == {}
        assert cache.write([line()])
    assert (tmp_path / "cache.unreadable").exists()
    assert [(record.levelname, "moved to" in record.message) for record in caplog.records] == [("WARNING", True)]
    with opened(path) as cache:
        assert cache.remembered("r", "d") == {"reviews": WHOLE}


def test_a_disk_that_can_not_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Everything else goes on, and what could not be written is known to the caller."""
    (tmp_path / "file").write_text("in the way")
    with opened(tmp_path / "file" / "cache") as cache:
        assert not cache.write([line()])
        assert not cache.write([line()])
    assert [record.levelname for record in caplog.records][-1:] == ["WARNING"]
    assert sum("can't be remembered" in record.message for record in caplog.records) == 1


def test_a_file_that_another_process_holds_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not broken: it is written the next time."""
    path = tmp_path / "cache"
    with opened(path) as cache, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not cache.write([line()])
        other.execute("ROLLBACK")
        assert cache.write([line()])
    assert not (tmp_path / "cache.unreadable").exists()
    assert len(caplog.records) == 1


def test_a_process_may_be_killed_at_any_instant(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file holds one of the states that were written, whole, and none older than the last that was said to be written."""
    path, chance = tmp_path / "cache", random.Random(7)  # noqa: S311 -- a seed makes it the same in every run
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.15))  # not waited for anything: any instant will do
            process.kill()
            said = process.stdout.read().splitlines()
        with opened(path) as cache:
            remembered = cache.remembered("r", "d")
        turns = {int(found.instances[0].address.removeprefix("turn-")) for found in remembered.values()}
        assert len(turns) <= 1
        if said:  # of what it had no time to say, at most one more is written
            assert len(remembered) == 20
            assert min(turns) - int(said[-1]) in {0, 1}
    assert not caplog.records
