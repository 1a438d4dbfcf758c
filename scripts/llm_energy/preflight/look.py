"""Run every check of preflight and return the findings in reading order."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.inputs.recipes import ConversionRecipe, ModelRecipe, Recipes, campaign_recipes
from llm_energy.preflight.asking import SilentError, ask_all, reason
from llm_energy.preflight.chassis_findings import chassis_findings
from llm_energy.preflight.container_findings import container_findings
from llm_energy.preflight.disk import disk_findings, read_disks
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.fit import memory_findings
from llm_energy.preflight.gpu_control_findings import outstanding_findings
from llm_energy.preflight.gpu_findings import gpu_findings
from llm_energy.preflight.gpu_holders import holder_finding
from llm_energy.preflight.gpus import Gpu, NoGpuError, read_gpus
from llm_energy.preflight.host_findings import (
    cpu_energy_finding,
    host_findings,
    read_host,
    variable_findings,
)
from llm_energy.preflight.host_sensors import host_sensor_finding
from llm_energy.preflight.input_findings import environment_finding, model_finding
from llm_energy.preflight.memory_estimate import FORMULA
from llm_energy.preflight.obstacles import (
    no_gpu_finding,
    request_findings,
    secret_findings,
    too_few_gpus,
    uses_docker,
)
from llm_energy.preflight.server_findings import server_findings
from llm_energy.system.vocabulary import PROCESS


def look(campaign: Campaign, *, root: Path, results: Path, cache: Path) -> list[Finding]:
    """Check this machine for a campaign; nothing is started, made or fetched.

    Args:
        root: the checkout, with envs/.
        results: `results/{campaign}`, which need not exist.
        cache: `.cache`, which need not exist.
    """
    host = read_host()  # before the questions below are work of this machine
    recipes = campaign_recipes(campaign, root)
    inputs = dict(_about_inputs(campaign, recipes, root=root, cache=cache))
    answers = ask_all(_about_machine(campaign) | inputs)
    on_gpu = campaign.measurement.on_gpu
    gpus = answers["gpus"] if isinstance(answers["gpus"], list) else []
    gpus = [gpu for gpu in gpus if not gpu.lost]
    prepared = [_input_finding(name, answers[name]) for name in inputs]
    docker = answers.get("docker")
    docker_root = Path(docker["DockerRootDir"]) if isinstance(docker, dict) else None
    return [
        *host_findings(host),
        *(variable_findings(os.environ) if _runs_processes(campaign) else ()),
        *secret_findings(campaign, campaign.used_backends, os.environ),
        *_docker(campaign, docker, toolkit=on_gpu and not any(gpu.is_amd for gpu in gpus)),
        *_gpus(campaign, answers["gpus"]),
        *outstanding_findings(),
        cpu_energy_finding(cpu=host.cpu, needed=not on_gpu),
        *chassis_findings(campaign),
        host_sensor_finding(),
        *prepared,
        *server_findings(campaign),
        *container_findings(campaign, campaign.used_backends),
        *disk_findings(read_disks(cache, results, docker_root), prepared),
        *memory_findings(campaign, host=host, gpus=gpus, cache=cache),
        Finding("note", "memory", f"estimates: {FORMULA}"),
    ]


def _runs_processes(campaign: Campaign) -> bool:
    return any(config.runtime == PROCESS for config in campaign.used_backends.values())


def _about_machine(campaign: Campaign) -> dict[str, Callable[[], Any]]:
    on_gpu = campaign.measurement.on_gpu
    gpus = partial(read_gpus, probed=on_gpu)
    if not uses_docker(campaign):
        return {"gpus": gpus}
    from llm_energy.preflight.docker_engine import ask_engine  # imports Docker

    return {"gpus": gpus, "docker": ask_engine}


def _about_inputs(
    campaign: Campaign, recipes: Recipes, *, root: Path, cache: Path
) -> Iterator[tuple[str, Callable[[], Finding]]]:
    for name, recipe in recipes.environments.items():
        check = partial(environment_finding, name, recipe, root=root, cache=cache)
        yield f"environment {name}", check
    models: dict[str, ModelRecipe | ConversionRecipe] = {**recipes.models, **recipes.conversions}
    for name, model in models.items():
        declared = campaign.models.get(name.rpartition("-")[0])
        licence = declared.licence if declared else None
        yield f"model {name}", partial(model_finding, name, model, licence=licence, cache=cache)


def _input_finding(name: str, answer: Any) -> Finding:
    if isinstance(answer, Exception):
        message = f"could not be found out: {reason(answer)}"
        return Finding("unknown", name.rpartition("-")[0], message)
    assert isinstance(answer, Finding)
    return answer


def _docker(campaign: Campaign, answer: Any, *, toolkit: bool) -> Iterator[Finding]:
    if answer is None:
        return
    from llm_energy.preflight.docker_engine import engine_findings, toolkit_finding

    if isinstance(answer, Exception):
        silent = isinstance(answer, SilentError)
        message = f"the Docker engine gives {answer}; restart it" if silent else reason(answer)
        yield Finding("problem", "docker", message)
        return
    configs = campaign.used_backends.values()
    limits = any(config.container.memory is not None for config in configs)
    yield from engine_findings(answer, memory_limits=limits)
    if toolkit:
        yield toolkit_finding(answer)


def _gpus(campaign: Campaign, answer: Any) -> Iterator[Finding]:
    used = campaign.measurement.on_gpu
    match answer:
        case NoGpuError():
            yield no_gpu_finding(answer) if used else Finding("note", "gpu", f"none: {answer}")
        case Exception():
            yield Finding("unknown", "gpu", f"the driver: {reason(answer)}")
        case list():
            gpus: list[Gpu] = answer
            yield from gpu_findings(gpus, used=used)
            if used:
                yield from _holders(gpus)
                yield from too_few_gpus(campaign, gpus)
                yield from request_findings(campaign, gpus)


def _holders(gpus: Sequence[Gpu]) -> Iterator[Finding]:
    states = [gpu.reading.state for gpu in gpus if not gpu.is_amd]
    if states:  # those that compute are named with their GPU
        yield holder_finding([pid for s in states if s for pid in s.process_ids or ()])
