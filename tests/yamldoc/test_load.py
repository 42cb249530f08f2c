from __future__ import annotations

import pytest

from reconciler.yamldoc import Broken, YamlError, load, read
from reconciler.yamldoc.loading import MAX_ALIASES, MAX_DEPTH


def refused(text: bytes) -> tuple[str, int | None, int | None]:
    """Code, line and column of the one diagnostic."""
    with pytest.raises(YamlError) as caught:
        load(text, file="f.yaml")
    (found,) = caught.value.diagnostics
    assert found.file == "f.yaml"
    assert found.hint or found.code == "yaml-syntax"
    return found.code, found.line, found.column


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("n", "n"), ("off", "off"),
        ("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None),
        ("2024-01-31", "2024-01-31"), ("1:30", "1:30"), ("1_000", "1_000"), ("0b1", "0b1"),
        ("0x1F", 31), ("0o17", 15), ("1e3", 1000.0), (".5", 0.5), ("-0", 0), ("+12", 12), ("-1.", -1.0),
        ("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63)),
        ("'10'", "10"), ('"true"', "true"), ('"\\u0007"', "\a"), ("|\n  a\n  b", "a\nb\n"), ("1.2.3", "1.2.3"), (".", "."),
    ],
)  # fmt: skip
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """`on` and dates are strings, numbers are those of the core schema, quotes make strings."""
    (loaded,) = load(f"a: {text}\n".encode())
    assert loaded == {"a": value}
    assert type(loaded["a"]) is type(value)


@pytest.mark.parametrize("text", ["0777", "-07", ".inf", "-.INF", ".nan", "1e999", "18446744073709551616", "9" * 5000])
def test_numbers_that_readers_disagree_about_are_refused(text: str) -> None:
    """Octal to one reader and decimal to another, or no number in JSON: better an error than a guess."""
    assert refused(f"a:\n  b: {text}\n".encode()) == ("yaml-number", 2, 6)


def test_a_stream_has_many_documents_and_empty_ones_are_none() -> None:
    """Each `---` begins a document; a comment alone is none."""
    assert load(b"# only a comment\n") == ()
    assert load(b"---\n---\na: 1\n---\n# nothing\n...\n") == (None, {"a": 1}, None)
    assert load(b"\xef\xbb\xbf%YAML 1.2\n---\r\na: [1, {b: c}]\r\n") == ({"a": [1, {"b": "c"}]},)


def test_anchors_stand_for_whole_values() -> None:
    """An alias is the value that it names, also through another alias."""
    assert load(b"a: &x [1]\nb: &y {c: *x}\nd: *y\n") == ({"a": [1], "b": {"c": [1]}, "d": {"c": [1]}},)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        (b"a: 1\nb: [1\n", "yaml-syntax", 3, 1),
        (b"a: b: c\n", "yaml-syntax", 1, 5),
        (b"a:\n\tb: 1\n", "yaml-syntax", 2, 1),
        (b"a: 1\n...\nb: 2\n", "yaml-syntax", 3, 1),
        (b"a: 1\nb: \xff\n", "yaml-encoding", 2, 4),
        ("a: ö\r\nö: ".encode() + b"\xc3", "yaml-encoding", 2, 4),
        (b"\xff\xfea\x00", "yaml-encoding", 1, 1),
        (b"a: 1\nb: x\x00y\n", "yaml-control-character", 2, 5),
        (b"a: \x1b[31m\n", "yaml-control-character", 1, 4),
        (b"a: 1\nb: 2\na: 3\n", "yaml-duplicate-key", 3, 1),
        (b"a: {'b': 1, b: 2}\n", "yaml-duplicate-key", 1, 13),
        (b"1: a\n", "yaml-key", 1, 1),
        (b"a:\n  true: a\n", "yaml-key", 2, 3),
        (b"~: a\n", "yaml-key", 1, 1),
        (b"? [a]\n: b\n", "yaml-key", 1, 3),
        (b"a: !!str x\n", "yaml-tag", 1, 4),
        (b"a: !mine {b: c}\n", "yaml-tag", 1, 4),
        (b"!!str a: 1\n", "yaml-tag", 1, 1),
        (b"a: &x {b: 1}\nc:\n  <<: *x\n", "yaml-merge-key", 3, 3),
        (b"%YAML 1.1\n---\na: 1\n---\nb: 1\n", "yaml-directive", 1, 1),
        (b"%TAG !e! tag:e\n---\na: 1\n", "yaml-directive", 1, 1),
        (b"a: *nowhere\n", "yaml-alias", 1, 4),
        (b"a: &x [*x]\n", "yaml-alias", 1, 8),
    ],
)
def test_what_cannot_be_read_says_where(text: bytes, code: str, line: int, column: int) -> None:
    """Every refusal has a code and the place of the fault, as an editor counts lines and columns."""
    assert refused(text) == (code, line, column)


