"""Where made inputs lie: one folder for each in the machine-local cache, and a marker in it.

A marker is written last: where it is, its input is whole. With a wildcard for the id, it is the
output of a rule, which Snakemake neither removes nor restores (`SnakemakeInternals.keep_as_left`):
the job that makes the input does so, under the lock of its folder.
"""

from pathlib import Path
from typing import Any

from llm_energy.system.errors import InputError
from llm_energy.system.files import DamagedError, read_object

CACHE = Path(".cache")
READY = "ready.json"
"""Name of a marker that describes what lies beside it."""


def environment_marker(environment_id: str, cache: Path = CACHE) -> Path:
    return cache / "environments" / environment_id / READY


def model_marker(model_id: str, cache: Path = CACHE) -> Path:
    return cache / "models" / model_id / READY


def prompts_marker(prompts_id: str, cache: Path = CACHE) -> Path:
    """The token ids themselves."""
    return cache / "prompts" / prompts_id / "prompts.json"


def until_made(made: Path, needed: Path) -> list[Path]:
    """Return the marker that is needed to make another one: none where that one is there."""
    return [] if made.exists() else [needed]


def read_marker(marker: Path, *needed: str) -> dict[str, Any]:
    """Return the content of a marker.

    Args:
        needed: keys that it must have.

    Raises:
        InputError: it is missing, damaged or not readable; one line with the remedy.
    """
    again = "start the same command again"
    try:
        return _in_place(marker, read_object(marker, *needed))
    except FileNotFoundError as error:
        raise InputError(f"{marker} is missing; {again}") from error
    except DamagedError as error:
        raise InputError(f"{marker} is damaged ({error}); remove it and {again}") from error


def _in_place(marker: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a marker with paths as they are now, also in a checkout that was moved:
    of an environment that was made beside it, and of a model in the working folder."""
    if content.get("kind") == "venv":
        return content | {"python": str(marker.parent.absolute() / "venv" / "bin" / "python")}
    if "local" in content:
        return content | {"path": str(Path(content["local"]).absolute())}
    return content
