"""A timeline as one SVG file: weight, success rate and request times over one axis of time, with the steps marked.

It stands by itself: no script, no font and no address of anybody; light and dark by the reader's own setting. Words of others are
text and nothing else, whatever is in them. The same timeline gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reconciler.rollouts.axes import Axis, number, time_axis, time_label, value_axis
from reconciler.rollouts.timeline import Mark, Moment, Pair, Point, Timeline

_WIDTH, _EDGE, _LEFT, _RIGHT = 960, 24, 72, 812
_TOP, _PANEL, _GAP, _FOOT = 126, 124, 52, 48
_BADGE, _LINE = 20, 15
_STYLE = """
.paper { fill: #ffffff; }
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2937; }
.quiet { fill: #6b7280; font-size: 12px; }
.title { font-size: 20px; font-weight: 600; }
.name { font-weight: 600; }
.grid { stroke: #e5e7eb; stroke-width: 1; }
.mark { stroke: #9ca3af; stroke-width: 1; stroke-dasharray: 2 4; }
.limit { stroke: #dc2626; stroke-width: 1; stroke-dasharray: 6 4; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.canary { stroke: #d97706; }
.stable { stroke: #2563eb; }
text.canary, circle.canary { fill: #b45309; stroke: none; }
text.stable, circle.stable { fill: #1d4ed8; stroke: none; }
.area { fill: #d97706; fill-opacity: 0.14; stroke: none; }
.badge text { fill: #ffffff; font-size: 11px; font-weight: 600; text-anchor: middle; }
.step rect { fill: #6b7280; }
.held rect { fill: #7c3aed; }
.good rect { fill: #15803d; }
.bad rect { fill: #b91c1c; }
.held .mark { stroke: #7c3aed; }
.good .mark { stroke: #15803d; }
.bad .mark { stroke: #b91c1c; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0f172a; }
  text { fill: #e5e7eb; }
  .quiet { fill: #94a3b8; }
  .grid { stroke: #263348; }
  .mark { stroke: #64748b; }
  .limit { stroke: #f87171; }
  .canary { stroke: #fbbf24; }
  .stable { stroke: #60a5fa; }
  text.canary, circle.canary { fill: #fbbf24; }
  text.stable, circle.stable { fill: #93c5fd; }
  .area { fill: #fbbf24; fill-opacity: 0.16; }
  .badge text { fill: #ffffff; }
  .step rect { fill: #475569; }
}
"""


def svg(timeline: Timeline) -> str:
    """The picture, as an SVG document with a final line feed."""
    panels = [("weight", "Canary's weight", "%")]
    panels += [] if timeline.success.empty else [("success", "Requests that went well", "%")]
    panels += [] if timeline.duration.empty else [("duration", f"Request times, p{number(timeline.percentile)}", " ms")]
    bottom = _TOP + len(panels) * _PANEL + (len(panels) - 1) * _GAP
    root = Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "width": str(_WIDTH), "height": str(bottom + _FOOT),
        "viewBox": f"0 0 {_WIDTH} {bottom + _FOOT}", "role": "img", "aria-labelledby": "title desc",
    })  # fmt: skip
    SubElement(root, "title", id="title").text = _plain(timeline.title)
    SubElement(root, "desc", id="desc").text = _plain(_described(timeline))
    SubElement(root, "style").text = _STYLE
    SubElement(root, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    _text(root, _EDGE, 38, timeline.title, "title")
    _text(root, _EDGE, 61, timeline.words, "quiet")
    times = time_axis(timeline.start, timeline.end, start=_LEFT, end=_RIGHT)
    tops = [_TOP + index * (_PANEL + _GAP) for index in range(len(panels))]
    _marks(root, timeline.moments, times, tops)
    for top, (kind, name, unit) in zip(tops, panels, strict=True):
        group = SubElement(root, "g", {"class": f"panel {kind}"})
        _text(group, _EDGE, top - 14, name, "name")
        if kind == "weight":
            _weight(group, timeline, times, top)
        else:
            _pair(group, timeline.success if kind == "success" else timeline.duration, times, top, unit)
    _dates(root, times, timeline, bottom)
    indent(root, " ")
    return tostring(root, encoding="unicode") + "\n"


def _weight(group: Element, timeline: Timeline, times: Axis, top: int) -> None:
    """Steps, since a weight is in force until the next; each one's number is written where there is room."""
    values = value_axis([0, 100], start=top + _PANEL, end=top)
    _grid(group, values, "%")
    points = timeline.weight
    if not points:
        return
    places = [(times.place(point.at.timestamp()), values.place(point.value)) for point in points]
    ends = [*(x for x, _ in places[1:]), times.place(timeline.end.timestamp())]
    path = f"M{_n(places[0][0])} {_n(places[0][1])}" + "".join(
        f"V{_n(y)}H{_n(end)}" for (_, y), end in zip(places, ends, strict=True)
    )
    SubElement(group, "path", {"class": "area", "d": f"{path}V{_n(values.start)}H{_n(places[0][0])}Z"})
    SubElement(group, "path", {"class": "line canary", "d": path})
    for point, (x, y), end in zip(points, places, ends, strict=True):
        words = f"{number(point.value)}%"
        if end - x >= 9 * len(words) and point.value > 0 and end != ends[-1]:
            _text(group, x + 5, y - 6 if y - top > 2 * _LINE else y + _LINE, words, "canary")
    _text(group, _RIGHT + 8, places[-1][1] + 4, f"{number(points[-1].value)}%", "canary")


def _pair(group: Element, pair: Pair, times: Axis, top: int, unit: str) -> None:
    """Both subsets' lines, each named at its end."""
    shown = [point.value for point in (*pair.canary, *pair.stable)] + ([] if pair.limit is None else [pair.limit])
    percent = unit == "%"
    values = value_axis(
        [*shown, 100] if percent else [*shown, 0],
        start=top + _PANEL,
        end=top,
        floor=0,
        ceiling=100 if percent else None,
    )
    _grid(group, values, unit)
    if pair.limit is not None:
        y = values.place(pair.limit)
        _line(group, "limit", _LEFT, y, _RIGHT, y)
        above = y - _LINE > top  # else it would stand in the panel's title
        _text(group, _LEFT + 4, y - 5 if above else y + _LINE, f"limit {number(pair.limit)}{unit}", "quiet")
    ends = []
    for name, points in (("stable", pair.stable), ("canary", pair.canary)):
        if points:
            ends.append((_curve(group, name, points, times, values), name, points[-1].value))
    for y, name, value in _apart(ends):
        _text(group, _RIGHT + 8, y + 4, f"{name} {number(value)}{unit}", name)


def _curve(group: Element, name: str, points: Sequence[Point], times: Axis, values: Axis) -> float:
    """A line through the measurements, each with a dot where they are few; returns the height of its end."""
    places = [(times.place(point.at.timestamp()), values.place(point.value)) for point in points]
    path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in places)
    SubElement(group, "path", {"class": f"line {name}", "d": path})
    if len(places) <= (_RIGHT - _LEFT) / 8:
        for x, y in places:
            SubElement(group, "circle", {"class": name, "cx": _n(x), "cy": _n(y), "r": "2.5"})
    return places[-1][1]


def _apart(ends: Iterable[tuple[float, str, float]]) -> list[tuple[float, str, float]]:
    """Names at the ends of lines, moved off each other where the lines meet."""
    placed = sorted(ends)
    for (above, *_), (below, *_) in pairwise(list(placed)):
        if below - above < _LINE:
            move = (_LINE - (below - above)) / 2
            return [(y + (move if index else -move), name, value) for index, (y, name, value) in enumerate(placed)]
    return placed


def _marks(root: Element, moments: Sequence[Moment], times: Axis, tops: Sequence[int]) -> None:
    """A line across every panel and a badge for each moment; badges that would lie on each other become one."""
    groups: list[list[tuple[float, Moment]]] = []
    for moment in moments:
        x = times.place(moment.at.timestamp())
        if (
            groups
            and x - groups[-1][-1][0] < _wide(moment.label)
            and groups[-1][-1][1].mark is moment.mark is Mark.STEP
        ):
            groups[-1].append((x, moment))
        else:
            groups.append([(x, moment)])
    free = 0.0
    for group in groups:
        first, last = group[0], group[-1]
        label = first[1].label if len(group) == 1 else f"{first[1].label}\N{EN DASH}{last[1].label}"
        width = _wide(label)
        x = max((first[0] + last[0]) / 2, free + width / 2)
        free = x + width / 2 + 2
        made = SubElement(root, "g", {"class": f"badge {first[1].mark}"})
        SubElement(made, "title").text = _plain("\n".join(moment.words for _, moment in group))
        for place, _ in group:
            for top in tops:
                _line(made, "mark", place, top, place, top + _PANEL)
        SubElement(made, "rect", {
            "x": _n(x - width / 2), "y": _n(_TOP - 54), "width": _n(width), "height": str(_BADGE - 2), "rx": "9",
        })  # fmt: skip
        _text(made, x, _TOP - 41, label)


def _wide(label: str) -> float:
    return max(_BADGE, 7 * len(label) + 10)


def _grid(group: Element, values: Axis, unit: str) -> None:
    for tick in values.ticks:
        y = values.place(tick)
        _line(group, "grid", _LEFT, y, _RIGHT, y)
        _text(group, _LEFT - 8, y + 4, f"{number(tick)}{unit}", "quiet", anchor="end")


def _dates(root: Element, times: Axis, timeline: Timeline, bottom: int) -> None:
    for tick in times.ticks:
        x = times.place(tick)
        _line(root, "grid", x, bottom, x, bottom + 5)
        _text(root, x, bottom + 20, time_label(times, tick), "quiet", anchor="middle")
    _text(root, _WIDTH - _EDGE, bottom + 36, f"{timeline.start:%Y-%m-%d}, UTC", "quiet", anchor="end")


def _described(timeline: Timeline) -> str:
    """The picture in words, for who can't see it."""
    said = [f"{timeline.words}."] if timeline.words else []
    if timeline.weight:
        said.append("Weight of the canary: " + ", ".join(f"{number(p.value)}%" for p in timeline.weight) + ".")
    for name, pair, unit in (("Success rate", timeline.success, "%"), ("Request times", timeline.duration, " ms")):
        ends = [
            f"{who} {number(points[0].value)}{unit} to {number(points[-1].value)}{unit}"
            for who, points in (("canary", pair.canary), ("stable", pair.stable))
            if points
        ]
        said += [f"{name}: {', '.join(ends)}."] if ends else []
    said += [f"{moment.at:%H:%M:%S} {moment.words}." for moment in timeline.moments]
    return " ".join(said)


def _line(parent: Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    SubElement(parent, "line", {"class": kind, "x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)})


def _text(parent: Element, x: float, y: float, words: str, kind: str = "", *, anchor: str = "") -> None:
    more = {"class": kind} if kind else {}
    more |= {"text-anchor": anchor} if anchor else {}
    SubElement(parent, "text", {"x": _n(x), "y": _n(y)} | more).text = _plain(words)


def _plain(words: str) -> str:
    """Without what XML can't hold, which words of others may have."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in words)


def _n(place: float) -> str:
    return f"{place:.2f}".rstrip("0").rstrip(".")
