"""Check the GPUs that a campaign needs: for preflight, and for a run that starts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.preflight.asking import ask_all
from llm_energy.preflight.findings import Finding, problems
from llm_energy.preflight.gpu_findings import enough_findings
from llm_energy.preflight.gpus import Gpu, NoGpuError, read_gpus

NO_GPU = "measurement.device is gpu, but {reason}"


def uses_docker(campaign: Campaign) -> bool:
    return any(campaign.backends[name].in_container for name in backends_of(campaign))


def backends_of(campaign: Campaign) -> list[str]:
    """Return the backends that experiments use, in declared order."""
    return list(dict.fromkeys(e.settings.backend for e in campaign.experiments))


def no_gpu_finding(error: NoGpuError) -> Finding:
    return Finding("problem", "gpu", NO_GPU.format(reason=error))


def too_few_gpus(campaign: Campaign, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield a problem for each backend that needs more GPUs than there are, or than it gets."""
    for backend in backends_of(campaign):
        config = campaign.backends[backend]
        own = [e for e in campaign.experiments if e.settings.backend == backend]
        parallel = max(int(e.settings.engine_options.get("tensor_parallel", 1)) for e in own)
        wanted = config.container.gpus
        yield from enough_findings(backend, wanted, parallel, gpus)


def gpu_obstacles(campaign: Campaign) -> list[str]:
    """Return one line for each reason why the campaign cannot use the GPUs it measures on."""
    if not campaign.measurement.on_gpu:
        return []
    questions: dict[str, Callable[[], Any]] = {"gpus": read_gpus}
    if uses_docker(campaign):
        from llm_energy.preflight.docker_engine import ask_engine, toolkit_finding  # imports Docker

        questions["docker"] = ask_engine
    answers = ask_all(questions)
    found: list[Finding] = []
    if isinstance(answers["gpus"], NoGpuError):
        found.append(no_gpu_finding(answers["gpus"]))
    elif isinstance(answers["gpus"], list):
        found += too_few_gpus(campaign, answers["gpus"])
    if isinstance(answers.get("docker"), dict):  # a silent engine is reported with its images
        found.append(toolkit_finding(answers["docker"]))
    return [f"{finding.subject}: {finding.message}" for finding in problems(found)]
