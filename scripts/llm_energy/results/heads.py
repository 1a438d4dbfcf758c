"""The first keys of a result, for whoever looks at ten thousand of them."""

import contextlib
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from llm_energy.system.files import read_regular

HEAD_BYTES = 2048
KEYS = ("status", "experiment", "cycle", "started", "finished", "attempt", "spec_hash")
"""Keys of a result that stand in its first bytes, before its spec."""


def read_head(path: Path | str) -> Any:
    """Return the content of a result, of which only `KEYS` need be there.

    What follows them is not looked at where the file ends as JSON does: `verify` reads all of it.

    Raises:
        OSError: not readable, or no regular file.
        ValueError: no JSON.
    """
    content = read_regular(path)
    if content.endswith((b"}", b"}\n")):
        with contextlib.suppress(ValueError):  # cut inside a letter, or no JSON at all
            found = from_json(content[:HEAD_BYTES], allow_partial=True)
            # The last value may be cut.
            if isinstance(found, dict) and found.keys() - [*found][-1:] >= {*KEYS}:
                return found
    try:
        return from_json(content)
    except ValueError as error:
        raise ValueError(f"not a result: {error}") from error
