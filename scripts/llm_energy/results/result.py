"""The result of one measurement: its model, its file, and how it is read and written.

A result file is the completion marker of its measurement: it exists only when it is complete and
valid. What was not measured is `None` with a reason beside it, never 0.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from llm_energy.results.energy import Energy
from llm_energy.results.layout import REPLICATE, REPLICATE_NAME, place_of
from llm_energy.results.open_load import OpenLoad
from llm_energy.results.parts import (
    Drift,
    Environment,
    Flag,
    Int64,
    Latency,
    Model,
    Phase,
    ProcessState,
    PromptSet,
    SampleOutput,
    Settings,
    SideFile,
    Tokens,
    Warmup,
    Window,
)
from llm_energy.results.version_1 import upgraded
from llm_energy.system.errors import first_fault
from llm_energy.system.files import read_regular, sha256_of, write_new
from llm_energy.system.vocabulary import LoadMode

SCHEMA_VERSION: Final = 2
"""Raised when the layout of a result changes in a way that a reader must know about."""


class Result(Model):
    """One measurement: experiment × cycle."""

    schema_version: Literal[2]
    protocol_version: Int64
    """Version of the measuring protocol; results of different versions are different
    measurements."""
    status: Literal["completed", "out_of_memory"]
    """`completed`, or `out_of_memory`, which is an outcome too: then there is no window."""
    campaign: str
    """Name of the campaign."""
    experiment: str
    """Name of the experiment on the day it was measured: a label of the campaign's file."""
    cycle: Int64
    """Repetition of all experiments, from 1."""
    position: Int64
    """Rank in the planned order of the campaign, from 0."""
    started: str
    """When the measuring job began (ISO 8601, UTC)."""
    finished: str
    """When the measuring job ended (ISO 8601, UTC)."""
    attempt: Int64
    """Attempt that gave the result, from 1; earlier ones failed and have records under
    `failures/`."""
    spec_hash: str
    """First digits of the SHA-256 of all that determines the measurement (`spec`); part of the path
    of its file."""
    spec: dict[str, Any]
    """All that identifies what was measured, and is known before it."""
    settings: Settings
    """As declared, as resolved with all defaults, and as the live engine reports them."""
    prompts: PromptSet
    load_mode: LoadMode
    """`waves` (submit a batch, wait for it), `closed` (constant concurrency) or `open` (arrivals at
    a rate)."""
    phases: list[Phase]
    """The time line of the measurement."""
    environment: Environment
    """Engine, host, devices and code."""
    process: ProcessState | None
    """Age of backend and engine process, and how many jobs they had served."""
    window: Window | None
    tokens: Tokens | None
    output_tokens_per_second: float | None
    """Throughput: output tokens of the window over its duration."""
    requests_per_second: float | None
    """Requests that ended in the window over its duration."""
    latency: Latency | None
    warmup: Warmup | None
    drift: Drift | None
    """Inside the window."""
    energy: Energy
    flags: list[Flag]
    """Codes with a message each: see `results/codes.py`."""
    sample_outputs: list[SampleOutput]
    """Output token ids of the first 3 prompts."""
    side_files: dict[str, SideFile]
    """`requests` and, where metered, `series`."""
    open_load: OpenLoad | None = None
    """Rates, objectives and saturation in load mode `open`; None in others."""
    message: str | None = None
    """Message of the engine where memory ran out."""
    checksum: str | None = None
    """SHA-256 of the canonical JSON of all other keys; None in results that are older than it."""
    derived_on_reading: list[str] = Field(default=[], exclude=True)
    """Fields that were derived because the file is of schema version 1; never part of a file."""

    @property
    def of_server(self) -> bool:
        """True where the engine is a server, which sends tokens in chunks."""
        return "server" in self.spec.get("backend", {})

    @property
    def streamed(self) -> bool:
        """False where the engine is a server that gives each answer whole."""
        server = self.spec.get("backend", {}).get("server", {})
        return bool(server.get("streams", True))

    @model_validator(mode="before")
    @classmethod
    def _of_any_version(cls, content: Any) -> Any:
        old = isinstance(content, dict) and content.get("schema_version") == 1
        return upgraded(content) if old else content


class ResultError(ValueError):
    """A result file that cannot be used; the message names the file and says why."""


class ResultExistsError(Exception):
    """A result that another run wrote meanwhile."""


def read_result(path: Path) -> Result:
    """Read and check one result file.

    Raises:
        ResultError: not readable, not JSON, or not of a known schema version.
    """
    try:
        return Result.model_validate_json(read_regular(path))
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise ResultError(f"{path}: not a result: {first_fault(error)}") from error


def read_planned_result(campaign_folder: Path, path: str) -> Result:
    """A result that is valid and is the one that its path says.

    Args:
        path: of `llm_energy.results.layout.result_path`, relative to `campaign_folder`.

    Raises:
        ResultError: it is not.
    """
    file = campaign_folder / path
    result = read_result(file)
    try:
        place = place_of(path)
    except ValueError as error:
        raise ResultError(f"{file}: is the path of no result") from error
    of_spec = sha256_of(result.spec)[: len(place.spec_hash)]
    if place.spec_hash == replicate_hash(result):
        place = replace(place, spec_hash=of_spec)
    claims = {
        "spec hash": (result.spec_hash, place.spec_hash),
        "cycle": (result.cycle, place.cycle),
        "hash of its spec": (of_spec, place.spec_hash),
    }
    for name, (found, expected) in claims.items():
        if found != expected:
            raise ResultError(f"{file}: its {name} is {found}, its path says {expected}")
    return result


def replicate_hash(result: Result) -> str | None:
    """Return the hash under which an A/A control is found that still has the spec of its base.

    Older ones differ from it in their name alone; None for any other result.
    """
    if not result.experiment.endswith(REPLICATE_NAME) or REPLICATE.keys() <= result.spec.keys():
        return None
    return sha256_of({**result.spec, **REPLICATE})[: len(result.spec_hash)]


def write_result(path: Path, result: Result) -> None:
    """Write one result as the completion marker that it is: whole or not at all, and once.

    Raises:
        ResultExistsError: there is one, which stays as it is.
    """
    try:
        write_new(path, result_file(result))
    except FileExistsError as error:
        raise ResultExistsError(path) from error


def result_file(result: Result) -> bytes:
    """Return the content of a result's file, with its checksum.

    The checksum is part of the file, so that no interruption and no copy separates the two.
    """
    content = json.loads(result.model_dump_json())
    sealed = result.model_copy(update={"checksum": checksum_of(content)})
    return sealed.model_dump_json(indent=1).encode() + b"\n"


def checksum_of(content: Mapping[str, Any]) -> str:
    """Return the checksum that the content of a result's file must state."""
    return sha256_of({key: value for key, value in content.items() if key != "checksum"})
