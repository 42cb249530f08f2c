"""One registry of a catalogue: what drives it, what is used of it, and what of that has not been passed on yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.discovery.keeping.cache import Line
from reconciler.discovery.keeping.keeper import Keeper
from reconciler.discovery.keeping.runner import Runner
from reconciler.model.discovered import Listed, Standing


class Kept:
    """Not safe from threads by itself: `Registries` has the lock.

    Attributes:
        digest: Of what its adapter was made from.
        runner: What drives it now; None once it has to end.
        turn: Which runner that is: one that was replaced may still have something to say.
        listed: Services as they are used; what did not change is the same object.
        changed: Hosts that are not in the catalogue yet as they are here.
        told: How it stood when the log last spoke of it.
        spoken: Whether it has answered, or failed to, since it is asked in this way: what is remembered is no answer.
    """

    def __init__(self, *, name: str, digest: str, keeper: Keeper) -> None:
        self.name = name
        self.digest = digest
        self.keeper = keeper
        self.runner: Runner | None = None
        self.turn = 0
        self.listed = {host: Listed(name, found) for host, found in keeper.used.items()}
        self.changed: set[str] = set(self.listed)
        self.told: Standing | None = None
        self.spoken = False
        self._unwritten: set[str] = set()
        self._told_revision = -1

    @property
    def untold(self) -> bool:
        """Whether the log may have something to say of it."""
        return self._told_revision != self.keeper.revision

    def take(self, hosts: Iterable[str]) -> None:
        """These are used otherwise now."""
        for host in hosts:
            found = self.keeper.used.get(host)
            if found is not None:
                self.listed[host] = Listed(self.name, found)
            else:
                self.listed.pop(host, None)
            self.changed.add(host)
            self._unwritten.add(host)

    def anew(self, digest: str) -> None:
        """It is asked in another way from now on: what is in use is remembered as what it said."""
        self.digest = digest
        self.spoken = False
        self._unwritten |= self.listed.keys()

    def lines(self) -> Iterator[Line]:
        """What is to be written, once: what could not be has to be given back."""
        hosts, self._unwritten = self._unwritten, set()
        for host in sorted(hosts):
            yield Line(self.name, self.digest, host, self.keeper.used.get(host))

    def give_back(self, lines: Iterable[Line]) -> None:
        """These could not be written."""
        self._unwritten |= {line.host for line in lines if line.digest == self.digest}

    def standing_to_tell(self) -> tuple[Standing | None, Standing]:
        """How it stood when this was last asked, and how it stands."""
        before, self.told = self.told, self.keeper.standing()
        self._told_revision = self.keeper.revision
        return before, self.told
