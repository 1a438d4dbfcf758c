"""A small hub: the part of the Hugging Face hub's HTTP interface that downloads use.

Model description at a revision, file tree at a commit, and files with ETag, Range and redirects'
headers as huggingface_hub reads them. Refusals carry the hub's own `X-Error-Code`.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".safetensors", ".gguf", ".bin")
"""Files that the hub keeps as LFS objects, named by their sha256."""


@dataclass
class Repository:
    """One model repository with a single commit."""

    files: dict[str, bytes]
    commit: str = "a" * 40
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    private: bool = False
    token: str | None = None
    """The token that opens it, if it is gated or private."""
    break_after: int | None = None
    """Close the connection once after so many bytes of a large file."""
    damaged: set[str] = field(default_factory=set)
    """Files that are sent with other bytes of the same length."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]


class HubServer:
    """Serves `repositories` on a free port of loopback while the context lasts."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def downloads(self, name: str) -> list[Request]:
        """The requests for the content of one file."""
        return [r for r in self.requests if r.method == "GET" and r.path.endswith(f"/{name}")]

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[HubServer]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append(Request(self.command, path, dict(self.headers)))
        parts = path.removeprefix("api/models/").split("/")
        name = "/".join(parts[:2])
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self._may_read(repository)):
            self._refuse(401, "RepoNotFound")
            return
        match [*path.split("/")]:
            case ["api", "models", _, _]:
                self._describe(name, repository, "main")
            case ["api", "models", _, _, "revision", revision]:
                self._describe(name, repository, revision)
            case ["api", "models", _, _, "tree", revision]:
                self._list(repository, revision)
            case [_, _, "resolve", revision, *file]:
                self._send_file(repository, revision, "/".join(file))
            case _:
                self._refuse(404, "EntryNotFound")

    def _may_read(self, repository: Repository) -> bool:
        return self.headers.get("Authorization") == f"Bearer {repository.token}"

    def _known(self, repository: Repository, revision: str) -> bool:
        known = revision in (repository.commit, *repository.branches)
        if not known:
            self._refuse(404, "RevisionNotFound")
        return known

    def _describe(self, name: str, repository: Repository, revision: str) -> None:
        if self._known(repository, revision):
            siblings = [{"rfilename": file} for file in repository.files]
            self._send_json({"id": name, "sha": repository.commit, "siblings": siblings})

    def _list(self, repository: Repository, revision: str) -> None:
        if not self._known(repository, revision):
            return
        folders = {file.rpartition("/")[0] for file in repository.files} - {""}
        tree: list[dict[str, Any]] = [
            {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40} for folder in folders
        ]
        for file, content in repository.files.items():
            entry = {"type": "file", "path": file, "size": len(content), "oid": _blob(content)}
            if file.endswith(LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                lfs = {"size": len(content), "oid": sha256, "pointerSize": 134}
                entry |= {"oid": _blob(sha256.encode()), "lfs": lfs}
            tree.append(entry)
        self._send_json(tree)

    def _send_file(self, repository: Repository, revision: str, file: str) -> None:
        if not self._known(repository, revision):
            return
        if repository.gated and not self._may_read(repository):
            self._refuse(403 if "Authorization" in self.headers else 401, "GatedRepo")
            return
        if file not in repository.files:
            self._refuse(404, "EntryNotFound")
            return
        content = repository.files[file]
        large = file.endswith(LARGE)
        etag = hashlib.sha256(content).hexdigest() if large else _blob(content)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        sent = bytes(len(content)) if file in repository.damaged else content
        body = sent[start:] if self.command == "GET" else b""
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", whole)
        self.end_headers()
        if large and repository.break_after is not None and body:
            body, repository.break_after = body[: repository.break_after], None
            self.close_connection = True
        self.wfile.write(body)

    def _send_json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _blob(content: bytes) -> str:
    """Git's name of a content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub of our own on loopback, named by HF_ENDPOINT; nobody is logged in."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
