"""What a schema cannot say of the values that settings may have: names, options, types."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from llm_energy.campaign.engine_options import EngineTable
from llm_energy.campaign.expand import values_of
from llm_energy.campaign.problems import KeyPath, Problems, unknown
from llm_energy.campaign.schema import CampaignConfig, Group, Image, Interpreter
from llm_energy.campaign.settings import DeclaredSettings, flatten, nest
from llm_energy.campaign.structure import message_of

MINIMUM_GPU_DURATION_S = 10.0
"""Below it the edges of the window cost more than 1 % at the update periods of GPU sensors."""

SECTIONS = {"backend": "backends", "model": "models", "prompts": "prompts"}
"""Setting -> section of the file that declares the names it may have."""

Value = tuple[KeyPath, str, Any]
"""Where a value stands, the dotted setting it is for, and the value."""


def declared_values(config: CampaignConfig) -> Iterator[Value]:
    """Every value that the campaign gives to a setting, wherever it stands."""
    yield from _of_block(("defaults",), config.defaults)
    for name, group in config.experiments.items():
        yield from _of_group(("experiments", name), group)


def _of_block(path: KeyPath, block: DeclaredSettings) -> Iterator[Value]:
    for key, value in flatten(block.declared()):
        yield (*path, *key.split(".")), key, value


def _of_group(path: KeyPath, group: Group) -> Iterator[Value]:
    yield from _of_block((*path, "settings"), group.settings)
    axes: list[tuple[KeyPath, Mapping[str, Any]]] = [((*path, "axes"), group.axes)]
    axes += [((*path, "linked", i), block) for i, block in enumerate(group.linked)]
    for where, block in axes:
        for key, values in block.items():
            for index, value in enumerate(values_of(values)):
                tail = (key, index) if isinstance(values, list) else (key,)
                yield (*where, *tail), key, value
    for section in ("exclude", "include"):
        for index, point in enumerate(getattr(group, section)):
            for key, value in point.items():
                yield (*path, section, index, key), key, value


def check_values(
    config: CampaignConfig,
    names: Mapping[str, set[str] | None],
    tables: Mapping[str, EngineTable],
    problems: Problems,
) -> None:
    """Check every declared value alone.

    Args:
        names: the names that `backends`, `models` and `prompts` declare; None where that section
            is none.
        tables: the engine tables of the backends that could be read.
    """
    for path, key, value in declared_values(config):
        if problems.at(path):
            continue  # the values of a range share one place
        if key.startswith("engine."):
            _, backend, option = key.split(".")
            _check_name("backend", backend, names["backends"], path, problems)
            if backend in tables and (fault := tables[backend].fault(backend, option, value)):
                problems.add(path, fault)
            continue
        try:
            DeclaredSettings.model_validate(nest({key: value}))
        except ValidationError as error:
            problems.add(path, message_of(error.errors()[0]))
            continue
        if key in SECTIONS:
            _check_name(key, value, names[SECTIONS[key]], path, problems)
    for name, model in config.models.items():
        for backend in model.sources:
            path = ("models", name, "sources", backend)
            _check_name("backend", backend, names["backends"], path, problems)


def _check_name(
    kind: str, name: str, known: set[str] | None, path: KeyPath, problems: Problems
) -> None:
    if known is not None and name not in known:
        problems.add(path, unknown(f"{kind} `{name}`", name, known))


def check_measurement(config: CampaignConfig, problems: Problems) -> None:
    """The limits of the durations that depend on the device."""
    measurement = config.measurement
    if measurement.device == "gpu" and measurement.minimum_duration_s < MINIMUM_GPU_DURATION_S:
        problems.add(
            ("measurement", "minimum_duration_s"),
            f"must be at least {MINIMUM_GPU_DURATION_S:g} on a GPU",
        )


def check_backends(config: CampaignConfig, problems: Problems) -> None:
    """Which keys of a backend belong together."""
    for name, backend in config.backends.items():
        path = ("backends", name)
        if backend.runtime == "process":
            for key in ("base", "container"):
                if key in backend.model_fields_set:
                    problems.add((*path, key), "is for runtime docker only; leave it out")
            if isinstance(backend.environment, Image):
                message = "an image needs a container; set runtime: docker"
                problems.add((*path, "environment"), message)
            continue
        if isinstance(backend.environment, Interpreter):
            message = "an interpreter of this host cannot run in a container; set runtime: process"
            problems.add((*path, "environment"), message)
        if backend.base is not None:
            if backend.environment != "managed":
                problems.add((*path, "base"), "is for a managed environment only; leave it out")
            elif backend.base.endswith(":latest"):
                message = "`latest` names no image for long; give a tag or digest"
                problems.add((*path, "base"), message)
        if config.measurement.device == "cpu" and backend.container.gpus is not None:
            problems.add((*path, "container", "gpus"), "needs `measurement: {device: gpu}`")
