"""Servers that take line protocol over HTTP: InfluxDB 1, InfluxDB 2 and 3, VictoriaMetrics.

The point `results` of a measurement is sent last: where it is, the measurement is there as a whole.
"""

import json
import os
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import urllib3

from llm_energy.campaign.export_target import ExportTarget
from llm_energy.export.channels import Measured
from llm_energy.export.line_protocol import Precision, lines, tags
from llm_energy.export.servers import ExportError, Server, Undisturbed

BATCH_LINES = 5000
"""Points of one request, as InfluxDB's documentation advises."""

TIMEOUT_S = 30.0
BUSY = (429, 503)
"""Answers of a server that has too much to do at the moment."""

PATIENCE_S = 300.0
"""Longest time that a busy server is waited for. Provisional."""

EVER_S = "1"
"""Start of all time in s: VictoriaMetrics takes 0 for no start, and lists what it has of today."""

FLUSH_S = 5.0
"""Time after which VictoriaMetrics finds what it was sent, without being made to."""


class LineServer:
    """A server of line protocol: address, credentials, and one request after the other."""

    precision: Precision = "ns"

    def __init__(self, target: ExportTarget) -> None:
        self.target = target
        self._pool = urllib3.PoolManager(
            headers={"Content-Type": "text/plain; charset=utf-8", **self.credentials()},
            timeout=TIMEOUT_S,
            retries=urllib3.Retry(2, read=0, redirect=0, status=0, backoff_factor=0.5),
        )

    def credentials(self) -> Mapping[str, str]:
        """Return headers with what the environment holds."""
        return {}

    def write_query(self) -> dict[str, str]:
        """Return path and query of the address that takes points."""
        raise NotImplementedError

    write_path = "/write"

    def send(self, measured: Measured, undisturbed: Undisturbed) -> None:
        """Write one measurement, one batch after the other: a busy server is waited for.

        Raises:
            ExportError: the server refuses, or stays busy.
        """
        points = lines(measured, self.precision)
        batch, waited_s, pause_s = list[str](), 0.0, 0.5
        while True:
            with undisturbed():
                batch = batch or list(islice(points, BATCH_LINES))
                if not batch:
                    return
                body = "\n".join(batch).encode()
                answer = self.request("POST", self.write_path, self.write_query(), body)
            if answer.status < 300:
                batch, waited_s, pause_s = [], 0.0, 0.5
                continue
            if answer.status not in BUSY:
                raise self.refusal(answer)
            if waited_s >= PATIENCE_S:
                raise ExportError(
                    f"{self.target.url} is too busy (HTTP {answer.status}, for {waited_s:.0f} s): "
                    "start the same command later, it sends what is missing"
                )
            wait_s = min(urllib3.Retry().get_retry_after(answer) or pause_s, PATIENCE_S)
            time.sleep(wait_s)
            waited_s, pause_s = waited_s + wait_s, min(2 * pause_s, 30.0)

    def sent(self, campaign: str) -> set[str]:  # noqa: ARG002
        """Return nothing where the same points overwrite and nothing says what is there."""
        return set()

    def close(self) -> None:
        self._pool.clear()

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Return the answer to one request, whatever its status but of a user's mistakes.

        Raises:
            ExportError: the server is not reached, or refuses the credentials.
        """
        address = f"{self.target.base}{path}?{urlencode(query)}"
        try:
            answer = self._pool.request(method, address, body=body)
        except urllib3.exceptions.HTTPError as error:
            raise ExportError(
                f"{self.target.url} cannot be reached ({_cause(error)}): start the server, or "
                "correct `export_to`"
            ) from error
        if answer.status in (401, 403):
            raise ExportError(
                f"{self.target.url} refuses the credentials (HTTP {answer.status}): set "
                f"{self.target.credentials} in the environment"
            )
        return answer

    def refusal(self, answer: urllib3.BaseHTTPResponse) -> ExportError:
        """Return the mistake that a server names."""
        return ExportError(f"{self.target.url} refuses (HTTP {answer.status}): {message(answer)}")


class InfluxDB1(LineServer):
    """InfluxDB 1: the same points sent twice overwrite."""

    def credentials(self) -> Mapping[str, str]:
        return basic("INFLUX_USERNAME", "INFLUX_PASSWORD")

    def write_query(self) -> dict[str, str]:
        return {"db": self.target.path[0], "precision": self.precision}

    def sent(self, campaign: str) -> set[str]:
        """Return the measurements whose result is there.

        Raises:
            ExportError: there is no such database.
        """
        query = {
            "db": self.target.path[0],
            # Not SHOW SERIES, which lists for a while what was dropped.
            "q": 'SELECT "completed" FROM "results" WHERE "campaign" = $campaign GROUP BY *',
            "params": json.dumps({"campaign": campaign}),
        }
        answer = self.request("GET", "/query", query)
        content = document(answer)
        results = content.get("results", [{}]) if isinstance(content, dict) else [{}]
        error = results[0].get("error")
        if answer.status != 200 or error:
            raise ExportError(f"{self.target.url} refuses: {error or message(answer)}")
        return {tags(series["tags"]) for series in results[0].get("series", [])}


class InfluxDB2(LineServer):
    """InfluxDB 2 or 3: everything is sent each time, because the same points overwrite."""

    write_path = "/api/v2/write"

    def credentials(self) -> Mapping[str, str]:
        token = os.environ.get("INFLUX_TOKEN")
        return {"Authorization": f"Token {token}"} if token else {}

    def write_query(self) -> dict[str, str]:
        organisation, bucket = self.target.path
        return {"org": organisation, "bucket": bucket, "precision": self.precision}


class VictoriaMetrics(LineServer):
    """VictoriaMetrics: milliseconds, and points sent twice are there twice.

    What an interrupted export left of a measurement is therefore deleted before it is sent again.
    """

    precision = "ms"

    def credentials(self) -> Mapping[str, str]:
        return basic("VM_USERNAME", "VM_PASSWORD")

    def write_query(self) -> dict[str, str]:
        return {"precision": self.precision}

    def sent(self, campaign: str) -> set[str]:
        return {tags(labels) for labels in self._found("results_completed", {"campaign": campaign})}

    def send(self, measured: Measured, undisturbed: Undisturbed) -> None:
        own = dict(measured.labels)
        if self._found('{__name__=~"(power|phases)_.+"}', own):
            with undisturbed():
                query = {"match[]": _selector('{__name__=~"(power|phases|results)_.+"}', own)}
                answer = self.request("POST", "/api/v1/admin/tsdb/delete_series", query)
            if answer.status >= 300:
                raise self.refusal(answer)
        super().send(measured, undisturbed)
        if not self._found("results_completed", own):
            raise ExportError(
                f"{self.target.url} took the points of {measured.result.started} and does not keep "
                "them: start it with a -retentionPeriod that covers them (its default is a month)"
            )

    def _found(self, name: str, labels: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the labels of each series that has these labels."""
        if self.request("GET", "/internal/force_flush", {}).status >= 300:
            time.sleep(FLUSH_S)
        query = {"match[]": _selector(name, labels), "start": EVER_S}
        answer = self.request("GET", "/api/v1/series", query)
        content = document(answer)
        if answer.status != 200 or not isinstance(content, dict):
            raise self.refusal(answer)
        return [{k: v for k, v in each.items() if k != "__name__"} for each in content["data"]]


