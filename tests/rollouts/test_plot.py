from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from reconciler.rollouts.plot import svg
from reconciler.rollouts.timeline import Mark, Moment, Pair, Point, Timeline

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
EVIL = '</text><script>alert(1)</script>&amp;"\x1b[2J\x00\ud800'


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def points(*values: float, first: float = 1) -> tuple[Point, ...]:
    return tuple(Point(at(first + index), value) for index, value in enumerate(values))


def moment(minutes: float, label: str, mark: Mark = Mark.STEP, words: str = "") -> Moment:
    return Moment(at=at(minutes), mark=mark, label=label, words=words or f"step {label}")


RUN = Timeline(
    title="reviews: v1 -> v2",
    words="Aborted after 10m",
    start=START,
    end=at(20),
    weight=(Point(at(0), 1), Point(at(5), 50), Point(at(10), 0)),
    success=Pair(canary=points(100, 95, 90), stable=points(100, 100, 100), limit=99),
    duration=Pair(canary=points(10, 20, 40)),
    moments=(moment(0, "1"), moment(5, "2"), moment(10, "aborted", Mark.BAD)),
)


def parsed(timeline: Timeline) -> ET.Element:
    return ET.fromstring(svg(timeline).encode())  # noqa: S314 -- our own


def panel(root: ET.Element, name: str) -> ET.Element:
    found = [item for item in root.iter(f"{SVG}g") if name in str(item.get("class")).split()]
    assert len(found) == 1
    return found[0]


def drawn(group: ET.Element, kind: str) -> ET.Element:
    return next(item for item in group.iter(f"{SVG}path") if item.get("class") == kind)


def scale(group: ET.Element) -> dict[str, float]:
    """Heights of the grid by what stands beside them."""
    lines = [float(str(item.get("y1"))) for item in group.iter(f"{SVG}line") if item.get("class") == "grid"]
    labels = [item.text or "" for item in group.iter(f"{SVG}text") if item.get("text-anchor") == "end"]
    return dict(zip(labels, lines, strict=True))


def test_a_weight_is_a_stair_at_the_heights_its_axis_says() -> None:
    """Each weight holds until the next, and the last one until the end of the picture."""
    group = panel(parsed(RUN), "weight")
    heights = scale(group)
    zero, all_of_it = heights["0%"], heights["100%"]
    one, half = zero + (all_of_it - zero) / 100, (zero + all_of_it) / 2

    def plain(value: float) -> str:
        return f"{value:.2f}".rstrip("0").rstrip(".")

    stair = f"M72 {plain(one)}V{plain(one)}H257V{plain(half)}H442V{plain(zero)}H812"
    assert drawn(group, "line canary").get("d") == stair
    assert drawn(group, "area").get("d") == f"{stair}V{plain(zero)}H72Z"


def test_measurements_lie_where_their_time_and_value_are() -> None:
    """Both lines share the axes, so that they can be compared by eye; the limit is drawn at its value."""
    group = panel(parsed(RUN), "success")
    heights = scale(group)
    assert drawn(group, "line stable").get("d") == "M" + "L".join(f"{x} {heights['100%']:g}" for x in (109, 146, 183))
    assert drawn(group, "line canary").get("d") == (
        f"M109 {heights['100%']:g}L146 {(heights['100%'] + heights['90%']) / 2:g}L183 {heights['90%']:g}"
    )
    limit = next(item for item in group.iter(f"{SVG}line") if item.get("class") == "limit")
    assert float(str(limit.get("y1"))) == pytest.approx(heights["100%"] + (heights["90%"] - heights["100%"]) / 10)
    dots = [item for item in group.iter(f"{SVG}circle") if item.get("class") == "canary"]
    assert [float(str(item.get("cx"))) for item in dots] == [109, 146, 183]


