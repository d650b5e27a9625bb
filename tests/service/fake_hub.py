"""A small hub on loopback: repositories at commits, large files on a second host, and its moods.

What it says is what huggingface-hub's own client reads: `/api/models`, `/OWNER/NAME/resolve`,
`X-Repo-Commit`, `ETag`, `X-Error-Code`, ranges.
"""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

LARGE = 10_000
"""Bytes from which a file is kept elsewhere, with a SHA-256."""


@dataclass
class Repo:
    """One repository at one commit."""

    files: dict[str, bytes]
    gated: bool = False
    readers: tuple[str, ...] = ()
    """Tokens that may read it; () for everybody."""

    @property
    def commit(self) -> str:
        state = hashlib.sha1()
        for name, data in sorted(self.files.items()):
            state.update(name.encode() + data)
        return state.hexdigest()


@dataclass
class Moods:
    """What the hub does wrong."""

    cut_after: list[int] = field(default_factory=list)
    """Bytes after which answers with large files break off, one answer each."""
    statuses: list[int] = field(default_factory=list)
    """Answered to the next requests."""
    changed: dict[str, bytes] = field(default_factory=dict)
    """Sent in place of a file."""
    about: bytes | None = None
    """Said of any repository in place of the truth."""
    ignores_ranges: bool = False
    from_another_byte: bool = False


class FakeHub:
    """`repos` by name; `log` has method, host part, path, Range and token of each request."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.known_tokens: set[str] = set()
        self.moods = Moods()
        self.log: list[tuple[str, str, str | None, str | None]] = []
        self.sent = 0
        """Bytes of large files that left here."""
        self.hold = threading.Event()
        self.hold.set()
        """Large files stop in their middle while it is cleared."""
        self._front = self._serve("front")
        self._store = self._serve("store")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._front.server_port}"

    @property
    def store_url(self) -> str:
        return f"http://127.0.0.1:{self._store.server_port}"

    def ranges(self) -> list[str]:
        """The ranges asked of the store, in order."""
        return [wanted or "" for where, _, wanted, _ in self.log if where == "store"]

    def __enter__(self) -> "FakeHub":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.hold.set()
        for server in (self._front, self._store):
            server.shutdown()
            server.server_close()

    def _serve(self, where: str) -> ThreadingHTTPServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                token = self.headers.get("Authorization")
                path = unquote(urlsplit(self.path).path)
                hub.log.append((where, path, self.headers.get("Range"), token))
                if hub.moods.statuses and (status := hub.moods.statuses.pop(0)) != 200:
                    self.refuse(status, None)
                elif where == "store":
                    self.content(hub._stored(path))
                elif path.startswith("/api/models/"):
                    name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
                    self.about(name, revision or "main", token)
                else:
                    name, _, rest = path.lstrip("/").partition("/resolve/")
                    revision, _, file = rest.partition("/")
                    self.resolve(name, revision, file, token)

            def about(self, name: str, revision: str, token: str | None) -> None:
                if (repo := self.readable(name, revision, token)) is None:
                    return
                siblings = []
                for file, data in repo.files.items():
                    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                    sibling = {"rfilename": file, "size": len(data), "blobId": git}
                    if len(data) >= LARGE:
                        digest = hashlib.sha256(data).hexdigest()
                        lfs = {"sha256": digest, "size": len(data), "pointerSize": 134}
                        sibling["lfs"] = lfs  # type: ignore[assignment]
                    siblings.append(sibling)
                if hub.moods.about is not None:
                    return self.answer(200, hub.moods.about, {"Content-Type": "application/json"})
                body = {"id": name, "modelId": name, "sha": repo.commit, "siblings": siblings}
                body["private"], body["gated"] = False, repo.gated
                self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

            def resolve(self, name: str, revision: str, file: str, token: str | None) -> None:
                if (repo := self.readable(name, revision, token)) is None:
                    return
                if file not in repo.files:
                    self.refuse(404, "EntryNotFound")
                elif len(repo.files[file]) >= LARGE:
                    digest = hashlib.sha256(repo.files[file]).hexdigest()
                    target = f"{hub.store_url}/{name}/{file}"
                    headers = {"Location": target, "ETag": f'"{digest}"'}
                    self.answer(302, b"", {**headers, "X-Repo-Commit": repo.commit})
                else:
                    self.content(hub.moods.changed.get(file, repo.files[file]))

            def readable(self, name: str, revision: str, token: str | None) -> Repo | None:
                repo = hub.repos.get(name)
                token = token and token.removeprefix("Bearer ")
                if token is not None and token not in hub.known_tokens:
                    message = "Invalid credentials in Authorization header"
                    self.refuse(401, None, message)
                elif repo is None:
                    self.refuse(404 if token else 401, "RepoNotFound")
                elif repo.readers and token not in repo.readers:
                    code = "GatedRepo" if repo.gated else "RepoNotFound"
                    self.refuse(403 if token and repo.gated else 401, code)
                elif revision not in ("main", "v1", repo.commit):
                    self.refuse(404, "RevisionNotFound")
                else:
                    return repo
                return None

            def content(self, data: bytes) -> None:
                """All of `data`, or the range that is asked for; as far as the mood lets it."""
                wanted = self.headers.get("Range")
                status, start, headers = 200, 0, {}
                if wanted and not hub.moods.ignores_ranges:
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if start >= len(data):
                        return self.refuse(416, None)
                    shown = start + hub.moods.from_another_byte
                    span = f"bytes {shown}-{len(data) - 1}/{len(data)}"
                    status, headers = 206, {"Content-Range": span}
                part = data[start:]
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(part))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if where == "store" and hub.moods.cut_after:
                    part = part[: hub.moods.cut_after.pop(0)]
                    self.close_connection = True
                half = len(part) // 2 if where == "store" else 0
                for piece in (part[:half], part[half:]):
                    self.wfile.write(piece)
                    self.wfile.flush()
                    hub.sent += len(piece) if where == "store" else 0
                    if where == "store":
                        hub.hold.wait(120)
                return None

            def refuse(self, status: int, code: str | None, message: str | None = None) -> None:
                named = {"X-Error-Code": code, "X-Error-Message": message}
                self.answer(status, b"{}", {key: text for key, text in named.items() if text})

            def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def _stored(self, path: str) -> bytes:
        name, _, file = path.lstrip("/").rpartition("/")
        return self.moods.changed.get(file, self.repos[name].files[file])
