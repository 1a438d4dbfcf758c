"""From a point of a group to an experiment."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llm_energy.campaign.catalogue import Catalogue
from llm_energy.campaign.declared_inputs import SyntheticPrompts
from llm_energy.campaign.expand import Point, values_of
from llm_energy.campaign.experiment import Experiment, slots_of
from llm_energy.campaign.identity import PROTOCOL_VERSION, Declared, container_identity, short_hash
from llm_energy.campaign.problems import KeyPath, Problems, listed
from llm_energy.campaign.schema import DEADLINES, CampaignConfig
from llm_energy.campaign.settings import Settings, flatten, nest
from llm_energy.campaign.types import canonical
from llm_energy.system.files import sha256_of

REFERENCES = ("backend", "model", "prompts")


class Resolver:
    """Makes experiments of points; what is wrong with one is added to `problems`."""

    def __init__(
        self, config: CampaignConfig, catalogue: Catalogue, *, complete: bool, problems: Problems
    ) -> None:
        self.config = config
        self.catalogue = catalogue
        self.complete = complete
        """False where a setting may be missing because of a mistake that was told already."""
        self.problems = problems
        self.defaults = dict(flatten(config.defaults.declared()))
        self.measurement = config.measurement.model_dump(exclude=set(DEADLINES))

    def experiment(self, group: str, point: Point) -> Experiment | None:
        """The experiment of a point; None where something is wrong with it."""
        own = dict(flatten(self.config.experiments[group].settings.declared()))
        flat = {**self.defaults, **own, **point.factors}
        settings = self._settings(group, flat)
        if settings is None:
            return None
        catalogue = self.catalogue
        environment = catalogue.environment(settings.backend)
        model = catalogue.model(settings.model, settings.backend)
        tokenizer = catalogue.tokenizer(settings.model)
        prompts = catalogue.prompts(settings.prompts)
        self._check_engine(group, point, settings)
        self._check_prompts(group, point, settings)
        if environment is None or model is None or tokenizer is None or prompts is None:
            return None
        spec = self._spec(settings, environment, model, tokenizer, prompts)
        tokenized = {**prompts.identity, "tokenizer": tokenizer.identity}
        return Experiment(
            name=point.name,
            group=group,
            settings=settings,
            factors=point.factors,
            declared=nest(flat),
            spec=spec,
            spec_hash=short_hash(spec),
            environment=environment,
            model=model,
            tokenizer=tokenizer,
            prompts=Declared(name=prompts.name, config=prompts.config, identity=tokenized),
        )

    def _settings(self, group: str, flat: Mapping[str, Any]) -> Settings | None:
        missing = [key for key in REFERENCES if key not in flat]
        if missing and self.complete:
            message = f"has no {listed(missing)}; set it here or under defaults"
            self.problems.add(("experiments", group), message)
        if missing:
            return None
        nested = nest(flat)
        backend = nested["backend"]
        given = nested.pop("engine", {}).get(backend, {})
        table = self.catalogue.tables.get(backend)
        if table is None or any(table.fault(backend, name, given[name]) for name in given):
            return None  # told already
        nested["engine_options"] = table.resolve(given)
        try:
            return Settings.model_validate(nested)
        except ValidationError:
            return None  # told already, where the value stands

    def _spec(
        self,
        settings: Settings,
        environment: Declared,
        model: Declared,
        tokenizer: Declared,
        prompts: Declared,
    ) -> dict[str, Any]:
        """All that identifies what is measured; nothing of it is known only later."""
        spec: dict[str, Any] = canonical(
            {
                "protocol": PROTOCOL_VERSION,
                "backend": {
                    "name": settings.backend,
                    "environment": sha256_of(environment.identity),
                    **container_identity(environment.config),
                },
                "model": model.identity,
                "tokenizer": tokenizer.identity,
                "prompts": prompts.identity,
                "settings": settings.model_dump(exclude=set(REFERENCES)),
                "measurement": self.measurement,
            }
        )
        return spec

    def _check_engine(self, group: str, point: Point, settings: Settings) -> None:
        """Refuse a load mode, number format or options that the backend cannot do."""
        backend = settings.backend
        table = self.catalogue.tables[backend]
        if settings.load_mode not in table.load_modes:
            known = listed(sorted(table.load_modes))
            message = f"{backend} has no load mode `{settings.load_mode}`; it has {known}"
            self.problems.add(self._origin(group, point, "load_mode"), message)
        if settings.dtype not in ("auto", *table.dtypes):
            known = listed(dict.fromkeys(("auto", *table.dtypes)))
            message = f"{backend} has no dtype `{settings.dtype}`; it has {known}"
            self.problems.add(self._origin(group, point, "dtype"), message)
        if conflict := table.conflict(settings.engine_options):
            option, message = conflict
            self.problems.add(self._origin(group, point, f"engine.{backend}.{option}"), message)
        if slots_of(settings) < settings.batch_size:
            message = f"must be at least {settings.batch_size}, the batch size"
            key = f"engine.{backend}.slots"
            self.problems.add(self._origin(group, point, key), message)

    def _check_prompts(self, group: str, point: Point, settings: Settings) -> None:
        """Whole passes over the prompts need whole batches; exact lengths must fit."""
        prompts = self.config.prompts.get(settings.prompts)
        if prompts is None:
            return
        count = self.catalogue.prompt_count(settings.prompts)
        batch = settings.batch_size
        if count is not None and settings.load_mode == "waves" and count % batch:
            message = f"{count} prompts are no multiple of batch size {batch}; change one of them"
            self.problems.add(self._origin(group, point, "batch_size"), message)
        if isinstance(prompts, SyntheticPrompts):
            length, room = prompts.synthetic.input_tokens, settings.context_tokens
            if length + settings.output_tokens > room:
                message = f"context_tokens {room} cannot hold prompts of {length} and the output"
                self.problems.add(self._origin(group, point, "context_tokens"), message)

    def _origin(self, group: str, point: Point, key: str) -> KeyPath:
        """Where the value that a setting has in a point comes from."""
        config = self.config.experiments[group]
        path: KeyPath = ("experiments", group)
        if key in point.factors:
            blocks = [((*path, "axes"), config.axes)]
            blocks += [((*path, "linked", i), block) for i, block in enumerate(config.linked)]
            for where, block in blocks:
                if key in block and point.factors[key] in values_of(block[key]):
                    return (*where, key)
            return (*path, "include")
        if key in dict(flatten(config.settings.declared())):
            return (*path, "settings", *key.split("."))
        return ("defaults", *key.split(".")) if key in self.defaults else path
