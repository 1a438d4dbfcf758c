"""Traces of arrivals in their published forms: Azure LLM inference, BurstGPT, Mooncake.

Each has its own columns and units, and two of them have traps: Azure's time stamps have seven
decimals or a zone, and a BurstGPT request without response tokens failed.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from llm_energy.campaign.problems import listed, shown
from llm_energy.system.errors import PromptError

AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
BURSTGPT = ("Timestamp", "Model", "Request tokens", "Response tokens")
MOONCAKE = ("timestamp", "input_length", "output_length")
ACCEPTED = (
    f"a CSV file with the columns {', '.join(AZURE)} or {', '.join(BURSTGPT)}, or JSON lines with "
    f"{', '.join(MOONCAKE)}"
)


PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"BZh")
"""First bytes of files of gzip, zip, xz, zstd and bzip2."""


@dataclass(frozen=True)
class Row:
    """One request of a trace."""

    time_s: float
    input_tokens: int
    output_tokens: int
    model: str = ""


@dataclass(frozen=True)
class ArrivalTrace:
    """A trace from its first request on, in order."""

    rows: Sequence[Row]

    @property
    def span_s(self) -> float:
        """Time from the first request to a mean gap after the last."""
        count = len(self.rows)
        return self.rows[-1].time_s * count / (count - 1)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.rows) / self.span_s

    @property
    def longest(self) -> int:
        """Tokens of the longest request."""
        return max(row.input_tokens + row.output_tokens for row in self.rows)

    def stretch(self, *, seed: int, cycle: int, rate: float, length_s: float) -> list[Row]:
        """Return the requests of a stretch that seed and cycle choose, from its start.

        Of a lower rate than that of the trace, each request is kept by chance: their times stay.
        """
        chance = Random(f"{seed}/{cycle}/trace")
        start_s = chance.random() * max(0.0, self.span_s - length_s)
        kept = []
        for row in self.rows:
            draw = chance.random()
            if draw * self.rate < rate and start_s <= row.time_s < start_s + length_s:
                kept.append(Row(row.time_s - start_s, row.input_tokens, row.output_tokens))
        return kept


def read_trace(path: Path, *, model: str | None = None) -> ArrivalTrace:
    """Read a trace.

    Args:
        model: the model whose requests count, where the file has those of several.

    Raises:
        PromptError: not a trace, out of order, or of too few requests; one line with the remedy.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, file))
    except UnicodeDecodeError as error:
        reason = "compressed; unpack it" if _is_packed(path) else "not UTF-8; correct `file`"
        raise PromptError(f"{path}: {reason}") from error
    except (OSError, csv.Error) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise PromptError(f"{path}: {reason}; correct `file`") from error
    models = sorted({row.model for _, row in rows})
    if model is not None and model not in models:
        raise PromptError(f"{path}: has no model {model}; it has {listed(models)}")
    if model is None and len(models) > 1:
        raise PromptError(f"{path}: has requests of {listed(models)}; name one with `model`")
    # Without output tokens a request failed.
    counted = [
        (line, row) for line, row in rows if model in (None, row.model) and row.output_tokens > 0
    ]
    for (_, before), (line, row) in pairwise(counted):
        if row.time_s < before.time_s:
            raise PromptError(f"{path}:{line}: is earlier than the request before; sort the file")
    if len(counted) < 2 or counted[-1][1].time_s <= counted[0][1].time_s:
        raise PromptError(f"{path}: has too few requests at different times; correct `file`")
    first_s = counted[0][1].time_s
    return ArrivalTrace(
        [Row(row.time_s - first_s, row.input_tokens, row.output_tokens) for _, row in counted]
    )


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(PACKED)


def _rows(path: Path, file: Any) -> Iterator[tuple[int, Row]]:
    """Yield line and content of each request."""
    first = file.readline()
    file.seek(0)
    if first.lstrip().startswith("{"):
        numbered = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
        lines: Iterator[Any] = ((number, _parsed(line)) for number, line in numbered)
        columns: Sequence[str] = MOONCAKE
        make = _mooncake
    else:
        reader = csv.DictReader(file)
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        columns, make = (AZURE, _azure) if set(AZURE) <= set(names) else (BURSTGPT, _burstgpt)
        lines = ((reader.line_num, row) for row in reader)
        if not set(columns) <= set(names):
            found = f"the columns {shown(listed(names))}" if any(names) else "no columns"
            raise PromptError(f"{path}: has {found}; a trace is {ACCEPTED}")
    for number, content in lines:
        yield number, _row(path, number, content, columns, make)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _row(
    path: Path,
    number: int,
    content: Any,
    columns: Sequence[str],
    make: Callable[[Mapping[str, Any]], Row],
) -> Row:
    try:
        row = make(content)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        wanted = ", ".join(columns)
        raise PromptError(f"{path}:{number}: is no request with {wanted}; correct it") from error
    # Without output tokens a request failed, whatever its input.
    if row.output_tokens < 0 or (row.output_tokens and row.input_tokens < 1):
        raise PromptError(f"{path}:{number}: has a length below 1; correct or remove it")
    return row


def _azure(content: Mapping[str, Any]) -> Row:
    moment = datetime.fromisoformat(content["TIMESTAMP"].strip())
    time_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return Row(time_s, _whole(content["ContextTokens"]), _whole(content["GeneratedTokens"]))


def _burstgpt(content: Mapping[str, Any]) -> Row:
    lengths = (_whole(content["Request tokens"]), _whole(content["Response tokens"]))
    return Row(_finite(content["Timestamp"]), *lengths, content["Model"].strip())


def _mooncake(content: Mapping[str, Any]) -> Row:
    lengths = (_whole(content["input_length"]), _whole(content["output_length"]))
    return Row(_finite(content["timestamp"]) / 1e3, *lengths)


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    """Return a number of tokens: 374, `374` and `374.0`, but not 374.5."""
    number = _finite(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)
