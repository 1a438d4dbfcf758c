"""Check what a run of a campaign needs, before it spends minutes on making its inputs ready."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import HubSource, PathSource
from llm_energy.inputs import hub
from llm_energy.inputs.declared_backends import secret_variables
from llm_energy.inputs.environment import check_packages, installed_packages, own_interpreter
from llm_energy.inputs.models import OF_A_MODEL
from llm_energy.inputs.recipes import EnvironmentRecipe, ModelRecipe, PromptsRecipe, Recipes
from llm_energy.preflight.amd_findings import amd_findings
from llm_energy.preflight.asking import SilentError, ask_all, reason
from llm_energy.preflight.findings import Finding, problems
from llm_energy.preflight.gpu_control_findings import control_findings, limit_findings, sets_gpus
from llm_energy.preflight.gpu_findings import enough_findings
from llm_energy.preflight.gpu_sets import set_findings
from llm_energy.preflight.gpus import Answer, Gpu, NoGpuError, are_amd
from llm_energy.preflight.used_gpus import used_gpus
from llm_energy.system.cache import environment_marker, model_marker, prompts_marker, read_marker
from llm_energy.system.errors import InputError, ModelError

if TYPE_CHECKING:
    import docker


def obstacles(recipes: Recipes, *, cache: Path) -> list[str]:
    """Return one line for each input that cannot be made ready, or is no longer what it was.

    No registry is queried. A Docker engine that does not answer is one line.

    Args:
        cache: the folder `.cache`; what is ready there is not checked again.
    """
    lines = _refusals(_checks(recipes, cache))
    images = {name: e for name, e in recipes.environments.items() if e.in_image}
    if not images:
        return lines
    from llm_energy.inputs.image import docker_engine  # the Docker client

    try:
        with docker_engine() as client:
            checks = (
                partial(check_image, client, recipe, environment_marker(name, cache))
                for name, recipe in images.items()
            )
            return [*lines, *_refusals(checks)]
    except InputError as error:
        return [*lines, str(error)]


def prompt_obstacles(recipes: Recipes, *, cache: Path) -> list[str]:
    """Return one line for each set of prompts that is ready and longer than a context."""
    return _refusals(_checks_of_prompts(recipes, cache))


def _refusals(checks: Iterable[Callable[[], Any]]) -> list[str]:
    lines = []
    for check in checks:
        try:
            check()
        except InputError as error:
            lines.append(str(error))
    return lines


def _checks(recipes: Recipes, cache: Path) -> Iterator[Callable[[], Any]]:
    for name, recipe in recipes.environments.items():
        if recipe.kind == "interpreter":
            yield partial(check_interpreter, recipe)
        if recipe.kind == "venv" and environment_marker(name, cache).exists():
            yield partial(check_venv, environment_marker(name, cache))
    for name, model in recipes.models.items():
        marker = model_marker(name, cache)
        ready = partial(read_marker, marker, *OF_A_MODEL)
        yield ready if marker.exists() else partial(check_source, model, marker.parent)
    for name in recipes.conversions:
        if (marker := model_marker(name, cache)).exists():
            yield partial(read_marker, marker, *OF_A_MODEL)
    yield from _checks_of_prompts(recipes, cache)


def _checks_of_prompts(recipes: Recipes, cache: Path) -> Iterator[Callable[[], Any]]:
    for name, prompts in recipes.prompts.items():
        marker = prompts_marker(name, cache)
        if marker.exists():  # made for another campaign, whose contexts may be longer
            yield partial(check_prompts, prompts, marker)


def check_prompts(recipe: PromptsRecipe, marker: Path) -> None:
    """Check that prompts that are ready fit the contexts of this campaign."""
    recipe.room.check(read_marker(marker, "input_tokens")["input_tokens"]["maximum"])


def check_interpreter(recipe: EnvironmentRecipe) -> None:
    """Check that the user's interpreter works and has the pinned packages."""
    environment = own_interpreter(recipe.python, recipe.backend)
    declared = recipe.identity["packages_sha256"]
    check_packages(environment["python"], installed_packages(environment), declared=declared)


def check_venv(marker: Path) -> None:
    """Check that an environment that was made ready is still there."""
    python = read_marker(marker, "python")["python"]
    if not Path(python).exists():
        raise InputError(f"{python} is gone; remove {marker} and start the same command again")


