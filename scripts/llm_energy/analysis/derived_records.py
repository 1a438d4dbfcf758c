"""Records that follow from results, and are made again where they are missing."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from llm_energy.results.parts import Model
from llm_energy.results.result import ResultError
from llm_energy.system.files import read_regular, write_atomically

Record = TypeVar("Record", bound=Model)


def write_record(path: Path, record: Model) -> None:
    write_atomically(path, record.model_dump_json(indent=1).encode() + b"\n")


def read_record(kind: type[Record], path: Path) -> Record:
    """Read and check a record.

    Raises:
        ResultError: not readable, or no record of its kind; it may be deleted, and is made again.
    """
    try:
        return kind.model_validate_json(read_regular(path))
    except (OSError, ValidationError) as error:
        message = f"{path}: no {kind.__name__.lower()}; delete it, and it is made again"
        raise ResultError(message) from error
