"""A small model hub on this computer, for the real huggingface_hub client; with plain URLs, a Drive page, and faults.

hub = HubServer()
commit = hub.commit("user/repo", {"model.safetensors": data})
hub.fault("GET", "model", cut(1000))  # The next GET of the file breaks off.
"""

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Reply:
    """An answer before it is sent, for faults to change."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # Send only so many bytes of the body, and
    reset: bool = False  # close the connection with a reset.
    pause: float = 0  # Seconds before every tenth of the body.
    raw: Iterable[bytes] = ()  # Send these instead of all that, as long as the client listens.


Fault = Callable[[Reply], Reply]


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Fault:
    """Another answer in place of the right one."""

    def change(reply: Reply) -> Reply:
        return Reply(status, dict(headers or {}), body)

    change.is_instead = True  # type: ignore[attr-defined]
    return change


def page(status: int = 200) -> Fault:
    """The login page of a network, whatever was asked."""
    body = b"<!DOCTYPE html><html><title>Welcome to our wireless network</title></html>"
    return answer(status, {"Content-Type": "text/html"}, body)


def drive_page(title: str, caption: str) -> Fault:
    """A page of Google Drive that explains why there is no file, as it is today."""
    body = (
        f'<!DOCTYPE html><html><head><title>{title}</title><style>.quota {{}}</style></head><body><div id="uc-text">'
        f'<p class="uc-error-caption">{caption}</p><p class="uc-error-subcaption">Please try again later.</p></div>'
        '<form action="https://www.google.com/search"><input name="q"></form></body></html>'
    )
    return answer(200, {"Content-Type": "text/html; charset=utf-8"}, body.encode())


def quota() -> Fault:
    """The page where too many have fetched a file."""
    return drive_page("Google Drive - Quota exceeded", "Sorry, you can't view or download this file at this time.")


def raw(*parts: bytes, pause: float = 0.02, times: int = 1000) -> Fault:
    """Bytes as they are: the first part, and then the others again and again, slowly."""

    def send() -> Iterator[bytes]:
        yield parts[0]
        for _ in range(times):
            for part in parts[1:]:
                time.sleep(pause)
                yield part

    def change(reply: Reply) -> Reply:
        return Reply(raw=send())

    change.is_instead = True  # type: ignore[attr-defined]
    return change


def cut(n: int, *, reset: bool = False) -> Fault:
    """Break off after n bytes."""

    def change(reply: Reply) -> Reply:
        reply.cut, reply.reset = n, reset
        return reply

    return change


def pause(seconds: float) -> Fault:
    """Wait before every tenth of the file."""

    def change(reply: Reply) -> Reply:
        reply.pause = seconds
        return reply

    return change


def flip(position: int = 5000) -> Fault:
    """Another bit in the file, of the same size."""

    def change(reply: Reply) -> Reply:
        body = bytearray(reply.body)
        body[position % len(body)] ^= 1
        reply.body = bytes(body)
        return reply

    return change


def headers(**changes: str | None) -> Fault:
    """Other headers: names with _ for -; None removes one."""

    def change(reply: Reply) -> Reply:
        for name, value in changes.items():
            reply.headers.pop(name.replace("_", "-"), None)
            if value is not None:
                reply.headers[name.replace("_", "-")] = value
        return reply

    return change


class HubServer:
    """Repositories, plain files and the requests so far. It listens on the loopback interface alone."""

    def __init__(self) -> None:
        server = self

        class Handler(_Handler):
            hub = server

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.reset()
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self) -> None:
        """Forget everything."""
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}  # Repository -> commit -> files.
        self.branches: dict[str, dict[str, str]] = {}  # Repository -> branch -> commit.
        self.private: dict[str, bool] = {}
        self.plain: dict[str, bytes] = {}  # /plain/<name>, or the id of a file on the Drive.
        self.uploads: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # Method, path, Range.
        self.tokens: list[str | None] = []  # The header Authorization of each request.
        self.faults: list[list[Any]] = []

    def commit(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit to a branch, and return its id."""
        names = json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
        commit = hashlib.sha1(f"{repo} {names} {len(self.commits.get(repo, {}))}".encode()).hexdigest()
        self.commits.setdefault(repo, {})[commit] = dict(files)
        self.branches.setdefault(repo, {})[branch] = commit
        self.private.setdefault(repo, False)
        return commit

    def fault(self, method: str, part: str, *faults: Fault, times: int = 1) -> None:
        """Change the next answers to requests of this method with this part in their path."""
        self.faults.append([method, part, faults, times])

    def count(self, method: str, part: str = "") -> int:
        """The number of such requests so far."""
        return sum(m == method and part in path for m, path, _ in self.requests)

    def reply(self, method: str, path: str, make: Callable[[], Reply]) -> Reply:
        """The right answer, or what the first fault for it makes of it."""
        for fault in self.faults:
            if fault[0] == method and fault[1] in path and fault[3] > 0:
                fault[3] -= 1
                # An answer in place of the right one: the request has no effect.
                reply = Reply() if getattr(fault[2][0], "is_instead", False) else make()
                for change in fault[2]:
                    reply = change(reply)
                return reply
        return make()


