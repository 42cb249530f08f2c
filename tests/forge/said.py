"""What is said on the forge on this machine: GitHub's comments, commit statuses and check runs, and what it refuses of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.forge.hosted import Hosted, RefusedError
from tests.forge.machine import Answer

_COMMENT, _DESCRIPTION, _SUMMARY = 65_536, 140, 65_535
_ANNOTATIONS = 50
_STATES = ("error", "failure", "pending", "success")
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out")
_MOST_STATUSES = 1000


class Said:
    """Everything that was said.

    Attributes:
        comments: By number of the pull request, in the order in which they were written, as the API shows them.
        hidden: Node ids of comments that somebody minimised.
        statuses: By commit, the newest last.
        checks: Check runs, in the order in which they were written; `annotations` has all of each.
    """

    def __init__(self, hosted: Hosted) -> None:
        self._hosted = hosted
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.hidden: set[str] = set()
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.checks: list[dict[str, Any]] = []
        self._ids = 1000

    def say(self, number: int, body: str, *, login: str = "ada", kind: str = "User") -> dict[str, Any]:
        """Somebody comments on a pull request."""
        made = self._id()
        comment = {
            "id": made,
            "node_id": f"IC_{made}",
            "html_url": f"https://github.com/acme/mesh/pull/{number}#issuecomment-{made}",
            "body": body,
            "user": {"login": login, "type": kind},
            "performed_via_github_app": None,
        }
        self.comments.setdefault(number, []).append(comment)
        return comment

    def state(self, commit: str, context: str) -> tuple[str, str]:
        """The newest status of a commit: what it says, and its words."""
        found = [item for item in self.statuses.get(commit, ()) if item["context"].lower() == context.lower()]
        return (found[-1]["state"], found[-1]["description"]) if found else ("", "")

    def listed(self, rest: str) -> list[Any] | None:
        """What is listed at a path; None if nothing is."""
        if found := re.fullmatch(r"/issues/(\d+)/comments", rest):
            return self._thread(int(found[1]))
        if found := re.fullmatch(r"/commits/([0-9a-f]+)/statuses", rest):
            self._require_commit(found[1])
            return self.statuses.get(found[1], [])[::-1]
        return None

    def queried(self, document: Mapping[str, Any], login: str) -> Answer:
        """GraphQL, as far as it is asked."""
        if not document.get("query"):
            raise Answer(400, {"message": "A query attribute must be specified and must be a string."})
        nodes = [{"id": item, "isMinimized": item in self.hidden} for item in document["variables"]["ids"]]
        return Answer(200, {"data": {"viewer": {"login": login}, "nodes": nodes}})

    def answer(self, method: str, rest: str, document: Mapping[str, Any], author: Mapping[str, str]) -> Answer:
        """What is answered to something that is to be said."""
        if method == "POST" and (found := re.fullmatch(r"/issues/(\d+)/comments", rest)):
            self._thread(int(found[1]))
            body = _body(document)
            return Answer(201, self.say(int(found[1]), body, login=author["login"], kind=author["type"]))
        if found := re.fullmatch(r"/issues/comments/(\d+)", rest):
            return self._comment(method, int(found[1]), document)
        if method == "POST" and (found := re.fullmatch(r"/statuses/([0-9a-f]+)", rest)):
            return self._status(found[1], document)
        if found := re.fullmatch(r"/check-runs(?:/(\d+))?", rest):
            if author["type"] != "Bot":
                raise Answer(403, {"message": "You must authenticate via a GitHub App.", "status": "403"})
            return self._check(method, int(found[1] or 0), document)
        raise Answer(404, {"message": "Not Found", "status": "404"})

    def _comment(self, method: str, number: int, document: Mapping[str, Any]) -> Answer:
        for thread in self.comments.values():
            for comment in thread:
                if comment["id"] == number and method == "DELETE":
                    thread.remove(comment)
                    return Answer(204, None)
                if comment["id"] == number and method == "PATCH":
                    comment["body"] = _body(document)
                    return Answer(200, comment)
        raise Answer(404, {"message": "Not Found", "status": "404"})

    def _status(self, commit: str, document: Mapping[str, Any]) -> Answer:
        self._require_commit(commit)
        context, description = document.get("context", "default"), document.get("description") or ""
        if document.get("state") not in _STATES:
            raise RefusedError(
                resource="Status", code="custom", field="state", message="state is not included in the list"
            )
        if len(description) > _DESCRIPTION:
            what = f"description is too long (maximum is {_DESCRIPTION} characters)"
            raise RefusedError(resource="Status", code="custom", field="description", message=what)
        if not re.match(r"https?://|$", document.get("target_url") or ""):
            what = "target_url must use http(s) scheme"
            raise RefusedError(resource="Status", code="custom", field="target_url", message=what)
        thread = self.statuses.setdefault(commit, [])
        if sum(item["context"] == context for item in thread) >= _MOST_STATUSES:
            what = "This SHA and context has reached the maximum number of statuses."
            raise RefusedError(resource="Status", code="custom", message=what)
        made = {
            "id": self._id(),
            "state": document["state"],
            "description": description or None,
            "target_url": document.get("target_url"),
            "context": context,
        }
        thread.append(made)
        return Answer(201, made)

    def _check(self, method: str, number: int, document: Mapping[str, Any]) -> Answer:
        output = document.get("output") or {}
        if output:
            _require_output(output)
        shown = {"title": output.get("title"), "summary": output.get("summary")}
        if method == "PATCH":
            for run in self.checks:
                if run["id"] == number:
                    run["annotations"] += output.get("annotations", [])
                    run["output"] = shown | {"annotations_count": len(run["annotations"])}
                    return Answer(200, run)
            raise Answer(404, {"message": "Not Found", "status": "404"})
        missing = [f'"{name}"' for name in ("name", "head_sha") if not document.get(name)]
        if missing:
            raise Answer(422, {"message": f"Invalid request.\n\n{', '.join(missing)} wasn't supplied."})
        self._require_commit(str(document["head_sha"]))
        if document.get("conclusion") not in _CONCLUSIONS:
            raise Answer(422, {"message": "Invalid request.\n\nInvalid conclusion."})
        made = self._id()
        run = {
            **{name: document.get(name) for name in ("name", "head_sha", "status", "conclusion", "details_url")},
            "id": made,
            "html_url": f"https://github.com/acme/mesh/runs/{made}",
            "output": shown,
            "annotations": list(output.get("annotations", [])),
        }
        self.checks.append(run)
        return Answer(201, run)

    def _thread(self, number: int) -> list[dict[str, Any]]:
        if number not in self._hosted.pulls:
            raise Answer(404, {"message": "Not Found", "status": "404"})
        return self.comments.get(number, [])

    def _require_commit(self, commit: str) -> None:
        if not self._hosted.git("cat-file", "-t", commit, check=False):
            raise Answer(422, {"message": f"No commit found for SHA: {commit}", "status": "422"})

    def _id(self) -> int:
        self._ids += 1
        return self._ids


def _body(document: Mapping[str, Any]) -> str:
    body = document.get("body")
    if not isinstance(body, str):
        raise Answer(422, {"message": 'Invalid request.\n\n"body" wasn\'t supplied.'})
    if not body.strip():
        raise RefusedError(resource="IssueComment", code="unprocessable", field="data", message="Body cannot be blank")
    if len(body) > _COMMENT:
        what = f"Body is too long (maximum is {_COMMENT} characters)"
        raise RefusedError(resource="IssueComment", code="unprocessable", field="data", message=what)
    return body


def _require_output(output: Mapping[str, Any]) -> None:
    annotations = output.get("annotations", [])
    if not output.get("title") or not output.get("summary"):
        raise Answer(422, {"message": 'Invalid request.\n\n"summary", "title" weren\'t supplied.'})
    if len(output["summary"]) > _SUMMARY:
        raise Answer(422, {"message": f"Invalid request.\n\nOnly {_SUMMARY} characters are allowed."})
    if len(annotations) > _ANNOTATIONS:
        what = f"No more than {_ANNOTATIONS} items are allowed; {len(annotations)} were supplied."
        raise Answer(422, {"message": f"Invalid request.\n\n{what}"})
    for item in annotations:
        missing = {"path", "start_line", "end_line", "annotation_level", "message"} - item.keys()
        several = item.get("start_line") != item.get("end_line")
        if missing or item["annotation_level"] not in {"notice", "warning", "failure"}:
            raise Answer(422, {"message": f"Invalid request.\n\n{sorted(missing)} weren't supplied."})
        if several and ("start_column" in item or "end_column" in item):
            raise Answer(422, {"message": "Invalid request.\n\nColumns need one line."})