LINE_SERVERS = {
    "influxdb": InfluxDB1,
    "influxdb2": InfluxDB2,
    "victoriametrics": VictoriaMetrics,
}


def line_server(target: ExportTarget) -> Server:
    """Return the server of line protocol that an address names."""
    return LINE_SERVERS[target.kind](target)


def basic(user: str, password: str) -> Mapping[str, str]:
    """Return the header of basic authentication, with what two environment variables hold."""
    if not (name := os.environ.get(user)):
        return {}
    return urllib3.make_headers(basic_auth=f"{name}:{os.environ.get(password, '')}")


def document(answer: urllib3.BaseHTTPResponse) -> Any:
    """Return the JSON of an answer; None where it is none."""
    try:
        return json.loads(answer.data)
    except ValueError:
        return None


def message(answer: urllib3.BaseHTTPResponse) -> str:
    """Return the first line of a server's own words."""
    content = document(answer)
    words = content.get("error") or content.get("message") if isinstance(content, dict) else None
    text = str(words or answer.data.decode(errors="replace")).strip()
    return text.splitlines()[0][:300] if text else "no reason given"


def _selector(name: str, labels: Mapping[str, str]) -> str:
    """Return a selector of series; the name may be one already."""
    pairs = [f"{key}={json.dumps(value)}" for key, value in labels.items()]
    if name.startswith("{"):
        return f"{name[:-1]},{','.join(pairs)}}}"
    return f"{name}{{{','.join(pairs)}}}"


def _cause(error: BaseException) -> str:
    """Return the reason under what a library wrapped around it."""
    reason: BaseException = getattr(error, "reason", None) or error
    cause = reason.__cause__ or reason.__context__ or reason
    text = getattr(cause, "strerror", None) or str(reason).split(": ", 1)[-1]
    return str(text)
