"""Other tools read an archive's metadata: a validator, offline, and runcrate."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

TOOLS = Path(sys.executable).parent
PROFILE = "provenance-run-crate-0.5"
BUILT_ON = {
    "ro-crate-1.1",
    "process-run-crate-0.5",
    "workflow-ro-crate-1.0",
    "workflow-run-crate-0.5",
}

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld.gz",
    "https://w3id.org/ro/terms/workflow-run": "workflow-run.jsonld.gz",
}


class Vendored(HTTPAdapter):
    """Answers for the two addresses from `contexts/`."""

    def send(self, request: PreparedRequest, **_: Any) -> Response:  # type: ignore[override]
        path = Path(__file__).parent / "contexts" / CONTEXTS[str(request.url)]
        body = io.BytesIO(gzip.decompress(path.read_bytes()))
        headers = {"Content-Type": "application/ld+json"}
        answer = HTTPResponse(
            body, headers, status=200, preload_content=False, request_url=request.url
        )
        return self.build_response(request, answer)


def fill_cache(path: Path) -> Path:
    """The validator's own cache of what it fetches: with `--offline` it asks nobody else."""
    session = CachedSession(str(path), backend="sqlite", expire_after=-1)
    session.mount("https://", Vendored())
    for address in CONTEXTS:
        session.get(address).raise_for_status()
    session.close()
    return path


def validate(folder: Path, working_folder: Path) -> dict[str, Any]:
    """The validator's report on all that the profile requires, and those that it builds on."""
    cache, report = fill_cache(working_folder / "contexts"), working_folder / "validation.json"
    command = [
        str(TOOLS / "rocrate-validator"),
        "validate",
        "--offline",
        "--cache-path",
        str(cache),
    ]
    command += ["--profile-identifier", PROFILE, "--requirement-severity", "REQUIRED"]
    command += ["--output-format", "json", "--output-file", str(report), "--no-paging", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=working_folder)
    assert report.exists(), done.stdout + done.stderr
    content: dict[str, Any] = json.loads(report.read_text())
    return content


def assert_valid(folder: Path, working_folder: Path) -> None:
    """Every required check was made and passed."""
    told = validate(folder, working_folder)
    assert [issue["message"] for issue in told["issues"]] == []
    assert told["passed"]
    assert told["skipped_checks"] == 0
    assert set(told["statistics"]["profiles"]) == {PROFILE, *BUILT_ON}


def report(folder: Path) -> str:
    """Return the report of runcrate on the jobs."""
    command = [str(TOOLS / "runcrate"), "report", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
