"""Which codes the source can give a diagnostic: read from its syntax trees, so that none can be forgotten.

A code is a text that stands where a code belongs: as `default_code` of an error, as the argument of a parameter called
`code`, by name or by position, or in a variable or field of that name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import reconciler

SOURCE = Path(reconciler.__path__[0])
_NAMES = frozenset({"code", "_CODE", "default_code"})
_REPORTING = frozenset({"error", "warning"})
"""`Report.error(CODE, ...)` and `.warning`: methods, whose signature a call site does not show."""

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def emitted(source: Path = SOURCE) -> dict[str, set[str]]:
    """Every code, and the rooms that can give it."""
    found: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.py")):
        room = path.relative_to(source).parts[0].removesuffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for code in _codes(tree):
            found.setdefault(code, set()).add(room)
    return found


def computed(source: Path = SOURCE) -> list[str]:
    """Codes that are put together at run time, as they stand in the source: each needs a line in `codes.COMPUTED`."""
    return sorted(
        ast.unparse(value)
        for path in source.rglob("*.py")
        for value in _values(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(value, ast.JoinedStr)
    )


def _codes(tree: ast.Module) -> Iterator[str]:
    for value in _values(tree):
        for part in _choices(value):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and _CODE.fullmatch(part.value):
                yield part.value


def _choices(value: ast.expr) -> Iterator[ast.expr]:
    """What an expression can come to, without what it is decided by."""
    if isinstance(value, ast.IfExp):
        yield from _choices(value.body)
        yield from _choices(value.orelse)
    else:
        yield value


def _values(tree: ast.Module) -> Iterator[ast.expr]:
    """Every expression that stands where a code belongs."""
    positions = dict(_parameters(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _NAMES:
                yield value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in _NAMES:
                yield value
            case ast.Yield(value=ast.Tuple(elts=[ast.Constant(value=str()) as value, *_])) if _is_claim(value):
                yield value
            case ast.Call(func=func, args=arguments, keywords=keywords):
                yield from (item.value for item in keywords if item.arg == "code")
                name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
                position = 0 if isinstance(func, ast.Attribute) and name in _REPORTING else positions.get(name)
                if position is not None and position < len(arguments):
                    yield arguments[position]


def _is_claim(value: ast.Constant) -> bool:
    """What two documents claim is yielded as a tuple that begins with the code."""
    return str(value.value).startswith("ref-")


def _parameters(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions and classes of a module that take a code by position, and at which."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [item.arg for item in node.args.args if item.arg != "self"]
            if "code" in names:
                yield node.name, names.index("code")
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    names = [item.arg for item in inner.args.args if item.arg != "self"]
                    if "code" in names:
                        yield node.name, names.index("code")