def check_source(recipe: ModelRecipe, folder: Path) -> None:
    """Check that a model can be had: a local one exists, a gated one is open to this user."""
    source = recipe.source
    if isinstance(source, PathSource) and not Path(source.path).exists():
        raise ModelError(f"model path {source.path} does not exist; correct `path`")
    started = (folder / hub.LISTING).exists()  # access was proven then, and no network may be now
    if isinstance(source, HubSource) and not started:
        hub.check_access(source.hub, recipe.identity["revision"])


def check_image(client: "docker.DockerClient", recipe: EnvironmentRecipe, marker: Path) -> None:
    """Check that an image is there, or may become so."""
    from llm_energy.containers import images
    from llm_energy.inputs.base_image import DEBIAN, check_can_be_made, debian_tag
    from llm_energy.inputs.image import check_has_name, find_image

    if marker.exists():
        ready = read_marker(marker, "image", "reference")
        if images.find(client, ready["image"]) is None:
            raise InputError(
                f"the image {ready['reference']} of backend {recipe.backend} is gone from this "
                f"machine; remove {marker} and start the same command again"
            )
    elif find_image(client, recipe) is None:
        if recipe.kind == "image":
            check_has_name(recipe)
        elif recipe.base == DEBIAN and images.find(client, debian_tag(recipe.identity)) is None:
            check_can_be_made()


def uses_docker(campaign: Campaign) -> bool:
    return any(config.in_container for config in campaign.used_backends.values())


def no_gpu_finding(error: NoGpuError) -> Finding:
    return Finding("problem", "gpu", f"measurement.device is gpu, but {error}")


def too_few_gpus(campaign: Campaign, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield a problem for each backend that needs more GPUs than there are, or than it gets."""
    for backend, config in campaign.used_backends.items():
        own = [e for e in campaign.experiments if e.settings.backend == backend]
        parallel = max(int(e.settings.engine_options.get("tensor_parallel", 1)) for e in own)
        wanted: object = config.container.gpus
        if sets := campaign.parallel:  # too few for one are a fault of the sets, not of a backend
            wanted = min(sets.devices_per_measurement, sum(not gpu.lost for gpu in gpus))
        yield from enough_findings(backend, wanted, parallel, gpus)


def request_findings(campaign: Campaign, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield the findings about what a campaign asks of the GPUs beyond their number."""
    parallel = campaign.parallel
    used = used_gpus(campaign, campaign.used_backends, gpus)
    if are_amd(gpus):
        yield from amd_findings(campaign)
    else:
        yield from control_findings(campaign, used)
    if parallel:
        yield from set_findings(parallel, gpus)
        if not sets_gpus(campaign):
            yield from limit_findings(used)


def secret_findings(
    campaign: Campaign, backends: Iterable[str], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield one line for each variable with a secret that a backend needs, but for a container that
    runs already, which has its own."""
    for name in backends:
        if campaign.backends[name].attached is not None:
            continue
        for variable, key in secret_variables(campaign.backends[name]).items():
            subject = f"backends.{name}.{key}"
            if environment.get(variable):
                yield Finding("ok", subject, f"{variable} is set; its value is not recorded")
            else:
                yield Finding("problem", subject, f"{variable} is not set, or is empty; set it")


def secret_obstacles(
    campaign: Campaign, backends: Iterable[str], environment: Mapping[str, str]
) -> list[str]:
    """Return one line for each variable with a secret that a backend needs and that is not set."""
    found = problems(secret_findings(campaign, backends, environment))
    return [f"{finding.subject}: {finding.message}" for finding in found]


def gpu_obstacles(campaign: Campaign, gpus: Answer) -> list[str]:
    """Return one line for each reason why the campaign cannot use the GPUs it measures on.

    Args:
        gpus: what the driver shows.
    """
    if not campaign.measurement.on_gpu:
        return []
    found: list[Finding] = []
    if isinstance(gpus, NoGpuError):
        found.append(no_gpu_finding(gpus))
    elif not isinstance(gpus, Exception):
        found += too_few_gpus(campaign, gpus)
        found += request_findings(campaign, gpus)
    elif not isinstance(gpus, SilentError):  # which may only be slow
        message = f"the GPUs cannot be read: {reason(gpus)}"
        found.append(Finding("problem", "gpu", message))
    if uses_docker(campaign) and not are_amd(gpus):
        from llm_energy.preflight.docker_engine import ask_engine, toolkit_finding  # imports Docker

        engine = ask_all({"docker": ask_engine})["docker"]
        if isinstance(engine, dict):  # a silent one is reported with its images
            found.append(toolkit_finding(engine))
    return [f"{finding.subject}: {finding.message}" for finding in problems(found)]