def test_a_duplicate_key_names_both_places() -> None:
    """Which of the two was meant is the writer's to say."""
    with pytest.raises(YamlError, match=r"f:4:3.*first is at 2:3"):
        load(b"s:\n  a: 1\n  b: 1\n  a: 2\n", file="f")


def test_alias_bombs_are_refused_before_they_are_built() -> None:
    """Nested aliases, many aliases and aliases of a long text are all limited by what they would expand to."""
    nested = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        nested += b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 10))
    assert refused(nested)[0] == "yaml-alias"
    many = b"a: &a x\nb: [%s]\n" % b", ".join([b"*a"] * (MAX_ALIASES + 1))
    assert refused(many)[:2] == ("yaml-alias", 2)
    long = b"a: &a %s\nb: [%s]\n" % (b"x" * 10_000, b", ".join([b"*a"] * 200))
    assert refused(long)[:2] == ("yaml-alias", 2)
    assert load(b"a: &a x\nb: [%s]\n" % b", ".join([b"*a"] * MAX_ALIASES))[0]["b"] == ["x"] * MAX_ALIASES


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{a: "])
def test_deep_nesting_is_refused(opening: str) -> None:
    """Neither the parser's nor Python's stack is at a document's mercy."""
    assert refused(f"x:\n  {opening * 100_000}".encode())[0] == "yaml-depth"


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit is on levels of nesting."""
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert len(load(text.encode())) == 1
    assert refused(f"[{text}]".encode()) == ("yaml-depth", 1, MAX_DEPTH + 1)


def test_one_broken_document_does_not_hide_the_others() -> None:
    """Reading goes on at the next `---`; positions still count from the top of the file."""
    text = b"a: 1\n---\nb: [1\n---\nc: 1\nc: 2\n---\nd: 'x\n---\ne: !t x\n---\nf: 1\n"
    found = read(text, file="f")
    assert [item if not isinstance(item, Broken) else item.diagnostic.line for item in found] == [
        {"a": 1}, 4, 6, 9, 10, {"f": 1},
    ]  # fmt: skip
    with pytest.raises(YamlError) as caught:
        load(text)
    assert len(caught.value.diagnostics) == 4


def test_a_file_that_is_no_text_is_one_broken_document() -> None:
    """There is nothing to find in it."""
    (only,) = read(b"\xff")
    assert isinstance(only, Broken)


def test_line_separators_of_other_scripts_do_not_move_lines() -> None:
    """An editor shows U+2028 inside a line, so does a message."""
    assert refused("a: 'x\u2028y'\nb: 0777\n".encode()) == ("yaml-number", 2, 4)


def test_colons_inside_brackets_are_read_as_yaml_1_2_reads_them() -> None:
    """An address needs no quotes inside {} or [], in Kubernetes neither; documents around it are read once each."""
    text = b"x: 1\n---\n{a: http://x:80/b, c: [::1, 10.0.0.1:80], d: 1}\n---\ny: {e: 2}\n"
    assert load(text) == ({"x": 1}, {"a": "http://x:80/b", "c": ["::1", "10.0.0.1:80"], "d": 1}, {"y": {"e": 2}})


def test_what_is_refused_is_refused_by_the_thorough_reading_too() -> None:
    """The second parser is held to the same rules, and says the same places."""
    assert refused(b"a: {u: x://y}\nb: !!str c\n") == ("yaml-tag", 2, 4)
    assert refused(b"a: {u: x://y}\na: 1\n") == ("yaml-duplicate-key", 2, 1)
    assert refused(b"a: {u: x://y}\nb: {c: [}\n") == ("yaml-syntax", 2, 9)
    assert refused(b"\xef\xbb\xbfa: {u: x://y}\r\nb: 010\r\n") == ("yaml-number", 2, 4)
    assert read(b"a: {u: x://y\n---\nb: 1\n")[1:] == ({"b": 1},)
