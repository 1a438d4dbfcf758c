"""Check whether the engines of a campaign fit into memory, as far as it can be known before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.server_settings import Launch
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.gpus import Gpu
from llm_energy.preflight.host_findings import Host
from llm_energy.preflight.memory_estimate import (
    FORMULA,
    Estimate,
    Room,
    UnknownFormatError,
    estimate,
    gpu_room,
    gpus_of,
    host_room,
)
from llm_energy.preflight.model_shape import Shape, ShapeError, read_shape
from llm_energy.system.numbers import gigabytes

SEQUENCES = (("{context_tokens}", "{slots}"), ("{total_context_tokens}",))
"""Places in a server's command that make it keep room for the declared sequences, and no more."""


@dataclass(frozen=True)
class Need:
    """The memory that one experiment needs, and the room for it; None where that is not known."""

    experiment: Experiment
    estimate: Estimate
    room: Room | None

    @property
    def fits(self) -> bool:
        return self.room is None or self.estimate.total_bytes <= self.room.limit_bytes

    def facts(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment.name,
            "weights_bytes": round(self.estimate.weights_bytes),
            "kv_bytes": round(self.estimate.kv_bytes),
            "limit_bytes": None if self.room is None else round(self.room.limit_bytes),
            "at_most": self.estimate.at_most,
            "fits": None if self.room is None else self.fits,
        }


def memory_findings(
    campaign: Campaign, *, host: Host, gpus: Sequence[Gpu], cache: Path
) -> Iterator[Finding]:
    """Yield one finding for each backend and model, with all their experiments in its facts.

    Args:
        gpus: of this machine; empty where NVML shows none.
    """
    pairs: dict[tuple[str, str], list[Experiment]] = {}
    for experiment in campaign.experiments:
        key = experiment.settings.backend, experiment.model.id
        pairs.setdefault(key, []).append(experiment)
    for (backend, _), experiments in pairs.items():
        subject = f"memory of {backend}"
        name = experiments[0].settings.model
        try:
            shape = read_shape(experiments[0].model, cache)
            if shape is None:
                yield Finding("unknown", subject, f"{name}: known when the model is here")
                continue
            needs = [_need(campaign, e, shape, host, gpus) for e in experiments]
        except (ShapeError, UnknownFormatError) as error:
            yield Finding("unknown", subject, f"{name}: cannot be estimated: {error}")
            continue
        yield _fit(subject, name, needs)
        yield from _context(subject, name, shape, experiments)


def _need(
    campaign: Campaign, experiment: Experiment, shape: Shape, host: Host, gpus: Sequence[Gpu]
) -> Need:
    settings = experiment.settings
    options, config = options_of(experiment), campaign.backends[settings.backend]
    found = estimate(
        shape,
        dtype=settings.dtype,
        context_tokens=settings.context_tokens,
        slots=experiment.settings.slots,
        options=options,
    )
    if not campaign.measurement.on_gpu:
        return Need(experiment, found, host_room(host, config))
    if options.get("gpu_layers", -1) >= 0:
        raise UnknownFormatError("gpu_layers splits the model between GPU and host")
    return Need(experiment, found, gpu_room(gpus_of(config, gpus), options, found.weights_bytes))


def options_of(experiment: Experiment) -> Mapping[str, Any]:
    """Return the engine options that decide memory; those of a server by what its arguments mean.

    Raises:
        UnknownFormatError: a server decides what these settings leave open.
    """
    server, given = experiment.server, experiment.settings.engine_options
    if server is None:
        return given
    if not isinstance(server, Launch):
        raise UnknownFormatError("the server runs already, with settings of its own")
    words = " ".join([*server.command, *server.variables.values()])
    if not any(all(place in words for place in places) for places in SEQUENCES):
        raise UnknownFormatError(
            "its command has neither {context_tokens} and {slots} nor {total_context_tokens}"
        )
    found: dict[str, Any] = {}
    known = set()
    for option, value in server.memory.items():
        argument, _, default = value.partition("=") if isinstance(value, str) else ("", "", value)
        known.add(argument)
        found[option] = given.get(argument, default)
    if unknown := sorted(given.keys() - known):
        raise UnknownFormatError(f"its argument --{unknown[0]} may change it (server.memory)")
    return {option: value for option, value in found.items() if value != ""}


def _fit(subject: str, name: str, needs: Sequence[Need]) -> Finding:
    largest = max(needs, key=lambda need: need.estimate.total_bytes)
    found, room = largest.estimate, largest.room
    facts = {"formula": FORMULA, "experiments": [need.facts() for need in needs]}
    about = "at most" if found.at_most else "about"
    parts = f"weights {gigabytes(found.weights_bytes)}, KV cache {gigabytes(found.kv_bytes)}"
    message = f"{name}: {about} {gigabytes(found.total_bytes)}"
    if room is not None:
        message += f" of {room.words}"
    message += f" ({parts}"
    message += f"; the largest of {len(needs)}: {largest.experiment.name})" if needs[1:] else ")"
    if room is None:
        return Finding("unknown", subject, f"{message}; how much there is, is not known", facts)
    too_large = [need for need in needs if not need.fits]
    if not too_large:
        return Finding("ok", subject, message, facts)
    verb = "may not fit" if found.at_most else "will not fit"
    remedy = "lower batch_size or context_tokens, or let it be recorded as out of memory"
    message += f"; {len(too_large)} of {len(needs)} experiments {verb}: {remedy}"
    return Finding("warning", subject, message, facts)


def _context(
    subject: str, name: str, shape: Shape, experiments: Sequence[Experiment]
) -> Iterator[Finding]:
    """Warn about experiments with longer sequences than the model is made for."""
    limit = shape.context_tokens
    longest = max(e.settings.context_tokens for e in experiments)
    if limit is not None and longest > limit:
        message = (
            f"{name} is made for sequences of {limit} tokens, context_tokens asks for {longest}: "
            "an engine may refuse it; lower context_tokens"
        )
        yield Finding("warning", subject.replace("memory", "context"), message)