def etag_of(name: str, data: bytes) -> str:
    """The hub's: sha256 of large files, the git blob's sha1 of others."""
    if name.endswith((".json", ".md")):
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.respond(lambda body: self.get())

    def do_GET(self) -> None:
        self.respond(lambda body: self.get())

    def do_POST(self) -> None:
        self.respond(self.post)

    def do_PUT(self) -> None:
        self.respond(self.put)

    def respond(self, make: Callable[[bytes], Reply]) -> None:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range")))
        self.hub.tokens.append(self.headers.get("Authorization"))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self.hub.reply(self.command, self.path, lambda: make(body))
        reply.headers.setdefault("Content-Length", str(len(reply.body)))
        try:
            if reply.raw:
                self.close_connection = True
                for part in reply.raw:
                    self.wfile.write(part)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.send_body(reply)
        except OSError:  # The client has gone.
            self.close_connection = True

    def send_body(self, reply: Reply) -> None:
        body = reply.body if reply.cut is None else reply.body[: reply.cut]
        step = max(1, len(body) // 10) if reply.pause else max(1, len(body))
        for i in range(0, len(body), step):
            time.sleep(reply.pause)
            self.wfile.write(body[i : i + step])
            self.wfile.flush()
        if reply.cut is not None:
            self.close_connection = True
            if reply.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    def log_message(self, *args: object) -> None:
        pass

    # GET and HEAD.

    def get(self) -> Reply:
        url = urlsplit(self.path)
        path = unquote(url.path)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(*match.groups())
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            return self.describe(*match.groups())
        if path.startswith("/plain/") and path[7:] in self.hub.plain:
            data = self.hub.plain[path[7:]]
            return self.ranged(data, {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})
        if path.startswith("/releases/download/") and path[19:] in self.hub.plain:  # As code hosts keep them.
            return Reply(302, {"Location": f"/objects/{path[19:]}?signature=1"})
        if path.startswith("/objects/") and url.query == "signature=1" and path[9:] in self.hub.plain:
            return self.ranged(self.hub.plain[path[9:]], {"ETag": '"object"'})
        if path in ("/uc", "/download"):
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            return self.drive(query)
        return Reply(404)

    def resolve(self, repo: str, revision: str, name: str) -> Reply:
        files, commit = self.find(repo, revision)
        if isinstance(files, Reply):
            return files
        if name not in files:
            return Reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        etag = etag_of(name, files[name])
        linked = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(files[name]))} if len(etag) == 64 else {}
        return self.ranged(files[name], {"X-Repo-Commit": commit, "ETag": f'"{etag}"', **linked})

    def find(self, repo: str, revision: str) -> tuple[dict[str, bytes] | Reply, str]:
        if repo not in self.hub.commits:
            return Reply(401, {"X-Error-Code": "RepoNotFound"}), ""
        commit = self.hub.branches[repo].get(revision, revision)
        if commit not in self.hub.commits[repo]:
            return Reply(404, {"X-Error-Code": "RevisionNotFound"}), ""
        return self.hub.commits[repo][commit], commit

    def ranged(self, data: bytes, known: dict[str, str]) -> Reply:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match is None or self.headers.get("If-Range", known["ETag"]) != known["ETag"]:
            return Reply(200, known | {"Accept-Ranges": "bytes"}, data)
        start = int(match[1])
        if start >= len(data):
            return Reply(416, known | {"Content-Range": f"bytes */{len(data)}"})
        return Reply(206, known | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:])

    def describe(self, repo: str, what: str | None, revision: str | None) -> Reply:
        files, commit = self.find(repo, revision or "main")
        if isinstance(files, Reply):
            return files
        if what == "tree":
            return _json([{"type": "file", "path": n, "size": len(d), "oid": etag_of(n, d)} for n, d in files.items()])
        siblings = [{"rfilename": name} for name in files]
        return _json({"id": repo, "sha": commit, "private": self.hub.private[repo], "siblings": siblings})

    def drive(self, query: dict[str, str]) -> Reply:
        data = self.hub.plain.get(query.get("id", ""))
        if data is None:
            return Reply(404)
        if query.get("confirm") == "t" and query.get("uuid") == "1-2":
            return self.ranged(data, {"ETag": '"drive"', "Content-Type": "application/octet-stream"})
        form = (
            "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head>"
            '<p class="uc-warning-caption">Google Drive can\'t scan this file for viruses.</p>'
            f'<form id="download-form" action="{self.hub.url}/download" method="get">'
            f'<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="{query["id"]}">'
            '<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="1-2"></form></html>'
        )
        return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, form.encode())

    # Publishing.

    def post(self, body: bytes) -> Reply:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if repo in self.hub.commits:
                return _json({"url": f"{self.hub.url}/{repo}"}, 409)
            self.hub.commit(repo, {})
            self.hub.private[repo] = asked.get("private", asked.get("visibility") == "private")
            return _json({"url": f"{self.hub.url}/{repo}", "id": repo})
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = ["regular" if f["path"].endswith((".json", ".md")) else "lfs" for f in files]
            told = [
                {"path": f["path"], "uploadMode": m, "shouldIgnore": False} for f, m in zip(files, modes, strict=True)
            ]
            return _json({"files": told})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return _json({"transfer": "basic", "objects": objects})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", path):
            return self.receive_commit(match[1], match[2], body)
        return Reply(404)

    def receive_commit(self, repo: str, branch: str, body: bytes) -> Reply:
        files: dict[str, bytes] = {}
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            if item["key"] == "lfsFile":
                files[item["value"]["path"]] = self.hub.uploads[item["value"]["oid"]]
        commit = self.hub.commit(repo, files, branch)
        return _json({"commitUrl": f"{self.hub.url}/{repo}/commit/{commit}", "commitOid": commit, "success": True})

    def put(self, body: bytes) -> Reply:
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(body).hexdigest() != oid:
            return Reply(400)
        self.hub.uploads[oid] = body
        return Reply(200)


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
