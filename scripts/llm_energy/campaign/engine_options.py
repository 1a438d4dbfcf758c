"""Options, model formats, load modes and number formats of the engines.

A backend is a module scripts/worker/engines/NAME.py with a class `ENGINE`, and a folder envs/NAME.
Only the tables of that class are read here; no engine is imported.
"""

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from llm_energy.campaign.problems import listed, shown, unknown
from llm_energy.campaign.server_settings import (
    PRESET,
    Attach,
    Launch,
    Server,
)
from llm_energy.campaign.structure import message_of
from llm_energy.campaign.types import Model, canonical_number

ENGINES = Path("scripts/worker/engines")

SERVER_ADAPTER = "openai"
"""Adapter of every server."""


class EngineImportError(Exception):
    """An engine module that cannot be read; the message says why."""


@dataclass(frozen=True)
class EngineTable:
    """Settings that one engine accepts."""

    options: Mapping[str, Any]
    """Option name -> `worker.engines.base.Option`."""
    model_formats: tuple[str, ...]
    load_modes: frozenset[str]
    dtypes: tuple[str, ...]
    conflict: Callable[[Mapping[str, Any]], tuple[str, str] | None]
    """`worker.engines.base.Engine.conflict` of the engine."""

    def fault(self, backend: str, name: str, value: Any) -> str | None:
        """Return what is wrong with an option's value; None if the engine takes it."""
        if name not in self.options:
            return unknown(f"option of {backend}", name, self.options)
        option = self.options[name]
        try:
            converted = option_type(option).validate_python(value)
        except ValidationError as error:
            return message_of(error.errors()[0])
        if option.choices and converted not in option.choices:
            return f"must be one of {listed(option.choices)}, not {shown(value)}"
        return None

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options that have a value: those given, else the defaults but for None."""
        values = {name: option.default for name, option in self.options.items()} | dict(given)
        return {
            name: option_type(self.options[name]).validate_python(value)
            for name, value in values.items()
            if value is not None
        }


def _argument(word: str) -> str:
    """Return the argument that a word sets: `_` is `-` for many servers, `no-` its opposite."""
    return word.removeprefix("--").replace("_", "-").removeprefix("no-")


@dataclass(frozen=True)
class ServerTable(EngineTable):
    """Settings that a server accepts: any argument that its command does not have already."""

    server: Server

    def fault(self, backend: str, name: str, value: Any) -> str | None:  # noqa: ARG002
        if isinstance(self.server, Attach):
            return f"{backend} is attached: it was started with its arguments; remove it"
        given = {
            _argument(word.partition("=")[0]) for word in self.server.command if word[:2] == "--"
        }
        if _argument(name) in given:
            return f"is part of the command of {backend}; remove it here"
        return None

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: canonical_number(value) for name, value in given.items()}


@cache
def option_type(option: Any) -> TypeAdapter[Any]:
    """Return the type of an option's values, with its bounds."""
    bounded: Any = Annotated[option.type, Field(ge=option.minimum)]
    if option.type is int:
        bounded = Annotated[bounded, BeforeValidator(canonical_number)]
    return TypeAdapter(bounded, config=Model.model_config)


def available_backends(root: Path) -> list[str]:
    """Return the backends of a checkout that have an adapter of their own, sorted."""
    modules = {path.stem for path in (root / ENGINES).glob("[a-z]*.py")} - {"base"}
    return sorted(name for name in modules if (root / "envs" / name).is_dir())


def available_servers(root: Path) -> list[str]:
    """Return the backends of a checkout that are servers, sorted: envs/NAME declares each."""
    files = [*root.glob(f"envs/*/{PRESET}"), *root.glob(f"envs/*/gpu/{PRESET}")]
    return sorted({file.relative_to(root / "envs").parts[0] for file in files})


def read_server(root: Path, server: Server) -> ServerTable:
    """Return the table of a server.

    Raises:
        EngineImportError: the adapter that makes its token ids cannot be read.
    """
    tokenizer = read_engine(root, server.tokenizer)
    formats, dtypes = None, ["auto"]
    if isinstance(server, Launch):
        formats, dtypes = server.model_formats, server.dtypes
    return ServerTable(
        options={},
        model_formats=tuple(formats or tokenizer.model_formats),
        load_modes=read_engine(root, SERVER_ADAPTER).load_modes,
        dtypes=tuple(dtypes),
        conflict=lambda _: None,
        server=server,
    )


def read_engine(root: Path, backend: str) -> EngineTable:
    """Read the table of one backend.

    Raises:
        EngineImportError: its module cannot be imported or has no `ENGINE`.
    """
    try:
        module = runpy.run_path(
            str(root / ENGINES / f"{backend}.py"), run_name=f"worker.engines.{backend}"
        )
        engine = module["ENGINE"]
        return EngineTable(
            options=engine.OPTIONS,
            model_formats=tuple(engine.MODEL_FORMATS),
            load_modes=frozenset(engine.LOAD_MODES),
            dtypes=tuple(engine.DTYPES),
            conflict=engine.conflict,
        )
    except Exception as error:
        raise EngineImportError(f"{type(error).__name__}: {error}") from error
