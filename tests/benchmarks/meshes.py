"""How long large meshes take to load and compile, where that time goes, and what one changed weight costs after it.

    python -m tests.benchmarks.meshes [--sizes 100 1000 10000] [--changes 100] [--per-file 1] [--git]

Each service has a ServiceEntry with 3 endpoints, a DestinationRule with 2 subsets and a VirtualService with 3 routes; one
sidecar sees all of them. Each size is measured in a process of its own, so that its peak memory is its own.

`cold` is the first commit in a new process, with everything imported. `change` is one weight of one service after another, from
the tree of blobs to the view that is compiled of it, by the daemon's own compiler, which remembers what it has seen. Trees are
in memory, so that disk and Git are not measured; with `--git` they are commits of a repository, read as the daemon does.
`alone` is where the time of a cold load goes: each part once more by itself, on the same mesh; as in a load, without the search
for cyclic garbage.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stage, Stopwatch, silent
from reconciler.model.services import declared
from reconciler.model.tree import Tree
from reconciler.policy.documents import read_file
from reconciler.policy.references import check_duplicates, check_references
from reconciler.yamldoc import read
from tests.benchmarks.mesh_trees import GitTrees, MemoryTrees, Texts

T = TypeVar("T")


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Time loading and compiling large meshes.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000], help="services")
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--per-file", type=int, default=1, help="services in one file")
    parser.add_argument("--git", action="store_true", help="read commits of a repository")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.sizes[0], given.changes, given.per_file, git=given.git)))
        return
    results = {str(size): in_process(size, given) for size in given.sizes}
    for size, figures in results.items():
        print(f"\n{size} services, {given.changes} changes; milliseconds, memory in MB")
        for name, value in figures.items():
            print(f"  {name:24}{value:10.1f}")
    print(json.dumps({"benchmark": "meshes", "python": platform.python_version(), "results": results}))


def in_process(size: int, given: argparse.Namespace) -> dict[str, float]:
    """The figures of one size, measured in a process of its own."""
    options = ["--changes", str(given.changes), "--per-file", str(given.per_file), *(["--git"] if given.git else [])]
    command = [sys.executable, "-m", "tests.benchmarks.meshes", "--one", "--sizes", str(size), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(size: int, changes: int, per_file: int, *, git: bool) -> dict[str, float]:
    """All figures of one mesh."""
    texts = Texts(size, per_file=per_file)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b")))
        trees = GitTrees(folder) if git else MemoryTrees()
        stack.callback(trees.close)
        tree = trees.commit(texts.all())
        before = peak()
        compiler = Compiler()
        desired, out = timed(compiler, tree, "cold")
        out["cold peak"] = peak()
        out["without the mesh"] = before
        samples: list[dict[str, float]] = []
        for number in range(changes):
            # Services all over the mesh, and no split twice: nothing that was worked out for one change serves another.
            path, text = texts.change(number * 7919 % size, number + 1)
            last = desired
            desired, sample = timed(compiler, trees.commit({path: text}), "change")
            if desired.views == last.views:
                raise SystemExit("a change changed nothing")
            samples.append(sample)
        for name in samples[0] if samples else ():
            values = sorted(sample[name] for sample in samples)
            out[f"{name} p50"] = statistics.median(values)
            out[f"{name} p99"] = values[min(len(values) - 1, int(len(values) * 0.99))]
        out["peak"] = peak()
        gc.disable()
        return out | alone(tree, desired)


def timed(compiler: Compiler, tree: Tree, what: str) -> tuple[Desired, dict[str, float]]:
    """Load and compile, as a pass does."""
    watch = Stopwatch(silent)
    desired, total = stopped(lambda: compiler.desired(tree, watch))
    stages = {f"{what} {stage}": watch.seconds[stage] * 1000 for stage in (Stage.LOAD, Stage.COMPILE)}
    return desired, {**stages, what: total}


def alone(tree: Tree, desired: Desired) -> dict[str, float]:
    """The parts of loading, each by itself."""
    files = [(entry, tree.read(entry)) for entry in tree.files("policies")]
    mesh = desired.mesh
    out = {}
    _, out["alone: list files"] = stopped(lambda: tree.files("policies"))
    _, out["alone: parse"] = stopped(lambda: [read(text) for _, text in files])
    _, out["alone: parse, validate"] = stopped(lambda: [read_file(text, file=entry.path) for entry, text in files])
    _, out["alone: duplicates"] = stopped(lambda: check_duplicates(mesh.policies()))
    _, out["alone: references"] = stopped(lambda: check_references(mesh, []))
    _, out["alone: services"] = stopped(lambda: declared(mesh))
    return out


def stopped(work: Callable[[], T]) -> tuple[T, float]:
    """What it returns, and the milliseconds that it took."""
    started = time.perf_counter()
    result: Any = work()
    return result, (time.perf_counter() - started) * 1000


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
