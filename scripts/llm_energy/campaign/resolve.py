"""From a point of a group to an experiment."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from llm_energy.campaign.arrival_checks import arrival_faults
from llm_energy.campaign.catalogue import Catalogue
from llm_energy.campaign.declared_inputs import SyntheticPrompts
from llm_energy.campaign.expand import Point, axis_blocks, searched_axis, values_of
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.experiment_settings import Settings, flatten, nest
from llm_energy.campaign.gpu_settings import gpu_faults, layered
from llm_energy.campaign.identity import (
    PROTOCOL_VERSION,
    Declared,
    container_identity,
    hash_of_canonical,
)
from llm_energy.campaign.measurement_settings import NOT_IDENTIFYING
from llm_energy.campaign.problems import KeyPath, listed
from llm_energy.campaign.server_checks import length_faults, load_mode_faults, prompt_faults
from llm_energy.campaign.server_settings import server_identity
from llm_energy.campaign.setting_checks import WrongValues
from llm_energy.campaign.types import canonical
from llm_energy.system.files import sha256_of
from llm_energy.system.vocabulary import OPEN, WAVES

REFERENCES = ("backend", "model", "prompts")
NAMES = {*REFERENCES, "trace"}
"""Settings that are names: what they stand for identifies an experiment."""


@dataclass(eq=False)
class Resolver:
    """Makes experiments of points; adds what is wrong with one to the catalogue's problems."""

    catalogue: Catalogue
    wrong: WrongValues
    complete: bool
    """False where a setting may be missing because of a mistake that is reported already."""

    def __post_init__(self) -> None:
        self.config, self.problems = self.catalogue.config, self.catalogue.problems
        self.defaults = dict(flatten(self.config.defaults.declared()))
        self._axes_with = cache(self._values_of_axes)
        self._tokenized = cache(self._tokenized_prompts)
        measurement = self.config.measurement.model_dump(exclude=set(NOT_IDENTIFYING))
        self.measurement = canonical(measurement)

    def experiment(self, group: str, point: Point) -> Experiment | None:
        """Return the experiment of a point; None where something is wrong with it."""
        own = dict(flatten(self.config.experiments[group].settings.declared()))
        flat = layered(self.defaults, own, point.factors)
        missing = [key for key in REFERENCES if key not in flat]
        if missing and self.complete:
            message = f"has no {listed(missing)}; set it here or under defaults"
            self.problems.add(("experiments", group), message)
        if missing or self.wrong.among(flat) or flat["backend"] not in self.catalogue.tables:
            return None
        declared = nest(flat)
        table = self.catalogue.tables[flat["backend"]]
        options = table.resolve(declared.get("engine", {}).get(flat["backend"], {}))
        plain = {key: value for key, value in declared.items() if key != "engine"}
        settings = Settings.model_validate({**plain, "engine_options": options})
        self._check(group, point, settings)
        catalogue = self.catalogue
        environment = catalogue.environment(settings.backend)
        model = catalogue.model(settings.model, settings.backend)
        tokenizer = catalogue.tokenizer(settings.model)
        prompts = catalogue.prompts(settings.prompts)
        trace = catalogue.trace(settings.trace) if settings.trace else None
        if environment is None or model is None or tokenizer is None or prompts is None:
            return None
        server = catalogue.server(settings.backend)
        identified = {} if server is None else {"server": server_identity(server)}
        # All that identifies what is measured; nothing of it is known only later.
        own = {
            "backend": {
                "name": settings.backend,
                "environment": sha256_of(environment.identity),
                **container_identity(environment.config),
                **identified,
            },
            "settings": {k: v for k, v in settings.resolved().items() if k not in NAMES},
        }
        spec = {
            "protocol": PROTOCOL_VERSION,
            "model": model.canonical_identity,
            "tokenizer": tokenizer.canonical_identity,
            "prompts": prompts.canonical_identity,
            "measurement": self.measurement,
            **canonical(own),
        }
        if trace and settings.load_mode == OPEN:
            spec["trace"] = trace.canonical_identity
        return Experiment(
            name=point.name,
            group=group,
            settings=settings,
            factors=point.factors,
            declared=declared,
            spec=spec,
            spec_hash=hash_of_canonical(spec),
            environment=environment,
            model=model,
            tokenizer=tokenizer,
            prompts=self._tokenized(settings.prompts, settings.model),
            adapter=catalogue.adapter(settings.backend),
            server=server,
            trace=trace if settings.load_mode == OPEN else None,
        )

    def _tokenized_prompts(self, name: str, model: str) -> Declared:
        """Return a prompt set as it is identified once a model's tokenizer is known."""
        prompts, tokenizer = self.catalogue.prompts(name), self.catalogue.tokenizer(model)
        assert prompts is not None
        assert tokenizer is not None
        return replace(prompts, identity={**prompts.identity, "tokenizer": tokenizer.identity})

    def _check(self, group: str, point: Point, settings: Settings) -> None:
        """Add what the backend cannot do, and what does not fit the prompts."""
        searched = searched_axis(self.config.experiments[group]) is not None
        for key, message in self._faults(settings):
            path = self._origin(group, point, key)
            if not (searched and key == "request_rate" and path in self.problems):
                self.problems.add(path, message)  # of the rates of a search the first is enough

    def _faults(self, settings: Settings) -> Iterator[tuple[str, str]]:
        backend, batch = settings.backend, settings.batch_size
        table = self.catalogue.tables[backend]
        if settings.load_mode not in table.load_modes:
            known = listed(sorted(table.load_modes))
            yield "load_mode", f"{backend} has no load mode `{settings.load_mode}`; it has {known}"
        trace = self.catalogue.arrival_trace(settings.trace) if settings.trace else None
        yield from arrival_faults(settings, self.config.measurement, trace)
        yield from gpu_faults(settings.gpu, on_gpu=self.config.measurement.on_gpu)
        if settings.dtype not in ("auto", *table.dtypes):
            known = listed(dict.fromkeys(("auto", *table.dtypes)))
            yield "dtype", f"{backend} has no dtype `{settings.dtype}`; it has {known}"
        server = self.catalogue.server(backend)
        yield from load_mode_faults(backend, server, settings)
        yield from length_faults(backend, server, settings)
        if conflict := table.conflict(settings.engine_options):
            option, message = conflict
            yield f"engine.{backend}.{option}", message
        if settings.slots < batch:
            yield f"engine.{backend}.slots", f"must be at least {batch}, the batch size"
        prompts = self.config.prompts.get(settings.prompts)
        if prompts is None:
            return
        if server is not None:
            in_template = getattr(prompts, "chat_template", False)
            yield from prompt_faults(backend, server, settings, in_template=in_template)
        count = self.catalogue.prompt_count(settings.prompts)
        if count is not None and settings.load_mode == WAVES and count % batch:
            message = f"{count} prompts are no multiple of batch size {batch}; change one of them"
            yield "batch_size", message
        room, output = settings.context_tokens, settings.longest_output
        if output >= room:  # the length of most prompts is not known yet: a token or more
            message = f"{output} and a prompt do not fit into context_tokens {room}; change one"
            yield "output_tokens", message
        elif isinstance(prompts, SyntheticPrompts):
            length = prompts.synthetic.input_tokens
            if length + output > room:
                message = f"context_tokens {room} cannot hold prompts of {length} and the output"
                yield "context_tokens", message

    def _values_of_axes(self, group: str, key: str) -> list[tuple[KeyPath, frozenset[Any]]]:
        """The axes of a group that vary a key: where each stands, and its values."""
        blocks = axis_blocks(self.config.experiments[group])
        return [(at, frozenset(values_of(axes[key]))) for at, axes in blocks if key in axes]

    def _origin(self, group: str, point: Point, key: str) -> KeyPath:
        """Key that gives a setting its value in a point."""
        config = self.config.experiments[group]
        path: KeyPath = ("experiments", group)
        if key in point.factors:
            for where, values in self._axes_with(group, key):
                if point.factors[key] in values:
                    return (*path, *where, key)
            return (*path, "include")
        if key in dict(flatten(config.settings.declared())):
            return (*path, "settings", *key.split("."))
        return ("defaults", *key.split(".")) if key in self.defaults else path
