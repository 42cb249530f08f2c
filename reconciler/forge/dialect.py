"""In what the REST APIs of forges differ, for calls of any kind: headers, what a refusal means, which words are of use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "2022-11-28"
"""The version of GitHub's API that is asked for. It is supported until March 2028, and has all fields that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One forge's way of saying things.

    Attributes:
        header: Name of the header that carries the token.
        scheme: What stands before the token in it.
        fixed: Headers of every call.
        exists: Status of the answer to the creation of something that is there, and words that are in it.
        again: Statuses, other than those of servers in trouble, after which the same call may work later.
        outdated: Statuses of the answer to a version of the API that the server does not speak.
        rights: What a token needs, for hints.
    """

    header: str
    scheme: str = ""
    fixed: Mapping[str, str]
    exists: tuple[int, str]
    again: frozenset[int]
    outdated: frozenset[int]
    rights: str

    def headers(self, token: str) -> dict[str, str]:
        """Headers of a call with a token."""
        return {**self.fixed, self.header: f"{self.scheme}{token}"}


def github(rights: str = "contents and pull requests") -> Dialect:
    """GitHub's: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api and the pages beside it."""
    return Dialect(
        header="Authorization",
        scheme="Bearer ",
        fixed={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION},
        exists=(422, "already exists"),
        again=frozenset({304, 408, 409, 425}),
        outdated=frozenset({400, 410, 415}),
        rights=rights,
    )


def gitlab() -> Dialect:
    """GitLab's: https://docs.gitlab.com/api/rest/ and https://docs.gitlab.com/api/rest/authentication/.

    Its 409 says that something is there already, or that a merge request changed under somebody's hands.
    """
    return Dialect(
        header="PRIVATE-TOKEN",
        fixed={"Accept": "application/json"},
        exists=(409, "already exists"),
        again=frozenset({304, 408, 409, 425}),
        outdated=frozenset({410, 415}),
        rights="the whole API (scope api) as a Developer at least",
    )
