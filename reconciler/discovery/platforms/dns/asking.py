"""Questions to DNS servers, each on a clock of its own: asked again when its answer's TTL is over, and later and later while it fails.

Everything here runs on one event loop, which `dns` drives. It knows neither services nor what answers mean.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.rdtypes.IN.SRV
import dns.resolver

from reconciler.discovery.contract import AdapterError
from reconciler.discovery.platforms.dns.records import Answer, Kind, Question, Target
from reconciler.model.hosts import is_address

_PORT = 53
_TRY = 2.0
"""Seconds that one server has for one answer."""

GIVE_UP = 6.0
"""Seconds for one question, to all servers."""

_RESOLV = "/etc/resolv.conf"
_AT_ONCE = 16
_LEAST = 0.05
"""Seconds between two equal questions, whatever the settings and TTLs say."""

_NO_TTL = 5.0
"""Seconds until what does not exist is asked for again, where no SOA record says it."""

_LONGEST_BACKOFF = 30.0
_HIGHEST_PORT = 65535


class DnsError(AdapterError):
    """DNS servers can't be asked, or none of them answers."""

    default_code = "discovery-dns"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of asking once.

    Attributes:
        question: What was asked.
        answer: What was answered; None if nothing was.
        why: If nothing was.
    """

    question: Question
    answer: Answer | None = None
    why: str = ""


class Asker:
    """Asks what is wanted, again and again.

    Args:
        servers: In the order in which they are tried; those of /etc/resolv.conf if there is none.
        shortest: Seconds between two equal questions, at least.
        longest: At most, as long as there are answers.
        give_up: Seconds for one question, to all servers.
        resolv: Where the system names its servers; a seam for tests.

    Raises:
        DnsError: There is no server.
    """

    def __init__(
        self,
        servers: Sequence[dns.nameserver.Nameserver],
        *,
        shortest: float,
        longest: float,
        give_up: float = GIVE_UP,
        resolv: str = _RESOLV,
    ) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver(resolv, configure=not servers)
        except (dns.exception.DNSException, OSError):
            raise DnsError(
                f"no DNS server is known: {resolv} names none", hint="write servers at the registry, or mend that file"
            ) from None
        if servers:
            self._resolver.nameservers = list(servers)
        self._resolver.timeout, self._resolver.lifetime = _TRY, give_up
        self._shortest, self._longest = max(shortest, _LEAST), longest
        self._tasks: dict[Question, asyncio.Task[None]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def want(self, questions: Collection[Question]) -> None:
        """From now on ask exactly these; on the event loop's thread."""
        for question in self._tasks.keys() - set(questions):
            task = self._tasks.pop(question)
            task.cancel()
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)
        for question in questions:
            if question not in self._tasks:
                self._tasks[question] = asyncio.get_running_loop().create_task(self._repeat(question))

    async def end(self) -> None:
        """Ask nothing any more; returns when no question is under way.

        A question may miss that it was cancelled: before Python 3.12 `asyncio.wait_for` loses that if what it waits for comes at
        the same time.
        """
        ending = set(self._tasks.values()) | self._ended
        self._tasks.clear()
        while ending:
            for task in ending:
                task.cancel()
            _, ending = await asyncio.wait(ending, timeout=0.05)

    def wake(self) -> None:
        """Let `outcomes` return; on the event loop's thread."""
        self._outcomes.put_nowait(None)

    async def outcomes(self) -> list[Outcome]:
        """What became of questions since the last call, in order; waits until there is something, or for `wake`."""
        found = [await self._outcomes.get()]
        while not self._outcomes.empty():
            found.append(self._outcomes.get_nowait())
        return [each for each in found if each is not None and each.question in self._tasks]

    async def _repeat(self, question: Question) -> None:
        backoff = max(1.0, self._shortest)
        pause = 0.0
        while self._tasks.get(question) is asyncio.current_task():
            await asyncio.sleep(pause)
            try:
                async with self._turn:
                    answer, ttl = await self._ask(question)
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                self._outcomes.put_nowait(Outcome(question, why=_words(error)))
                pause, backoff = backoff, min(backoff * 2, max(_LONGEST_BACKOFF, self._shortest))
            else:
                backoff = max(1.0, self._shortest)
                self._outcomes.put_nowait(Outcome(question, answer))
                pause = min(max(ttl, self._shortest), self._longest)

    async def _ask(self, question: Question) -> tuple[Answer, float]:
        """The answer, and for how many seconds it is good."""
        try:
            reply = await self._resolver.resolve(
                dns.name.from_text(question.name), question.kind, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN as error:
            return Answer(), min(map(_negative_ttl, error.kwargs["responses"].values()), default=_NO_TTL)
        if reply.rrset is None:
            if reply.canonical_name != reply.qname and not (
                reply.response.flags & dns.flags.RA or _says_none(reply.response)
            ):
                raise ValueError("the server answers with an alias that it does not follow; ask one that does")
            return Answer(), _negative_ttl(reply.response)
        ttl = float(reply.chaining_result.minimum_ttl)
        if question.kind is Kind.SRV:
            targets = {_target(each) for each in reply}
            return Answer(targets=tuple(sorted(each for each in targets if each is not None))), ttl
        return Answer(addresses=tuple(sorted({ipaddress.ip_address(each.address).compressed for each in reply}))), ttl


def _target(record: dns.rdtypes.IN.SRV.SRV) -> Target | None:
    """None for the target that says that there is no service, and for port 0."""
    name = record.target.to_text(omit_final_dot=True).lower()
    return Target(record.priority, name, record.port, record.weight) if name not in {"", "."} and record.port else None


def _negative_ttl(response: dns.message.QueryMessage) -> float:
    """For how long there is nothing, by the SOA record of the answer (RFC 2308)."""
    ttl = response.resolve_chaining().minimum_ttl
    return float(ttl) if _says_none(response) else _NO_TTL


def _says_none(response: dns.message.QueryMessage) -> bool:
    """Whether a SOA record says that there is nothing."""
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)


def server(text: str) -> dns.nameserver.Nameserver:
    """`10.0.0.53`, `10.0.0.53:5353`, `fd00::53` or `[fd00::53]:5353`.

    Raises:
        ValueError: It is something else.
    """
    address, colon, port = text, "", ""
    if not is_address(text):
        address, colon, port = text.rpartition(":")
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not is_address(address) or (colon and not 1 <= number <= _HIGHEST_PORT):
        raise ValueError(
            f"{text!r} is not the address of a DNS server, such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353"
        )
    return dns.nameserver.Do53Nameserver(address, number or _PORT)


def _words(error: Exception) -> str:
    """Why there is no answer: what the last server that was tried did."""
    tried = error.kwargs.get("errors") if isinstance(error, dns.exception.DNSException) else None
    if not tried:
        return "it is no name that can be looked up" if isinstance(error, dns.exception.DNSException) else str(error)
    server, _, port, fault, _ = tried[-1]
    where = f"{str(server).removeprefix('Do53:').partition('@')[0]} port {port}"
    if isinstance(fault, str):
        return f"{where} says {fault}"
    if isinstance(fault, dns.exception.Timeout):
        return f"{where} does not answer"
    return (
        f"{where} answers what makes no sense"
        if not isinstance(fault, OSError)
        else f"{where}: {fault.strerror or fault}"
    )
