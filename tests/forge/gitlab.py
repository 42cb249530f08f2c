"""A forge on this machine: GitLab's REST API (v4) of merge requests, notes and commit statuses, over a real repository.

Written from GitLab's public description: paths, fields, statuses, error documents, pages, limits. A merge request without commits is
taken, one of a branch that has an open one is not (409); a status that is `pending` is not set to `pending` again (400); what it
does not know in a document it leaves alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.forge.hosted import Hosted, Pull, RefusedError
from tests.forge.machine import Answer, Asked, Machine, paged

TOKEN = "glpat-0123456789abcdef"  # noqa: S105 -- opens nothing but this server
_NUMBER = 4711
_PER_PAGE, _MOST = 20, 100
_NOTE, _WORDS = 1_000_000, 255
_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")


class GitLabServer(Machine):
    """The server. Use it as a context.

    Attributes:
        project: Its path, with all its groups.
        hosted: The repository and its merge requests, with what people do to them.
        url: The repository for Git.
        token_file: Holds a token that may write.
        tokens: What each token may: `api`, `read_api` or `none`, and whose it is.
        how: How each merged merge request was merged, by its number, where that was not by `merge`.
        notes: By merge request, as the API shows them.
        statuses: By commit, the newest last.
        idempotent: Whether the same state may be posted again, as later versions have it.
    """

    prefix = "/api/v4"

    def __init__(self, root: Path, files: Mapping[str, bytes], *, project: str = "acme/traffic/mesh") -> None:
        super().__init__()
        root.mkdir(exist_ok=True)
        self.project = project
        self.hosted = Hosted(root / "hosted.git", files, home=project)
        self.url = f"file://{self.hosted.git_dir}"
        self.token_file = root / "token"
        self.token_file.write_text(f"{TOKEN}\n")
        self.tokens = {TOKEN: ("api", 7, "project_4711_bot")}
        self.how: dict[int, str] = {}
        self.notes: dict[int, list[dict[str, Any]]] = {}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.idempotent = False
        self._ids = 500

    def merge(self, number: int, how: str) -> str:
        """A person merges: `merge`, `squash` (without a merge commit) or `rebase` (fast-forward)."""
        self.how[number] = how
        return self.hosted.merge(number, how)

    def say(self, number: int, body: str, *, author: int = 1, system: bool = False) -> dict[str, Any]:
        """Somebody writes a note."""
        self._ids += 1
        note = {"id": self._ids, "body": body, "author": {"id": author, "username": f"u{author}"}, "system": system}
        self.notes.setdefault(number, []).append(note)
        return note

    def answer(self, asked: Asked) -> Answer:
        """What is answered."""
        try:
            return self._routed(asked)
        except Answer as found:
            return found

    def _routed(self, asked: Asked) -> Answer:
        token = asked.headers.get("PRIVATE-TOKEN", "")
        if token not in self.tokens:
            raise Answer(401, {"message": "401 Unauthorized"})
        scope, user, name = self.tokens[token]
        if scope == "none" or (asked.method != "GET" and scope != "api"):
            words = "The request requires higher privileges than provided by the access token."
            raise Answer(403, {"error": "insufficient_scope", "error_description": words, "scope": "api"})
        path = asked.path.removeprefix(self.prefix)
        if path == "/user":
            return Answer(200, {"id": user, "username": name, "bot": True})
        found = re.fullmatch(r"/projects/([^/]+)(/.+)", path)
        if found is None or unquote(found[1]) not in {self.project, str(_NUMBER)}:
            raise Answer(404, {"message": "404 Project Not Found"})
        self.hosted.look()
        rest, document = found[2], _document(asked)
        if found := re.fullmatch(r"/merge_requests(?:/(\d+)(/.+)?)?", rest):
            number = int(found[1] or 0)
            if number and number not in self.hosted.pulls:
                raise Answer(404, {"message": "404 Not found"})
            if found[2]:
                return self._below(asked, number, found[2], document, user)
            return self._one(asked, number, document) if number else self._all(asked, rest, document)
        return self._commit(asked, rest, document)

    def _all(self, asked: Asked, rest: str, document: Mapping[str, Any]) -> Answer:
        if asked.method == "POST":
            return self._create(document)
        query = asked.query
        found = [self._shown(pull) for pull in self.hosted.pulls.values()]
        if query.get("state", "all") != "all":
            found = [item for item in found if item["state"] == query["state"]]
        for name in ("source_branch", "target_branch"):
            if name in query:
                found = [item for item in found if item[name] == query[name]]
        return self._page(asked, found[::-1], rest)

    def _create(self, document: Mapping[str, Any]) -> Answer:
        for name in ("title", "source_branch", "target_branch"):
            if name not in document:
                raise Answer(400, {"error": f"{name} is missing"})
        head, base = str(document["source_branch"]), str(document["target_branch"])
        if not document["title"]:
            raise Answer(400, {"message": {"title": ["can't be blank"]}})
        for pull in self.hosted.pulls.values():
            if pull.state == "open" and (pull.head, pull.base) == (head, base):
                what = f"Another open merge request already exists for this source branch: !{pull.number}"
                raise Answer(409, {"message": [what]})
        for branch in (head, base):
            if not self.hosted.tip(branch):
                raise Answer(400, {"message": [f"{branch} does not exist"]})
        number = len(self.hosted.pulls) + 1
        self.hosted.pulls[number] = Pull(
            number=number,
            head=head,
            head_sha=self.hosted.tip(head),
            base=base,
            title=str(document["title"]),
            body=str(document.get("description") or ""),
            author="project_4711_bot",
        )
        return Answer(201, self._shown(self.hosted.pulls[number]))

    def _one(self, asked: Asked, number: int, document: Mapping[str, Any]) -> Answer:
        pull = self.hosted.pulls[number]
        if asked.method == "PUT":
            event = document.get("state_event")
            if event not in {None, "close", "reopen"}:
                raise Answer(400, {"error": "state_event does not have a valid value"})
            if not {"title", "description", "state_event"} & document.keys():
                raise Answer(
                    400, {"error": "title, description, state_event are missing, at least one parameter must be"}
                )
            pull.title = str(document.get("title") or pull.title)
            pull.body = str(document.get("description", pull.body))
            state = {"close": "closed", "reopen": "open"}.get(str(event))
            with suppress(RefusedError):  # it says nothing, and leaves the merge request closed
                self.hosted.edit(number, **({"state": state} if state and not pull.merged else {}))
        return Answer(200, self._shown(pull))

    def _below(self, asked: Asked, number: int, rest: str, document: Mapping[str, Any], user: int) -> Answer:
        if rest == "/diffs":
            files = self.hosted.files(self.hosted.pulls[number])
            shown = [
                {"new_path": item["filename"], "old_path": item.get("previous_filename", item["filename"])}
                for item in files
            ]
            return self._page(asked, shown, f"/merge_requests/{number}{rest}")
        found = re.fullmatch(r"/notes(?:/(\d+))?", rest)
        if found is None:
            raise Answer(404, {"error": "404 Not Found"})
        thread = self.notes.setdefault(number, [])
        if asked.method == "GET":
            newest_first = asked.query.get("sort", "desc") == "desc"
            return self._page(asked, thread[::-1] if newest_first else thread, f"/merge_requests/{number}{rest}")
        if asked.method != "DELETE":
            _require_body(document)
        if asked.method == "POST":
            return Answer(201, self.say(number, document["body"], author=user))
        note = next((note for note in thread if found[1] and note["id"] == int(found[1])), None)
        if note is None:
            raise Answer(404, {"message": "404 Note Not Found"})
        if asked.method == "DELETE":
            thread.remove(note)
            return Answer(204, None)
        note["body"] = document["body"]
        return Answer(200, note)

    def _commit(self, asked: Asked, rest: str, document: Mapping[str, Any]) -> Answer:
        found = re.fullmatch(
            r"/(?:repository/commits/([0-9a-f]+)/(statuses|merge_requests)|statuses/([0-9a-f]+))", rest
        )
        if found is None:
            raise Answer(404, {"error": "404 Not Found"})
        commit = found[1] or found[3]
        if not self.hosted.git("cat-file", "-t", commit, check=False):
            raise Answer(404, {"message": "404 Commit Not Found"})
        if found[3]:
            return self._status(commit, document)
        if found[2] == "merge_requests":
            having = [pull for pull in self.hosted.pulls.values() if commit in {pull.merged, pull.head_sha}]
            return self._page(asked, [self._shown(pull) for pull in having], rest)
        newest = {item["name"]: item for item in self.statuses.get(commit, ())}
        named = [item for name, item in newest.items() if asked.query.get("name", name) == name]
        return self._page(asked, named, rest)

    def _status(self, commit: str, document: Mapping[str, Any]) -> Answer:
        state, name = document.get("state"), document.get("name") or document.get("context") or "default"
        if state not in _STATES:
            raise Answer(400, {"error": "state does not have a valid value" if state else "state is missing"})
        if len(document.get("description") or "") > _WORDS:
            raise Answer(400, {"message": {"description": [f"is too long (maximum is {_WORDS} characters)"]}})
        thread = self.statuses.setdefault(commit, [])
        newest = next((item for item in thread[::-1] if item["name"] == name), None)
        if newest is not None and newest["status"] == state and state in {"pending", "running"} and not self.idempotent:
            event = {"pending": "enqueue", "running": "run"}[state]
            what = f'Cannot transition status via :{event} from :{state} (Reason(s): Status cannot transition via "{event}")'
            raise Answer(400, {"message": what})
        self._ids += 1
        said = {"description": document.get("description"), "target_url": document.get("target_url")}
        made = {"id": self._ids, "sha": commit, "status": state, "name": name, **said}
        thread.append(made)
        return Answer(201, made)

    def _page(self, asked: Asked, found: list[Any], rest: str) -> Answer:
        shown, headers = paged(found, asked.query, f"{self.api}/projects/{_NUMBER}{rest}", size=_PER_PAGE, most=_MOST)
        return Answer(200, shown, headers)

    def _shown(self, pull: Pull) -> dict[str, Any]:
        how = self.how.get(pull.number, "merge")
        state = "merged" if pull.merged else {"open": "opened"}.get(pull.state, pull.state)
        return {
            "id": 9_000_000 + pull.number,
            "iid": pull.number,
            "state": state,
            "title": pull.title,
            "description": pull.body or None,
            "source_branch": pull.head,
            "target_branch": pull.base,
            "source_project_id": 5000 if pull.fork else _NUMBER,
            "target_project_id": _NUMBER,
            "sha": pull.merged if how == "rebase" and pull.merged else pull.head_sha,
            "merge_commit_sha": pull.merged or None if how == "merge" else None,
            "squash_commit_sha": pull.merged or None if how == "squash" else None,
            "author": {"id": 7, "username": pull.author},
            "web_url": f"https://gitlab.com/{self.project}/-/merge_requests/{pull.number}",
        }


def _document(asked: Asked) -> dict[str, Any]:
    try:
        return dict(json.loads(asked.sent)) if asked.sent else {}
    except ValueError:
        raise Answer(400, {"message": "400 Bad request - invalid JSON"}) from None


def _require_body(document: Mapping[str, Any]) -> None:
    body = document.get("body")
    if body is None:
        raise Answer(400, {"error": "body is missing"})
    if not str(body).strip():
        raise Answer(400, {"message": '400 Bad request - Note {:note=>["can\'t be blank"]}'})
    if len(body) > _NOTE:
        raise Answer(400, {"message": {"note": [f"is too long (maximum is {_NOTE} characters)"]}})
    if "\x00" in body:
        raise Answer(400, {"error": "body is invalid"})
