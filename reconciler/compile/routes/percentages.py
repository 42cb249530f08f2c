"""Shares of requests, as exact as Envoy takes them."""

from __future__ import annotations

from typing import Any

from envoy.type.v3.percent_pb2 import FractionalPercent

from reconciler.model.virtualservice import Percent

_PER_PERCENT = 10_000


def fraction(percent: Percent) -> Any:
    """In millionths, to the nearest: Istio cuts off, which makes 2.3% of 2.2999%."""
    return FractionalPercent(numerator=round(percent.value * _PER_PERCENT), denominator=FractionalPercent.MILLION)


def whole(percent: int) -> Any:
    """In hundredths."""
    return FractionalPercent(numerator=percent, denominator=FractionalPercent.HUNDRED)
