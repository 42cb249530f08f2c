"""The backstop: what every proxy would be given is shown to the real Envoy first, and what it refuses is traced to its source.

`check` is the whole of it. The order: compile, take apart (`compile.pieces`), ask Envoy and narrow down (`search`), find out
whether an overridden template is to blame (`blame`), and otherwise which document is (`tracing`).
"""

from reconciler.cycle.backstop.check import check

__all__ = ["check"]
