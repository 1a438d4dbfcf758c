"""Settings of all tests: real engines are found in what the workflow made ready, and hypothesis is
small unless HYPOTHESIS_PROFILE=large asks for more."""

import os
from collections.abc import Iterator
from pathlib import Path

import yaml
from hypothesis import HealthCheck, settings

from llm_energy.campaign.campaign import load_campaign
from llm_energy.system.cache import environment_marker, model_marker, read_marker

ROOT = Path(__file__).parents[1]
CAMPAIGNS = (ROOT / "config/config.yaml", *sorted((ROOT / "config/campaigns").glob("*.yaml")))

# No deadline and no "too slow": a busy machine is no fault. Function-scoped fixtures are only ever
# folders, which each example may write again.
patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# The small one has the same examples in each run, so that a failure is one of the change that is
# tested; the large one looks for new ones.
settings.register_profile("small", patient, max_examples=50, derandomize=True)
settings.register_profile("large", patient, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "small"))


def ready_engines() -> Iterator[tuple[str, str]]:
    """(variable, path) of each engine and of the model that the cache of this checkout holds."""
    for file in CAMPAIGNS:
        campaign = load_campaign(
            yaml.safe_load(file.read_text()),
            files=[file],
            root=ROOT,
            lock=ROOT / "config/models.lock.yaml",
            allow_unpinned=True,
        )
        for experiment in campaign.experiments:
            backend = experiment.settings.backend.upper().replace("-", "_")
            environment = environment_marker(experiment.environment.id, ROOT / ".cache")
            ready = read_marker(environment) if environment.exists() else None
            if ready and ready["kind"] != "image":
                yield f"LLM_ENERGY_TEST_{backend}_PYTHON", ready["python"]
            model = model_marker(experiment.model.id, ROOT / ".cache")
            if model.exists():
                marker = read_marker(model)
                name = {"gguf": "GGUF", "hf": "HF_MODEL"}[marker["format"]]
                yield f"LLM_ENERGY_TEST_{name}", str(model.parent / marker["path"])


def pytest_configure() -> None:
    """Name the engines in the environment, where the caller has not named others."""
    for variable, path in ready_engines():
        os.environ.setdefault(variable, path)
