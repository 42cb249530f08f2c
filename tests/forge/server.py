"""A forge on this machine: GitHub's REST API of pull requests, version 2022-11-28, over a real repository.

Written from GitHub's public description: paths, fields, statuses, error documents, pages, ETags, limits. What it is given to
misbehave (`fail`, `delay`, `down`) is exactly what it does.

    with ForgeServer(tmp_path, {"policies/a.yaml": b"..."}) as forge:
        GitHub(forge.repository, token_file=forge.token_file, api=forge.api)
        open_repository(forge.url, ...)
        forge.hosted.merge(1, "squash")
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.forge.hosted import Hosted, Pull, RefusedError

TOKEN = "ghs_0123456789abcdef"  # noqa: S105 -- opens nothing but this server
_DOCS = "https://docs.github.com/rest"
_ID = 4711
_PER_PAGE, _MOST = 30, 100
_BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered."""

    method: str
    target: str
    status: int


@dataclass(slots=True)
class Fault:
    """A way to misbehave, for some calls.

    Attributes:
        status: What is answered.
        body: Bytes as they are, or a JSON document.
        headers: Added to the answer.
        method: Only for this one; "" for all.
        times: For how many calls.
        after: Whether the call has had its effect by then.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    times: int = 1
    after: bool = False


class ForgeServer:
    """The server. Use it as a context.

    Attributes:
        repository: `owner/name`; assign another to rename it: the old name redirects then.
        hosted: The repository and its pull requests, with what people do to them: `push`, `merge`, `close`, `reopen`, ...
        url: The repository for Git.
        api: The address of the API.
        token_file: Holds a token that may write.
        tokens: What each token may: `write`, `read` or `none`.
        calls: What was asked, in order.
        delay: Seconds before each answer.
    """

    def __init__(
        self, root: Path, files: Mapping[str, bytes], *, repository: str = "acme/mesh", protected: bool = True
    ) -> None:
        root.mkdir(exist_ok=True)
        self.repository = repository
        self.names = {repository}
        self.hosted = Hosted(root / "hosted.git", files, protected=protected, home=repository)
        self.url = f"file://{self.hosted.git_dir}"
        self.token_file = root / "token"
        self.token_file.write_text(f"{TOKEN}\n")
        self.tokens = {TOKEN: "write"}
        self.calls: list[Call] = []
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.delay = 0.0
        self._faults: list[Fault] = []
        self._server: _Server | None = None
        self._port = 0

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._port}/api/v3"

    @property
    def writes(self) -> list[str]:
        """The methods and paths that were to change something."""
        return [f"{call.method} {call.target}" for call in self.calls if call.method != "GET"]

    def fail(self, status: int, body: Any = None, **how: Any) -> None:
        """Misbehave in the next calls; see `Fault`."""
        self._faults.append(Fault(status, body, **how))

    def heal(self) -> None:
        """Behave again."""
        self._faults.clear()
        self.delay = 0.0

    def down(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def up(self) -> None:
        """Listen again, at the same address."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.down()

    def fault(self, method: str, *, after: bool) -> Fault | None:
        """The next fault that fits, taken."""
        for fault in self._faults:
            if fault.method in {"", method} and fault.after == after:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined when it is closed
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], forge: ForgeServer) -> None:
        self.forge = forge
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def stop(self) -> None:
        self.shutdown()
        for connection in tuple(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Nothing: a client that goes away is what tests do."""


@dataclass(eq=False)
class _Answer(Exception):  # noqa: N818 -- every refusal is an answer
    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.connections.discard(self.connection)

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read `calls`."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def _handle(self) -> None:
        forge = self.server.forge
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if forge.delay:
            forge.over.wait(forge.delay)
        with forge.lock:
            fault = forge.fault(self.command, after=False)
            answer = _Answer(fault.status, fault.body, fault.headers) if fault else self._answer(sent)
            late = forge.fault(self.command, after=True)
            if late:
                answer = _Answer(late.status, late.body, late.headers)
            forge.calls.append(Call(self.command, self.path, answer.status))
        self._send(answer)

    def _answer(self, sent: bytes) -> _Answer:
        try:
            answer = self._routed(sent)
        except _Answer as found:
            return found
        except RefusedError as error:
            return _Answer(422, {"message": "Validation Failed", "errors": [error.error], "documentation_url": _DOCS})
        body = json.dumps(answer.document).encode()
        tag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if self.command == "GET" and self.headers.get("If-None-Match") == tag:
            return _Answer(304, None, {"ETag": tag})
        return _Answer(answer.status, answer.document, {"ETag": tag, **answer.headers})

    def _routed(self, sent: bytes) -> _Answer:
        forge = self.server.forge
        if not self.headers.get("User-Agent"):
            raise _Answer(403, {"message": "Request forbidden by administrative rules. No User-Agent header."})
        if self.headers.get("X-GitHub-Api-Version", "2022-11-28") != "2022-11-28":
            raise _Answer(400, {"message": "The version that is asked for is not supported."})
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/v3")
        found = re.fullmatch(r"/(?:repos/([^/]+/[^/]+)|repositories/(\d+))/pulls(?:/(\d+))?", path)
        may = self._permission()
        if found is None or may == "none" or found[1] not in {*forge.names, forge.repository, None}:
            raise _Answer(404, {"message": "Not Found", "documentation_url": _DOCS, "status": "404"})
        if found[1] not in {forge.repository, None}:
            target = f"{forge.api}/repositories/{_ID}/pulls{f'/{found[3]}' if found[3] else ''}"
            query = f"?{parts.query}" if parts.query else ""
            location = {"Location": target + query}
            status = 301 if self.command == "GET" else 307
            raise _Answer(status, {"message": "Moved Permanently", "url": target}, location)
        if self.command != "GET" and may != "write":
            raise _Answer(403, {"message": "Resource not accessible by personal access token", "status": "403"})
        forge.hosted.look()
        if self.command == "GET":
            return self._one(int(found[3])) if found[3] else self._list(parse_qs(parts.query))
        document = self._document(sent)
        return self._edit(int(found[3]), document) if found[3] else self._create(document)

    def _permission(self) -> str:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        may = self.server.forge.tokens.get(token) if scheme in {"Bearer", "token"} else None
        if may is None:
            raise _Answer(401, {"message": "Bad credentials", "documentation_url": _DOCS, "status": "401"})
        return may

    def _document(self, sent: bytes) -> dict[str, Any]:
        try:
            document = json.loads(sent)
        except ValueError:
            raise _Answer(400, {"message": "Problems parsing JSON"}) from None
        if len(str(document.get("body") or "")) > _BODY_LIMIT:
            raise RefusedError(resource="PullRequest", code="custom", message="body is too long (maximum is 65536)")
        return dict(document)

    def _list(self, query: Mapping[str, list[str]]) -> _Answer:
        def asked(name: str, default: str) -> str:
            return query.get(name, [default])[0]

        state, owner = asked("state", "open"), self.server.forge.repository.partition("/")[0]
        found = [pull for pull in self.server.forge.hosted.pulls.values() if state in {"all", pull.state}]
        if ":" in asked("head", ""):  # anything else is no filter
            found = [pull for pull in found if f"{owner}:{pull.head}" == asked("head", "")]
        if "base" in query:
            found = [pull for pull in found if pull.base == asked("base", "")]
        found.sort(key=lambda pull: -pull.number)
        size, page = min(int(asked("per_page", str(_PER_PAGE))), _MOST), int(asked("page", "1"))
        headers: dict[str, str] = {}
        if len(found) > size * page:
            rest = "&".join(f"{name}={value[0]}" for name, value in query.items() if name != "page")
            address = f"{self.server.forge.api}/repositories/{_ID}/pulls?{rest}&page="
            last = -(-len(found) // size)
            headers["Link"] = f'<{address}{page + 1}>; rel="next", <{address}{last}>; rel="last"'
        return _Answer(200, [self._shown(pull) for pull in found[size * (page - 1) : size * page]], headers)

    def _one(self, number: int) -> _Answer:
        pull = self.server.forge.hosted.pulls.get(number)
        if pull is None:
            raise _Answer(404, {"message": "Not Found", "documentation_url": _DOCS, "status": "404"})
        return _Answer(200, self._whole(pull))

    def _create(self, document: Mapping[str, Any]) -> _Answer:
        for name in ("head", "base", "title"):
            if not document.get(name):
                raise RefusedError(resource="PullRequest", field=name, code="missing_field")
        pull = self.server.forge.hosted.open(
            head=str(document["head"]),
            base=str(document["base"]),
            title=str(document["title"]),
            body=str(document.get("body") or ""),
        )
        return _Answer(201, self._whole(pull), {"Location": f"{self.server.forge.api}/pulls/{pull.number}"})

    def _edit(self, number: int, document: Mapping[str, Any]) -> _Answer:
        self._one(number)
        fields = {name: str(document[name]) for name in ("title", "body", "state", "base") if name in document}
        return _Answer(200, self._whole(self.server.forge.hosted.edit(number, **fields)))

    def _whole(self, pull: Pull) -> dict[str, Any]:
        merged = bool(pull.merged)
        return self._shown(pull) | {"merged": merged, "mergeable": None, "mergeable_state": "unknown", "commits": 1}

    def _shown(self, pull: Pull) -> dict[str, Any]:
        forge = self.server.forge
        owner, _, name = forge.repository.partition("/")
        home = {"id": _ID, "name": name, "full_name": forge.repository, "owner": {"login": owner}}
        closed = None if pull.state == "open" else "2026-01-02T03:04:05Z"
        return {
            "id": 1_000_000 + pull.number,
            "url": f"{forge.api}/repos/{forge.repository}/pulls/{pull.number}",
            "html_url": f"https://github.com/{forge.repository}/pull/{pull.number}",
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
            "head": {"label": f"{owner}:{pull.head}", "ref": pull.head, "sha": pull.head_sha, "repo": home},
            "base": {
                "label": f"{owner}:{pull.base}",
                "ref": pull.base,
                "sha": forge.hosted.tip(pull.base),
                "repo": home,
            },
        }

    def _send(self, answer: _Answer) -> None:
        body = answer.document if isinstance(answer.document, bytes) else json.dumps(answer.document).encode()
        body = b"" if answer.status == 304 else body
        self.send_response(answer.status)
        limits = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4999", "x-ratelimit-resource": "core"}
        headers = {"Content-Type": "application/json; charset=utf-8", **limits, **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
