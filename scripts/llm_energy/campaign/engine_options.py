"""What the engines say of themselves: options, model formats, load modes, number formats.

A backend is a module scripts/worker/engines/NAME.py with a class `ENGINE`, and a folder envs/NAME.
Only the tables of that class are read here; no engine is imported.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from llm_energy.campaign.problems import listed, shown, unknown
from llm_energy.campaign.types import canonical_number

ENGINES = Path("scripts/worker/engines")


class EngineImportError(Exception):
    """An engine module that cannot be read; the message says why."""


@dataclass(frozen=True)
class EngineTable:
    """What one engine accepts."""

    options: Mapping[str, Any]
    """Option name -> `worker.engines.base.Option`."""
    model_formats: tuple[str, ...]
    load_modes: frozenset[str]
    dtypes: tuple[str, ...]
    conflict: Callable[[Mapping[str, Any]], tuple[str, str] | None]
    """`worker.engines.base.Engine.conflict` of the engine."""

    def fault(self, backend: str, name: str, value: Any) -> str | None:
        """What is wrong with an option's value; None if the engine takes it."""
        if name not in self.options:
            return unknown(f"option of {backend}", name, self.options)
        option = self.options[name]
        converted = _of_type(value, option.type)
        if type(converted) is not option.type:
            words = TYPE_WORDS.get(option.type, option.type.__name__)
            quotes = "; put it in quotes" if option.type is str else ""  # YAML reads on as true
            return f"must be {words}, not {shown(value)}{quotes}"
        if option.choices and converted not in option.choices:
            return f"must be one of {listed(option.choices)}, not {shown(value)}"
        if option.minimum is not None and converted < option.minimum:
            return f"must be at least {option.minimum:g}, not {shown(value)}"
        return None

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options that have a value: those given, else the defaults other than None."""
        values = {name: option.default for name, option in self.options.items()} | dict(given)
        return {
            name: _of_type(value, self.options[name].type)
            for name, value in values.items()
            if value is not None
        }


def available_backends(root: Path) -> list[str]:
    """The backends of a checkout, sorted."""
    modules = {path.stem for path in (root / ENGINES).glob("[a-z]*.py")} - {"base"}
    return sorted(name for name in modules if (root / "envs" / name).is_dir())


def read_engine(root: Path, backend: str) -> EngineTable:
    """The table of one backend.

    Raises:
        EngineImportError: its module cannot be imported or has no `ENGINE`.
    """
    path = root / ENGINES / f"{backend}.py"
    name = f"worker.engines.{backend}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up while it is imported
    try:
        spec.loader.exec_module(module)
        engine = module.ENGINE
        return EngineTable(
            options=engine.OPTIONS,
            model_formats=tuple(engine.MODEL_FORMATS),
            load_modes=frozenset(engine.LOAD_MODES),
            dtypes=tuple(engine.DTYPES),
            conflict=engine.conflict,
        )
    except Exception as error:
        raise EngineImportError(f"{type(error).__name__}: {error}") from error
    finally:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before


TYPE_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _of_type(value: Any, wanted: type) -> Any:
    """8.0 -> 8 for an option of type int, 8 -> 8.0 for one of type float."""
    if wanted is float and type(value) is int:
        return float(value)
    return canonical_number(value) if wanted is int else value
