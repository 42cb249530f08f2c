"""Series as Envoy writes them for Prometheus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_LINE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, dict[str, str], float]


def parsed(text: str) -> list[Series]:
    """Every sample: name, labels that have a value, value."""
    found = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            labels = {name: value for name, value in _LABEL.findall(match["labels"] or "") if value}
            found.append((match["name"], labels, float(match["value"])))
    return found


def summed(series: Iterable[Series], name: str, *by: str, **where: str) -> dict[tuple[str, ...], float]:
    """The sum of a metric by these labels, of the series with these labels; those that are 0 are left out."""
    found: Counter[tuple[str, ...]] = Counter()
    for metric, labels, value in series:
        if metric == name and all(labels.get(key, "") == wanted for key, wanted in where.items()):
            found[tuple(labels.get(key, "") for key in by)] += value  # type: ignore[assignment]
    return {key: value for key, value in found.items() if value}
