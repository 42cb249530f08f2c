"""What a change would come to, before it is written: the whole mesh as it would be, and what the guards say to the difference. Offline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.editing.errors import InvalidResultError
from reconciler.cycle.preview import difference, judged
from reconciler.cycle.report import Stopwatch, silent
from reconciler.errors import Diagnostic, PolicyError
from reconciler.gitrepo import Repository, object_id
from reconciler.model.plan import Plan
from reconciler.model.proxy import MeshSpec
from reconciler.model.tree import Tree, TreeFile
from reconciler.xds import Announcement

_COMMITS_BACK = 50


class EditedTree:
    """A commit's files with some of them changed; not committed anywhere.

    Args:
        base: The files of the commit.
        files: Content by path; None for a file that is gone.
    """

    def __init__(self, base: Tree, files: Mapping[str, bytes | None]) -> None:
        self._base = base
        self._files = files

    @property
    def commit(self) -> str:
        """None of it is committed: always ""."""
        return ""

    def files(self, folder: str) -> Sequence[TreeFile]:
        """As for any tree."""
        inside = {path: text for path, text in self._files.items() if path.startswith(f"{folder.strip('/')}/")}
        kept = [file for file in self._base.files(folder) if file.path not in inside]
        new = [TreeFile(path, object_id("blob", text), len(text)) for path, text in inside.items() if text is not None]
        return tuple(sorted([*kept, *new], key=lambda file: file.path))

    def read(self, file: TreeFile) -> bytes:
        """As for any tree."""
        text = self._files.get(file.path)
        return text if text is not None else self._base.read(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a change comes to.

    Attributes:
        plan: With refusals and warnings; None if no commit of the branch can be used to compare with.
        mesh: The mesh's settings as the branch has them now; the defaults where it can't be used.
        warnings: About the policies as they would be.
    """

    plan: Plan | None
    mesh: MeshSpec
    warnings: tuple[Diagnostic, ...]


class Judge:
    """Compiles and compares. Not to be used by two threads at once.

    Args:
        repository: To read.
        compiler: Nobody else's.
        announced: Proxies that are there without being in Git.
    """

    def __init__(
        self, repository: Repository, compiler: Compiler, *, announced: Callable[[], Iterable[Announcement]]
    ) -> None:
        self._repository = repository
        self._compiler = compiler
        self._announced = announced

    def judge(self, head: str, files: Mapping[str, bytes | None], *, allow: Collection[str]) -> Judgement:
        """What these files would come to on a commit.

        Raises:
            InvalidResultError: The policies would have errors.
        """
        watch = Stopwatch(silent)
        self._compiler.join(self._announced())
        base = self._usable(head, watch)
        try:
            desired = self._compiler.desired(EditedTree(self._repository.tree(head), files), watch)
        except PolicyError as error:
            raise InvalidResultError(diagnostics=error.diagnostics) from None
        if base is None:
            return Judgement(plan=None, mesh=MeshSpec(), warnings=desired.warnings)
        plan = difference(base, desired, watch=watch)
        plan = judged(plan, desired, allow=allow, repository=self._repository, base=head, head=head, watch=watch)
        return Judgement(plan=plan, mesh=base.mesh.settings, warnings=plan.warnings)

    def _usable(self, head: str, watch: Stopwatch) -> Desired | None:
        """The newest commit of the branch that can be used: where the head can't be, its repair is compared with that."""
        for commit in self._repository.log(head, first_parent=True, limit=_COMMITS_BACK):
            try:
                return self._compiler.desired(self._repository.tree(commit.id), watch)
            except PolicyError:
                continue
        return None
