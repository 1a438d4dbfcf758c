"""Mistakes that a schema cannot find: names, engine options, and keys that do not fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from llm_energy.campaign.backend_settings import BackendConfig, Image, Interpreter
from llm_energy.campaign.campaign_file import CampaignConfig, HighestGood
from llm_energy.campaign.engine_options import EngineTable
from llm_energy.campaign.expand import axis_blocks, values_of
from llm_energy.campaign.experiment_settings import DeclaredSettings, flatten, nest
from llm_energy.campaign.problems import KeyPath, Problems, listed, unknown
from llm_energy.campaign.server_checks import attach_faults, launch_faults
from llm_energy.campaign.server_settings import Attach
from llm_energy.campaign.structure import message_of
from llm_energy.campaign.types import canonical_number
from llm_energy.system.variables import NOT_PASSED_ON, is_secret

MINIMUM_GPU_DURATION_S = 10.0
"""Below it the edges of the window cost more than 1 % at the update periods of GPU sensors."""

SECTIONS = {"backend": "backends", "model": "models", "prompts": "prompts", "trace": "traces"}
"""Setting -> section of the file that declares the names it may have."""


class WrongValues(set[tuple[str, str]]):
    """Values that a setting cannot have, whose mistakes are reported where they stand."""

    def note(self, key: str, value: Any) -> None:
        self.add((key, repr(canonical_number(value))))

    def among(self, settings: Mapping[str, Any]) -> bool:
        """Return whether one of the settings, given by dotted name, has such a value."""
        return bool(self) and any(
            (key, repr(canonical_number(settings[key]))) in self for key in settings
        )


def check_values(
    config: CampaignConfig,
    raw: Mapping[str, Any],
    tables: Mapping[str, EngineTable],
    problems: Problems,
) -> WrongValues:
    """Check what the models leave open of every value that a setting is given.

    Args:
        raw: the configuration with its mistakes: its names count, even those of broken entries.
        tables: the engine tables of the backends that could be read.
    """
    wrong = WrongValues()

    def check_name(kind: str, name: Any, path: KeyPath) -> None:
        known = raw.get(SECTIONS[kind])
        if isinstance(known, Mapping) and name not in (names := [str(one) for one in known]):
            problems.add(path, unknown(f"{kind} `{name}`", name, names))

    for path, key, value in _values_to_check(config):
        if path in problems:
            continue  # the values of a range share one place
        kind, name = ("backend", key.split(".")[1]) if key.startswith("engine.") else (key, value)
        if fault := _fault(key, value, tables):
            problems.add(path, fault)
            wrong.note(key, value)
        elif kind in SECTIONS:
            check_name(kind, name, path)
    for model_name, model in config.models.items():
        for backend in model.sources:
            check_name("backend", backend, ("models", model_name, "sources", backend))
    return wrong


def _values_to_check(config: CampaignConfig) -> Iterator[tuple[KeyPath, str, Any]]:
    """Yield where a value stands, the dotted setting it is for, and the value.

    Of the blocks of settings only names and engine options: their models checked the rest.
    """
    blocks: list[tuple[KeyPath, DeclaredSettings]] = [(("defaults",), config.defaults)]
    for name, group in config.experiments.items():
        path: KeyPath = ("experiments", name)
        blocks.append(((*path, "settings"), group.settings))
        for where, block in axis_blocks(group):
            for key, values in block.items():
                if isinstance(values, HighestGood) and key != "request_rate":
                    continue  # reported where axes are expanded
                listed = isinstance(values, list)
                for index, value in enumerate(values_of(values)):
                    yield (*path, *where, key, *([index] if listed else [])), key, value
        for section in ("exclude", "include"):
            for index, point in enumerate(getattr(group, section)):
                for key, value in point.items():
                    yield (*path, section, index, key), key, value
    for place, settings in blocks:
        for key, value in flatten(settings.declared()):
            if key in SECTIONS or key.startswith("engine."):
                yield (*place, *key.split(".")), key, value


def _fault(key: str, value: Any, tables: Mapping[str, EngineTable]) -> str | None:
    """Fault of the type or the range of a value."""
    if key.startswith("engine."):
        _, backend, option = key.split(".")
        return tables[backend].fault(backend, option, value) if backend in tables else None
    try:
        DeclaredSettings.model_validate(nest({key: value}))
    except ValidationError as error:
        return message_of(error.errors()[0])
    return None


def check_device(config: CampaignConfig, problems: Problems) -> None:
    """Check durations and backends against the device and the runtime."""
    gpu = config.measurement.on_gpu
    if gpu and config.measurement.minimum_duration_s < MINIMUM_GPU_DURATION_S:
        message = f"must be at least {MINIMUM_GPU_DURATION_S:g} on a GPU"
        problems.add(("measurement", "minimum_duration_s"), message)
    containers: dict[str, str] = {}
    for name, backend in config.backends.items():
        for key, message in _backend_faults(backend, gpu=gpu):
            problems.add(("backends", name, *key.split(".")), message)
        if backend.attached is None:
            continue
        if (first := containers.setdefault(backend.attached, name)) != name:
            message = f"is the container of {first} already; name another one"
            problems.add(("backends", name, "environment", "container"), message)


def check_parallel(config: CampaignConfig, problems: Problems) -> None:
    """Check the sets of GPUs that are measured on at once."""
    parallel = config.parallel
    if parallel is None:
        return
    if not config.measurement.on_gpu:
        problems.add(("parallel",), "needs `measurement: {device: gpu}`")
    for name, backend in config.backends.items():
        if backend.container.gpus is not None:
            message = "`parallel` gives each set its GPUs; leave it out"
            problems.add(("backends", name, "container", "gpus"), message)
        if isinstance(backend.server, Attach):
            message = "one that runs already cannot be that of each set; launch it, with `command`"
            problems.add(("backends", name, "server"), message)
        if backend.attached is not None:
            message = "one that runs already cannot be that of each set; leave it out"
            problems.add(("backends", name, "environment", "container"), message)
    if parallel.devices == "all":
        return
    size, path = parallel.devices_per_measurement, ("parallel", "devices")
    for index, uuid in enumerate(parallel.devices):
        if uuid.startswith("MIG-"):
            message = "a set may hold no slice of a GPU, whose energy is not known; give a GPU"
            problems.add((*path, index), message)
        elif uuid in parallel.devices[:index]:
            problems.add((*path, index), f"{uuid} is in the list already; leave it out")
    if over := len(parallel.devices) % size:
        message = f"{len(parallel.devices)} GPUs make no whole sets of {size}: {over} left over"
        problems.add(path, f"{message}; add some, or leave them out")


def _passed_faults(backend: BackendConfig) -> Iterator[tuple[str, str]]:
    """Yield why variables cannot be passed on: those that are recorded are no secrets."""
    if backend.pass_variables and isinstance(backend.server, Attach):
        message = "a server that runs already has an environment of its own; remove it"
        yield "pass_variables", message
        return
    for name in backend.pass_variables:
        if name.startswith(NOT_PASSED_ON):
            message = f"{name}: variables that begin with {listed(NOT_PASSED_ON)} are not passed on"
            yield "pass_variables", f"{message}; rename it"
        elif name in backend.container.environment:
            yield "pass_variables", f"{name} is in container.environment; leave one of them out"
        elif not is_secret(name):
            message = f"{name} has no name of a secret"
            remedy = "processes inherit it; remove it"
            if backend.in_container:
                remedy = "set it in container.environment, or rename it, such as to MINE_KEY"
            yield "pass_variables", f"{message}; {remedy}"


def _backend_faults(backend: BackendConfig, *, gpu: bool) -> Iterator[tuple[str, str]]:
    if isinstance(backend.server, Attach):
        if backend.in_container:
            yield "runtime", "a container has no network, and cannot reach a server outside; remove"
        yield from attach_faults(backend.server)
    elif backend.server is not None:
        yield from launch_faults(backend.server)
        if backend.managed and backend.server.environment is None:
            message = "a server of yours needs an environment of yours: an interpreter or an image"
            yield "environment", message
    yield from _passed_faults(backend)
    if not backend.in_container:
        for key in {"base", "container"} & backend.model_fields_set:
            yield key, "is for runtime docker only; leave it out"
        if isinstance(backend.environment, Image):
            yield "environment", "an image needs a container; set runtime: docker"
        if backend.attached is not None:
            yield "environment", "a container needs its runtime; set runtime: docker"
        return
    if isinstance(backend.environment, Interpreter):
        message = "an interpreter of this host cannot run in a container; set runtime: process"
        yield "environment", message
    if backend.base is not None and not backend.managed:
        yield "base", "is for a managed environment only; leave it out"
    elif backend.base is not None and backend.base.endswith(":latest"):
        yield "base", "`latest` names no image for long; give a tag or digest"
    if backend.container.gpus is not None and not gpu:
        yield "container.gpus", "needs `measurement: {device: gpu}`"
