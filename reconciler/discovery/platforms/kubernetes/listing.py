"""Lists: page by page, so that neither side holds a large one as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reconciler.discovery.platforms.failures import AnswerError
from reconciler.discovery.platforms.kubernetes.api import Api, StatusError

_PAGE = 500
"""Objects, as kubectl asks for."""
_BUSY = 3
"""How often a server that has too much to do is asked again for one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list.

    Attributes:
        first: It begins the list; what came before does not count.
        version: At the end of the list: what a watch goes on from; "" before.
    """

    items: Sequence[Any]
    first: bool
    version: str


def listed(
    api: Api, path: str, *, wait: Callable[[float], bool], selector: str = "", accept: str = ""
) -> Iterator[Page]:
    """All objects at a path. Where the server forgets a list before its last page (410), it is asked for it as a whole.

    Raises:
        AdapterError: It can't be had to its end.
    """
    whole = {"labelSelector": selector} if selector else {}
    query = {"limit": str(_PAGE), **whole}
    while True:
        try:
            metadata, items = _page(api, path, query, accept=accept, wait=wait)
        except StatusError as error:
            if error.status != HTTPStatus.GONE or "continue" not in query:
                raise
            query = whole
            continue
        token = metadata.get("continue")
        yield Page(items=items, first="continue" not in query, version="" if token else metadata["resourceVersion"])
        if not token:
            return
        query = {**query, "continue": str(token)}


def _page(
    api: Api, path: str, query: dict[str, str], *, accept: str, wait: Callable[[float], bool]
) -> tuple[dict[str, Any], list[Any]]:
    document = _patiently(api, path, query, accept=accept, wait=wait)
    metadata, items = (document.get("metadata"), document.get("items")) if isinstance(document, dict) else (None, None)
    items = [] if items is None else items  # Go's empty list
    if isinstance(metadata, dict) and isinstance(metadata.get("resourceVersion"), str) and isinstance(items, list):
        return metadata, items
    raise AnswerError(f"{path} does not answer as Kubernetes does", hint="is the kubeconfig's server an API server?")


def _patiently(api: Api, path: str, query: dict[str, str], *, accept: str, wait: Callable[[float], bool]) -> Any:
    """Ask again, a few times, when the server says when."""
    for _ in range(_BUSY):
        try:
            return api.get(path, query, accept=accept)
        except StatusError as error:
            if error.status != HTTPStatus.TOO_MANY_REQUESTS or error.retry_after is None:
                raise
            if wait(min(error.retry_after, api.patience.retry_after)):
                raise
    return api.get(path, query, accept=accept)