def test_moments_are_marked_in_every_panel_and_say_what_they_are() -> None:
    """A badge has its words for who points at it; an end has another colour than a step."""
    root = parsed(RUN)
    badges = [item for item in root.iter(f"{SVG}g") if str(item.get("class")).startswith("badge")]
    assert [item.get("class") for item in badges] == ["badge step", "badge step", "badge bad"]
    assert [item.findtext(f"{SVG}title") for item in badges] == ["step 1", "step 2", "step aborted"]
    marks = [float(str(line.get("x1"))) for line in badges[1].iter(f"{SVG}line")]
    assert marks == [257, 257, 257]


def test_badges_never_lie_on_each_other() -> None:
    """Steps that follow at once share a badge; what is not a step keeps its own, moved aside."""
    many = tuple(moment(index / 10, str(index + 1)) for index in range(50))
    root = parsed(replace(RUN, moments=(*many, moment(4.95, "paused", Mark.HELD), moment(20, "succeeded", Mark.GOOD))))
    boxes = [
        (float(str(item.get("x"))), float(str(item.get("width"))))
        for item in root.iter(f"{SVG}rect")
        if item.get("class") != "paper"
    ]
    assert len(boxes) < 20
    assert all(x + width <= later for (x, width), (later, _) in pairwise(boxes))
    labels = [item.findtext(f"{SVG}text") or "" for item in root.iter(f"{SVG}g") if "badge" in str(item.get("class"))]
    assert labels[0].startswith("1\N{EN DASH}")
    assert labels[-2:] == ["paused", "succeeded"]


def test_names_at_the_ends_of_lines_never_lie_on_each_other() -> None:
    """Where both subsets do equally well their names stand one below the other."""
    group = panel(parsed(replace(RUN, success=Pair(canary=points(99.5), stable=points(99.5)))), "success")
    names = [item for item in group.iter(f"{SVG}text") if item.get("class") in {"canary", "stable"}]
    heights = sorted(float(str(item.get("y"))) for item in names)
    assert heights[1] - heights[0] >= 15


def test_words_of_others_are_text_and_nothing_else() -> None:
    """Markup, control characters and what XML can't hold neither become part of the picture nor break it."""
    root = parsed(replace(RUN, title=EVIL, words=EVIL, moments=(moment(1, "1", words=EVIL),)))
    shown = EVIL.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert root.findtext(f"{SVG}title") == shown
    assert not [item for item in root.iter() if "script" in item.tag or "image" in item.tag]
    allowed = {"svg", "title", "desc", "style", "rect", "text", "g", "path", "line", "circle"}
    assert {item.tag.removeprefix(SVG) for item in root.iter()} <= allowed


def test_the_picture_stands_by_itself() -> None:
    """No address of anybody is looked up; it has words for who can't see it, and a dark form."""
    text = svg(RUN)
    assert text.count("http") == text.count("http://www.w3.org/2000/svg") == 1
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    root = parsed(RUN)
    said = root.findtext(f"{SVG}desc") or ""
    assert root.get("aria-labelledby") == "title desc"
    assert "Weight of the canary: 1%, 50%, 0%." in said
    assert "Success rate: canary 100% to 90%, stable 100% to 100%." in said
    assert "Request times: canary 10 ms to 40 ms." in said


def test_a_run_in_which_nothing_was_measured_has_a_picture() -> None:
    """Panels without a measurement are left out; so is everything else that is not there."""
    empty = Timeline(title="t", start=START, end=START)
    root = parsed(empty)
    assert [str(item.get("class")) for item in root.iter(f"{SVG}g")] == ["panel weight"]
    assert svg(empty) == svg(Timeline(title="t", start=START, end=START))


def test_many_measurements_are_a_line_without_dots() -> None:
    """Dots help where there are few; ten thousand of them would hide the line."""
    canary = tuple(Point(at(index / 500), 99.0) for index in range(10_000))
    group = panel(parsed(replace(RUN, success=Pair(canary=canary))), "success")
    assert not list(group.iter(f"{SVG}circle"))
    assert str(drawn(group, "line canary").get("d")).count("L") == 9_999
