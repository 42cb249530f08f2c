"""A forge on this machine: GitHub's REST API of pull requests and what is said about them, version 2022-11-28, over a real repository.

Written from GitHub's public description: paths, fields, statuses, error documents, pages, ETags, limits. What it is given to
misbehave (`fail`, `delay`, `down`) is exactly what it does. What is said (comments, statuses, check runs) is in `said`.

    with ForgeServer(tmp_path, {"policies/a.yaml": b"..."}) as forge:
        GitHub(forge.repository, token_file=forge.token_file, api=forge.api)
        open_repository(forge.url, ...)
        forge.hosted.merge(1, "squash")
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forge.hosted import Hosted, Pull, RefusedError
from tests.forge.machine import Answer, Asked, Machine, paged
from tests.forge.said import Said

TOKEN = "ghs_0123456789abcdef"  # noqa: S105 -- opens nothing but this server
_DOCS = "https://docs.github.com/rest"
_ID = 4711
_PER_PAGE, _MOST = 30, 100
_BODY_LIMIT = 65_536
_LIMITS = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4999", "x-ratelimit-resource": "core"}


@dataclass(frozen=True, slots=True)
class Account:
    """Who a token is.

    Attributes:
        login: Their name.
        app: Whether it is an App's or a workflow's, which may write check runs, and has no user.
    """

    login: str
    app: bool = False


class ForgeServer(Machine):
    """The server. Use it as a context.

    Attributes:
        repository: `owner/name`; assign another to rename it: the old name redirects then.
        hosted: The repository and its pull requests, with what people do to them: `push`, `merge`, `close`, `reopen`, ...
        said: Comments, statuses and check runs.
        url: The repository for Git.
        api: The address of the API.
        token_file: Holds a token that may write.
        tokens: What each token may: `write`, `read` or `none`.
        accounts: Who each token is.
        graphql: Whether it speaks GraphQL.
    """

    prefix = "/api/v3"

    def __init__(
        self, root: Path, files: Mapping[str, bytes], *, repository: str = "acme/mesh", protected: bool = True
    ) -> None:
        super().__init__()
        root.mkdir(exist_ok=True)
        self.repository = repository
        self.names = {repository}
        self.hosted = Hosted(root / "hosted.git", files, protected=protected, home=repository)
        self.said = Said(self.hosted)
        self.url = f"file://{self.hosted.git_dir}"
        self.token_file = root / "token"
        self.token_file.write_text(f"{TOKEN}\n")
        self.tokens = {TOKEN: "write"}
        self.accounts = {TOKEN: Account("rollouts-bot")}
        self.graphql = True

    def answer(self, asked: Asked) -> Answer:
        """What is answered."""
        try:
            answer = self._routed(asked)
        except Answer as found:
            return _limited(found)
        except RefusedError as error:
            document = {"message": "Validation Failed", "errors": [error.error], "documentation_url": _DOCS}
            return _limited(Answer(422, document))
        body = json.dumps(answer.document).encode()
        tag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if asked.method == "GET" and asked.headers.get("If-None-Match") == tag:
            return _limited(Answer(304, None, {"ETag": tag}))
        return _limited(Answer(answer.status, answer.document, {"ETag": tag, **answer.headers}))

    def _routed(self, asked: Asked) -> Answer:
        if not asked.headers.get("User-Agent"):
            raise Answer(403, {"message": "Request forbidden by administrative rules. No User-Agent header."})
        if asked.headers.get("X-GitHub-Api-Version", "2022-11-28") != "2022-11-28":
            raise Answer(400, {"message": "The version that is asked for is not supported."})
        token = self._token(asked)
        may, account = self.tokens[token], self.accounts.get(token, Account("somebody"))
        if asked.path == "/api/graphql" and self.graphql:
            return self.said.queried(_document(asked), account.login)
        path = asked.path.removeprefix(self.prefix)
        if path == "/user":
            if account.app:
                raise Answer(403, {"message": "Resource not accessible by integration", "status": "403"})
            return Answer(200, {"login": account.login, "id": 1, "type": "User"})
        found = re.fullmatch(r"/(?:repos/([^/]+/[^/]+)|repositories/(\d+))(/.+)", path)
        if found is None or may == "none" or found[1] not in {*self.names, self.repository, None}:
            raise Answer(404, {"message": "Not Found", "documentation_url": _DOCS, "status": "404"})
        if found[1] not in {self.repository, None}:
            raise self._moved(asked, found[3])
        if asked.method != "GET" and may != "write":
            raise Answer(403, {"message": "Resource not accessible by personal access token", "status": "403"})
        self.hosted.look()
        return self._pulls(asked, found[3]) or self._commits(asked, found[3]) or self._said(asked, found[3], account)

    def _said(self, asked: Asked, rest: str, account: Account) -> Answer:
        listed = self.said.listed(rest) if asked.method == "GET" else None
        if listed is not None:
            return self._page(asked, listed, rest)
        document = _document(asked) if asked.sent else {}
        author = {"login": account.login, "type": "Bot" if account.app else "User"}
        return self.said.answer(asked.method, rest, document, author)

    def _moved(self, asked: Asked, rest: str) -> Answer:
        target = f"{self.api}/repositories/{_ID}{rest}"
        query = asked.target.partition("?")[2]
        location = {"Location": f"{target}?{query}" if query else target}
        status = 301 if asked.method == "GET" else 307
        return Answer(status, {"message": "Moved Permanently", "url": target}, location)

    def _token(self, asked: Asked) -> str:
        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        if scheme not in {"Bearer", "token"} or token not in self.tokens:
            raise Answer(401, {"message": "Bad credentials", "documentation_url": _DOCS, "status": "401"})
        return token

    def _page(self, asked: Asked, found: list[Any], rest: str) -> Answer:
        shown, headers = paged(
            found, asked.query, f"{self.api}/repositories/{_ID}{rest}", size=_PER_PAGE, most=_MOST
        )  # fmt: skip
        return Answer(200, shown, headers)

    def _pulls(self, asked: Asked, rest: str) -> Answer | None:
        found = re.fullmatch(r"/pulls(?:/(\d+)(/files)?)?", rest)
        if found is None:
            return None
        if found[2]:
            return self._page(asked, self.hosted.files(self._pull(int(found[1]))), rest)
        if asked.method == "GET":
            return self._one(int(found[1])) if found[1] else self._list(asked, rest)
        document = _document(asked)
        if len(str(document.get("body") or "")) > _BODY_LIMIT:
            raise RefusedError(resource="PullRequest", code="custom", message="body is too long (maximum is 65536)")
        return self._edit(int(found[1]), document) if found[1] else self._create(document)

    def _commits(self, asked: Asked, rest: str) -> Answer | None:
        """Pull requests that a commit belongs to: the merged one that brought it, or open ones that have it."""
        found = re.fullmatch(r"/commits/([0-9a-f]{40})/pulls", rest)
        if found is None:
            return None
        if not self.hosted.git("cat-file", "-t", found[1], check=False):
            raise Answer(422, {"message": f"No commit found for SHA: {found[1]}", "status": "422"})
        pulls = self.hosted.pulls.values()
        mine = [
            pull for pull in pulls if found[1] in {pull.merged, pull.head_sha} and (pull.merged or pull.state == "open")
        ]
        return self._page(asked, [self._shown(pull) for pull in mine], rest)

    def _list(self, asked: Asked, rest: str) -> Answer:
        query, owner = asked.query, self.repository.partition("/")[0]
        state = query.get("state", "open")
        found = [pull for pull in self.hosted.pulls.values() if state in {"all", pull.state}]
        if ":" in query.get("head", ""):  # anything else is no filter
            found = [pull for pull in found if f"{pull.fork or owner}:{pull.head}" == query["head"]]
        if "base" in query:
            found = [pull for pull in found if pull.base == query["base"]]
        found.sort(key=lambda pull: -pull.number)
        return self._page(asked, [self._shown(pull) for pull in found], rest)

    def _pull(self, number: int) -> Pull:
        pull = self.hosted.pulls.get(number)
        if pull is None:
            raise Answer(404, {"message": "Not Found", "documentation_url": _DOCS, "status": "404"})
        return pull

    def _one(self, number: int) -> Answer:
        return Answer(200, self._whole(self._pull(number)))

    def _create(self, document: Mapping[str, Any]) -> Answer:
        for name in ("head", "base", "title"):
            if not document.get(name):
                raise RefusedError(resource="PullRequest", field=name, code="missing_field")
        pull = self.hosted.open(
            head=str(document["head"]),
            base=str(document["base"]),
            title=str(document["title"]),
            body=str(document.get("body") or ""),
        )
        return Answer(201, self._whole(pull), {"Location": f"{self.api}/pulls/{pull.number}"})

    def _edit(self, number: int, document: Mapping[str, Any]) -> Answer:
        self._pull(number)
        fields = {name: str(document[name]) for name in ("title", "body", "state", "base") if name in document}
        return Answer(200, self._whole(self.hosted.edit(number, **fields)))

    def _whole(self, pull: Pull) -> dict[str, Any]:
        merged = bool(pull.merged)
        return self._shown(pull) | {"merged": merged, "mergeable": None, "mergeable_state": "unknown", "commits": 1}

    def _shown(self, pull: Pull) -> dict[str, Any]:
        owner, _, name = self.repository.partition("/")
        home = {"id": _ID, "name": name, "full_name": self.repository, "owner": {"login": owner}}
        whence = {"full_name": f"{pull.fork}/{name}", "owner": {"login": pull.fork}} if pull.fork else home
        closed = None if pull.state == "open" else "2026-01-02T03:04:05Z"
        return {
            "id": 1_000_000 + pull.number,
            "url": f"{self.api}/repos/{self.repository}/pulls/{pull.number}",
            "html_url": f"https://github.com/{self.repository}/pull/{pull.number}",
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "draft": False,
            "title": pull.title,
            "user": {"login": pull.author, "type": "Bot"},
            "body": pull.body or None,
            "created_at": "2026-01-02T03:04:05Z",
            "closed_at": closed,
            "merged_at": closed if pull.merged else None,
            "merge_commit_sha": pull.merged or None,
            "head": {
                "label": f"{pull.fork or owner}:{pull.head}",
                "ref": pull.head,
                "sha": pull.head_sha,
                "repo": whence,
            },
            "base": {
                "label": f"{owner}:{pull.base}",
                "ref": pull.base,
                "sha": self.hosted.tip(pull.base),
                "repo": home,
            },
        }


def _document(asked: Asked) -> dict[str, Any]:
    try:
        return dict(json.loads(asked.sent))
    except ValueError:
        raise Answer(400, {"message": "Problems parsing JSON"}) from None


def _limited(answer: Answer) -> Answer:
    return Answer(answer.status, answer.document, {**_LIMITS, **answer.headers})
