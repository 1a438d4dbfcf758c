"""Declared servers of OpenAI's completions API: in a campaign, or in envs/NAME/server.yaml."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from llm_energy.campaign.types import (
    URL,
    Duration,
    EnvironmentVariable,
    Identifier,
    Model,
    Text,
    Whole,
)
from llm_energy.system.errors import first_fault

PRESET = "server.yaml"

Fields = dict[Text, Any]


class _Server(Model):
    tokenizer: Identifier
    """Backend whose adapter makes the token ids of prompts, in the environment of this one."""
    model_name: Text | None = None
    """Name of the model in requests. Default: the first that the server lists."""
    prompt: Literal["token_ids", "text", "chat"] = "token_ids"
    """Form of the prompts: token ids; their text, for a server that takes no ids; or that text as
    the message of a chat, for a server that has nothing else: docs/servers.md."""
    token_counts: Literal[
        "token_ids", "llama_cpp", "usage", "logprobs", "chunks", "usage_at_end", "retokenised"
    ] = "chunks"
    """Where a chunk of the stream tells how many tokens it brings: docs/servers.md."""
    streams: bool = True
    """False for a server that gives each answer whole: without time to first token and inter-token
    latency, and for the load mode `waves` alone: docs/servers.md."""
    request: Fields = Field(default_factory=dict)
    """Fields of every request beyond those of every server."""
    exact_length: Fields = Field(default_factory=dict)
    """Fields that make an answer exactly as long as requested; `{output_tokens}` is the length."""
    top_k_unlimited: Annotated[Whole, Field(ge=-1, le=0)] = 0
    """Value of `top_k` that keeps all tokens: 0 or -1."""
    prefix_cache: Literal["off", "unknown"] = "unknown"
    """State of the server's cache of prompts."""
    properties: dict[Identifier, Text] = Field(default_factory=dict)
    """Properties that are read from the live server, by name: path and dotted keys for JSON, or
    path and `METRIC{LABEL}` for Prometheus' text format."""
    stall_s: Duration = 300.0
    """Longest silence of the server about a request."""


class Launch(_Server):
    """A server that is started inside the backend, and ended with it."""

    command: Annotated[list[Text], Field(min_length=1)]
    """Its command, word by word; docs/servers.md has the places that are filled in."""
    variables: dict[EnvironmentVariable, str] = Field(default_factory=dict)
    """Environment variables of the server, with the places of the command. They are part of what is
    measured: no secrets."""
    ready: Annotated[str, Field(pattern="^/")] = "/health"
    """Path that it answers with 200 once it is ready."""
    environment: Identifier | None = None
    """Backend whose environment it runs in. Default: its own."""
    model_formats: Annotated[list[Literal["hf", "gguf"]], Field(min_length=1)] | None = None
    """Model formats that it reads. Default: those of `tokenizer`."""
    dtypes: list[Text] = Field(default_factory=lambda: ["auto"])
    """Values that `{dtype}` in the command may have."""
    memory: dict[Identifier, float | Text] = Field(default_factory=dict)
    """Settings that decide its memory, for preflight: an engine option by its name here, such as
    `tensor_parallel`, and the argument of the command that means the same (`ARGUMENT=DEFAULT`
    where the server has a default, `=VALUE` where no argument decides), or a fixed number."""


class Attach(_Server):
    """A server that runs already: it is neither started nor stopped."""

    url: Annotated[str, Field(pattern=URL)]
    """Its address, such as `http://127.0.0.1:8000`."""
    token_variable: EnvironmentVariable | None = None
    """Environment variable with the secret that it wants. The secret itself is stored nowhere."""
    ca_file: Text | None = None
    """PEM file with the authority of its certificate, for https. Default: those of the system."""
    gpus: Annotated[list[Text], Field(min_length=1)] | None = None
    """UUIDs of the GPUs of this host that it uses. Without them no energy is counted on a GPU."""


Server = Launch | Attach

NOT_MEASURED = {
    *("stall_s", "token_variable", "ca_file"),
    *("tokenizer", "environment", "model_formats", "dtypes", "memory"),
}
"""Keys that change nothing of what is measured, or are identified by other parts."""


def server_identity(server: Server) -> dict[str, Any]:
    """Return what identifies a server among the parts of an experiment."""
    return server.model_dump(mode="json", exclude=NOT_MEASURED, exclude_defaults=True)


class PresetError(Exception):
    """A file `server.yaml` that cannot be used; the message says why."""


def read_preset(folder: Path) -> Launch | None:
    """Return the server that a backend's folder declares, None where it declares none.

    Raises:
        PresetError: its file is no declaration of a server.
    """
    file = folder / PRESET
    if not file.is_file():
        return None
    try:
        return Launch.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise PresetError(f"{file} is no YAML: {error}") from error
    except ValidationError as error:
        raise PresetError(f"{file}: {first_fault(error)}") from error
