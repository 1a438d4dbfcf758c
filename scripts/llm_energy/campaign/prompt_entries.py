"""Read the entries of a prompt file, whatever its form; they are parsed only if they are chosen."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.problems import listed, printable
from llm_energy.system.errors import PromptError

ACCEPTED = (
    "prompt files are lines of JSON (.jsonl), one JSON array (.json), either of them as .gz, or "
    "Parquet"
)

GZIP, PARQUET, UTF_8_MARK = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
"""First bytes of files that are read."""

REFUSED = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"ARROW1": "an Arrow file",
    b"\xff\xfe\x00\x00": "UTF-32 text; save it as UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32 text; save it as UTF-8",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}
"""First bytes of other files, and what they are; of two that fit, the first counts."""


@dataclass(frozen=True)
class Entry:
    """One entry of a prompt file."""

    place: str
    """File and line, for messages."""
    content: bytes
    """Its JSON text."""


def read_entries(path: Path) -> list[Entry]:
    """Read a prompt file of one of the accepted forms.

    Raises:
        PromptError: no such file, not of an accepted form, or nothing in it; one line that says
            what was found.
    """
    content = _content(path)
    if content.startswith(PARQUET):
        with _parquet(content, path) as file:
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            texts = (json.dumps(row, default=_plain).encode() for row in rows)
            entries = [Entry(f"{path}[{i}]", text) for i, text in enumerate(texts)]
    elif path.name.removesuffix(".gz").endswith(".json"):
        entries = _from_array(content, path)
    else:
        lines = enumerate(map(bytes.strip, content.splitlines()), start=1)
        entries = [Entry(f"{path}:{number}", line) for number, line in lines if line]
        _refuse_array(content, entries, path)
    if not entries:
        raise PromptError(f"{path}: has no prompts; correct `file`")
    return entries


def count_entries(path: Path) -> int:
    """Return the number of entries; of a Parquet file without reading them.

    Raises:
        PromptError: as `read_entries`.
    """
    content = _content(path)
    if not content.startswith(PARQUET):
        return len(read_entries(path))
    with _parquet(content, path) as file:
        return int(file.metadata.num_rows)


def _content(path: Path) -> bytes:
    """Return the content of a file, unpacked and without a byte order mark."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" or content.startswith(GZIP):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PromptError(f"{path}: not a whole gzip file; correct `file`") from error
    except OSError as error:
        raise PromptError(f"{path}: {error.strerror}; correct `file`") from error
    for start, found in REFUSED.items():
        if content.startswith(start):
            raise PromptError(f"{path}: is {found}; {ACCEPTED}")
    return content.removeprefix(UTF_8_MARK)


@contextmanager
def _parquet(content: bytes, path: Path) -> Iterator[Any]:
    """Yield a Parquet file; an error inside the block is one line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PromptError(f"{path}: not a whole Parquet file ({_first_line(error)})") from error


def _plain(value: object) -> object:
    """Return a value of a Parquet file that JSON does not have: some tools write texts as bytes.

    Bytes that are no text become numbers, so that they pass for no prompt.
    """
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return list(value)


def _from_array(content: bytes, path: Path) -> list[Entry]:
    try:
        values = json.loads(content)
        listing = isinstance(values, list)
        texts = [json.dumps(value).encode() for value in values] if listing else []
    except (ValueError, RecursionError) as error:
        lines = "Extra data" in str(error)
        remedy = "name a file with lines of JSON .jsonl; " if lines else ""
        message = f"{path}: not JSON in UTF-8 ({_first_line(error)}); {remedy}{ACCEPTED}"
        raise PromptError(message) from error
    if not listing:
        keys = f" with the keys {printable(listed(values))}" if isinstance(values, dict) else ""
        kind = f"a JSON object{keys}" if isinstance(values, dict) else "a single JSON value"
        raise PromptError(f"{path}: is {kind}, not a JSON array; {ACCEPTED}")
    return [Entry(f"{path}[{index}]", text) for index, text in enumerate(texts)]


def _refuse_array(content: bytes, entries: list[Entry], path: Path) -> None:
    """Refuse one JSON array in a file of lines; a line may be an array of texts itself."""
    if not content.lstrip().startswith(b"["):
        return
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return
    if len(entries) > 1 or any(isinstance(value, dict) for value in values):
        raise PromptError(f"{path}: is one JSON array; name it .json; {ACCEPTED}")


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().partition("\n")[0])
