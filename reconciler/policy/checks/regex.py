"""Whether Envoy can compile a regular expression: asked of RE2 itself, the engine that Envoy uses."""

from __future__ import annotations

import re2

_MAX = 1024
"""Characters; Istio's limit."""

_MAX_PROGRAM = 32_768
"""RE2 instructions; what `re2.max_program_size.error_level` in the bootstrap template lets an Envoy take, as in Istio."""


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
