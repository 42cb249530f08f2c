"""Names: what identifies a policy or a proxy inside one mesh."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name, as in Kubernetes' object metadata."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str, namespace: str = DEFAULT_NAMESPACE) -> Key:
        """Read `namespace/name`, or `name` in the given namespace."""
        head, slash, tail = text.partition("/")
        return cls(head, tail) if slash else cls(namespace, head)

    def short(self) -> str:
        """The name alone in the default namespace, `namespace/name` elsewhere: how people write it."""
        return self.name if self.namespace == DEFAULT_NAMESPACE else str(self)
