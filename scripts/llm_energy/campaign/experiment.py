"""Experiments and the measurements planned of them: what the workflow knows of a campaign."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from llm_energy.campaign.experiment_settings import Settings
from llm_energy.campaign.identity import Declared, hash_of_canonical
from llm_energy.campaign.server_settings import Server, server_identity
from llm_energy.campaign.types import canonical
from llm_energy.results.layout import result_path

MeasuredControl = Literal["a_a", "sampler_off", "neighbours"]
ControlKind = Literal["a_a", "idle", "sampler_off", "neighbours"]


@dataclass(frozen=True, eq=False)
class Experiment:
    """One configuration that is measured once in every cycle."""

    name: str
    """Label in the campaign's file: no part of what identifies it."""
    group: str
    settings: Settings
    factors: Mapping[str, Any]
    """The settings that vary in its group, dotted, with its values: for tables and figures."""
    declared: Mapping[str, Any]
    """The settings as the campaign's file gives them, without the defaults of the program."""
    spec: Mapping[str, Any]
    """All that identifies the experiment; see `identity.py`."""
    spec_hash: str
    environment: Declared
    """`config` is the `BackendConfig`."""
    model: Declared
    """`config` is the source in use; `identity` has the format that the backend gets."""
    tokenizer: Declared
    """`config` is the source whose tokenizer makes the token ids, for all backends the same."""
    prompts: Declared
    """`config` is the declared prompt set; `identity` its recipe and the tokenizer's identity."""
    adapter: str
    """Adapter that makes token ids in the environment: of the backend, if that is no server."""
    server: Server | None = None
    """The server that the backend is; None where it is none."""
    trace: Declared | None = None
    """`config` is the declared trace of arrivals; None where they are drawn."""
    control: MeasuredControl | None = None
    """Kind of control; None for an experiment of the campaign itself."""

    @property
    def engine_key(self) -> str:
        """Equal for experiments that one engine process can serve: all that it is loaded with.

        An A/A control has a process of its own, for processes are what it compares.
        """
        settings = self.settings
        loaded_with: dict[str, Any] = {
            "backend": settings.backend,
            "dtype": settings.dtype,
            "context_tokens": settings.context_tokens,
            "slots": settings.slots,
            "options": settings.engine_options,
            "seed": settings.sampling.seed,
        }
        own: dict[str, Any] = {"alone": self.spec_hash} if self.control == "a_a" else {}
        if self.server is not None:
            own["server"] = server_identity(self.server)
        if gpu := settings.gpu.declared():  # it was loaded, and may have tuned itself, under these
            own["gpu"] = gpu
        inputs = {
            "environment": self.environment.canonical_identity,
            "model": self.model.canonical_identity,
        }
        return hash_of_canonical(canonical(loaded_with | own) | inputs)

    @property
    def sampled(self) -> bool:
        """True where power is read in its windows."""
        return self.control != "sampler_off"

    @property
    def alone(self) -> bool:
        """True where nothing else of the run measures meanwhile."""
        return self.control == "neighbours"


@dataclass(frozen=True, eq=False)
class PlannedMeasurement:
    """One measurement of the plan: experiment × cycle."""

    experiment: Experiment
    cycle: int
    """From 1."""
    position: int
    """Rank in the planned order of the campaign, from 0."""

    @cached_property
    def result_path(self) -> str:
        """Path of its result, relative to the campaign's results folder."""
        return result_path(self.experiment.spec_hash, self.cycle)
