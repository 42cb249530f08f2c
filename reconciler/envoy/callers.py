"""What all callers together say of the hosts of their clusters: every proxy is asked at the same time, and none holds up the rest.

Opens connections of its own, so any thread may ask at any time, beside a pass that reads the same proxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from reconciler.envoy.admin import Admin
from reconciler.envoy.failures import AdminError
from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.model.seen import HostSeen, HostsSeen, Tally
from reconciler.settings import AdminSettings

_WITHIN = 10.0

_Answer = Mapping[str, tuple[HostSeen, ...]]


def hosts_seen(addresses: Mapping[Key, str], settings: AdminSettings, *, within: float = _WITHIN) -> HostsSeen:
    """Ask proxies for the hosts of their clusters. Never raises for one that can't be asked: it is named in `silent`.

    Args:
        addresses: Admin endpoints, by proxy.
        settings: How patient one call is; `workers` are asked at the same time.
        within: Seconds after which no other proxy is asked. Calls that have begun end by their own limits.
    """
    tally = Tally()
    if not addresses:
        return tally.result()
    pool = ThreadPoolExecutor(min(settings.workers, len(addresses)), thread_name_prefix="hosts")
    with pool:
        asked = {pool.submit(_ask, address, settings): key for key, address in sorted(addresses.items())}
        try:
            for answer in as_completed([*asked], timeout=within):
                _take(tally, asked.pop(answer), answer)
        except TimeoutError:
            unasked = {answer for answer in asked if answer.cancel()}
            for answer, key in asked.items():
                if answer in unasked:
                    tally.silence(key, _late(within).diagnostics[0])
                else:
                    _take(tally, key, answer)
    return tally.result()


def _ask(address: str, settings: AdminSettings) -> _Answer:
    with Admin(address, settings) as admin:
        return admin.endpoints()


def _take(tally: Tally, key: Key, answer: Future[_Answer]) -> None:
    try:
        tally.answer(key, answer.result())
    except (AdminError, UsageError) as error:
        tally.silence(key, error.diagnostics[0])


def _late(within: float) -> AdminError:
    return AdminError(
        f"it was not asked: the other proxies took all of {within:g} s",
        code="admin-not-asked",
        hint="ask again, or allow fewer seconds for each with --admin-timeout",
    )
