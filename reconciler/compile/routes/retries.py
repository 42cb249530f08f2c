"""How long a request may take and how it is repeated: a rule's word on top of the template's (Istio's `retry.go`)."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3.route_components_pb2 import RetryPolicy
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)

from reconciler.model.virtualservice import HTTPRetry, HTTPRoute

_BY_STATUS = "retriable-status-codes"
_RETRY_ON = f"connect-failure,refused-stream,unavailable,cancelled,{_BY_STATUS}"
"""Istio's default; the house template has it too, but attempts without a condition would be without effect."""

_OTHER_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_OTHER_PRIORITIES = "envoy.retry_priorities.previous_priorities"
_UPDATE_FREQUENCY = 2
"""Tries after which other priorities are looked at, as in Istio."""


def fill_timeout(action: Any, rule: HTTPRoute) -> None:
    """Set the timeout, which then holds for gRPC too, whatever its clients ask for.

    Envoy ignores a route's `timeout` as soon as `max_stream_duration` is there, and that has no way to say both.
    """
    if rule.timeout is not None:
        action.timeout.FromTimedelta(rule.timeout)
    if action.timeout.ToTimedelta():
        action.ClearField("max_stream_duration")


def fill_retries(action: Any, retries: HTTPRetry | None, *, pinned: bool) -> None:
    """Set the retry policy.

    Args:
        action: A `RouteAction` that has the template's.
        retries: What the rule says, or None.
        pinned: Whether a hash sends each client to one endpoint of one cluster; retries then stay there by default.
    """
    if retries is not None and retries.attempts <= 0:
        action.ClearField("retry_policy")
        return
    if retries is not None:
        _say(action.retry_policy, retries)
    if not action.HasField("retry_policy"):
        return
    elsewhere = retries.retry_ignore_previous_hosts if retries else None
    if elsewhere is not None or pinned:
        _other_hosts(action.retry_policy, wanted=bool(elsewhere))


def _say(policy: Any, retries: HTTPRetry) -> None:
    policy.num_retries.value = retries.attempts
    if retries.retry_on:
        _retry_on(policy, retries.retry_on)
    elif not policy.retry_on:
        policy.retry_on = _RETRY_ON
    if retries.per_try_timeout is not None:
        policy.per_try_timeout.FromTimedelta(retries.per_try_timeout)
    if retries.backoff:
        policy.retry_back_off.CopyFrom(RetryPolicy.RetryBackOff())
        policy.retry_back_off.base_interval.FromTimedelta(retries.backoff)
    if retries.retry_remote_localities:
        policy.retry_priority.name = _OTHER_PRIORITIES
        config = PreviousPrioritiesConfig(update_frequency=_UPDATE_FREQUENCY)
        policy.retry_priority.typed_config.Pack(config, deterministic=True)


def _other_hosts(policy: Any, *, wanted: bool) -> None:
    others = [item for item in policy.retry_host_predicate if item.name != _OTHER_HOSTS]
    if len(others) < len(policy.retry_host_predicate) and wanted:
        return
    del policy.retry_host_predicate[:]
    policy.retry_host_predicate.extend(others)
    if wanted:
        predicate = policy.retry_host_predicate.add(name=_OTHER_HOSTS)
        predicate.typed_config.Pack(PreviousHostsPredicate(), deterministic=True)


def _retry_on(policy: Any, text: str) -> None:
    """Istio's mixture of conditions and status codes, taken apart for Envoy."""
    tokens = [token for token in (part.strip() for part in text.split(",")) if token]
    codes = [int(token) for token in tokens if token.isascii() and token.isdigit()]
    conditions = [token for token in tokens if not (token.isascii() and token.isdigit())]
    if codes and _BY_STATUS not in conditions:
        conditions.append(_BY_STATUS)
    policy.retry_on = ",".join(conditions)
    del policy.retriable_status_codes[:]
    policy.retriable_status_codes.extend(dict.fromkeys(codes))
