"""Whoever dies in the middle of a push, the reconciler or an Envoy, the next one ends where it should."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.watches import Watches
from reconciler.push.ways import Target
from tests.push.conftest import Backends, Ports
from tests.push.lab import SplitLab, apply, pushed, service
from tests.push.traffic import Load, ask


class SecretlyStopped(BaseException):
    """The process was killed."""


class DyingDisk(Disk):
    """Carries out so many operations, then stops like a killed process."""

    def __init__(self, directory: str, left: int) -> None:
        super().__init__(directory)
        self.left = left

    def stage(self, path: str, body: bytes) -> None:
        self._spend()
        super().stage(path, body)

    def commit(self, path: str) -> None:
        self._spend()
        super().commit(path)

    def remove(self, path: str) -> None:
        self._spend()
        super().remove(path)

    def _spend(self) -> None:
        if not self.left:
            raise SecretlyStopped
        self.left -= 1


def test_killed_after_any_operation_the_next_push_converges(
    split_lab: SplitLab, make_port: Ports, make_backend: Backends
) -> None:
    """Wherever a push is killed, traffic goes on, and a new push from what is live then ends exact; one that ends by itself leaves a clean disk."""
    lab, at, port = split_lab
    other, back = make_port(), make_backend("b")
    ends = [[*at(0), *service(lab, "b", other, back)], at(100)]
    finished = [False, False]
    with Load(port) as load:
        for left in range(60):
            goal = left % 2
            wanted = ends[goal]

            def dying(target: Target, admin: Admin, clock: Clock, left: int = left // 2) -> FilesWay:
                return FilesWay(
                    target, admin=admin, clock=clock, disk=DyingDisk(str(lab.directory), left), watches=Watches()
                )

            try:
                pushed([lab.target(wanted)], [lab], ways=dying)
                finished[goal] = True
                assert lab.bytes_on_disk() == lab.rendered(wanted)
                assert not list(lab.directory.rglob("*.new"))
            except SecretlyStopped:
                assert apply(lab, wanted).proof is Proof.EXACT
            # Files that only wait to be deleted may be left: what is live needs no push, and the next one takes them along.
            assert lab.rendered(wanted).items() <= lab.bytes_on_disk().items()
            if all(finished):
                break
        load.wait(10)
    assert all(finished)
    assert set(load.answers) <= {"v1", "v2"}


def test_an_envoy_killed_in_the_middle_gets_there_when_it_is_back(split_lab: SplitLab, stack: ExitStack) -> None:
    """Killed between two phases: the process that comes back reads what was sent, and the push is confirmed on it."""
    lab, at, port = split_lab

    # Linux ends a child with the thread that started it, where the child asks for that, so the thread has to outlive it.
    supervisor = stack.enter_context(ThreadPoolExecutor(1))
    stack.callback(lab.process.kill)

    class Restarting(Disk):
        def commit(self, path: str) -> None:
            lab.process.kill()
            super().commit(path)
            supervisor.submit(lab.process.start).result()

    def restarting(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        return FilesWay(target, admin=admin, clock=clock, disk=Restarting(str(lab.directory)), watches=Watches())

    outcome = pushed([lab.target(at(100))], [lab], ways=restarting).outcomes[lab.proxy.key]
    assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT)
    assert ask(port) == "v2"


def test_an_envoy_that_dies_is_unreachable_and_reads_the_files_later(split_lab: SplitLab) -> None:
    """One that does not come back is unreachable; what it was sent is on its disk."""
    lab, at, port = split_lab

    class Killing(Disk):
        def commit(self, path: str) -> None:
            super().commit(path)
            lab.process.kill()

    def killing(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        return FilesWay(target, admin=admin, clock=clock, disk=Killing(str(lab.directory)), watches=Watches())

    outcome = pushed([lab.target(at(100))], [lab], ways=killing, seconds=0.5).outcomes[lab.proxy.key]
    assert (outcome.kind, outcome.proof) == (OutcomeKind.UNREACHABLE, Proof.NONE)
    lab.process.start()
    assert ask(port) == "v2"
