"""Whether Envoy can compile a regular expression: asked of RE2 itself, the engine that Envoy uses."""

from __future__ import annotations

import re

import re2

_MAX = 1024
"""Characters; Istio's limit."""

_MAX_PROGRAM = 32_768
"""RE2 instructions; what `re2.max_program_size.error_level` in the bootstrap template lets an Envoy take, as in Istio."""

REGEX_HINT = "RE2 has no lookaround and no backreferences: https://github.com/google/re2/wiki/Syntax"

_GROUP = re.compile(r"\\(.?)", re.DOTALL)


def substitution_problem(pattern: str, substitution: str) -> str:
    """What is wrong with a substitution for a valid pattern, or "": RE2 leaves the text as it is if it can't carry one out."""
    groups = re2.compile(pattern).groups
    for found in _GROUP.finditer(substitution):
        if found[1] != "\\" and not found[1].isdigit():
            return f"{found[0]!r} is not a group; a backslash is written twice"
        if found[1].isdigit() and int(found[1]) > groups:
            return f"there is no group {found[1]}; the expression has {groups}"
    return ""


def regex_problem(pattern: str) -> str:
    """What is wrong with a pattern, in RE2's words, or ""."""
    if not pattern:
        return "a regular expression must not be empty"
    if len(pattern) > _MAX:
        return f"the regular expression has {len(pattern)} characters; at most {_MAX} are allowed"
    options = re2.Options()
    options.log_errors = False
    try:
        size = re2.compile(pattern, options).programsize
    except re2.error as error:
        reason = error.args[0]
        return f"not an RE2 expression: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
    if size > _MAX_PROGRAM:
        return f"the regular expression compiles to {size} instructions; Envoy takes {_MAX_PROGRAM}: repeat less"
    return ""
