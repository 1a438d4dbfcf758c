"""Where the tests that need a real engine find it: in what the workflow itself made ready."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from llm_energy.campaign.campaign import load_campaign

ROOT = Path(__file__).parents[1]
CAMPAIGNS = (ROOT / "config/config.yaml", *sorted((ROOT / "config/campaigns").glob("*.yaml")))


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
            backend = experiment.settings.backend.upper()
            environment = ROOT / ".cache/environments" / experiment.environment_id / "ready.json"
            ready = json.loads(environment.read_text()) if environment.exists() else None
            if ready and ready["kind"] != "image":
                yield f"LLM_ENERGY_TEST_{backend}_PYTHON", ready["python"]
            model = ROOT / ".cache/models" / experiment.model_id / "ready.json"
            if model.exists():
                marker = json.loads(model.read_text())
                name = {"gguf": "GGUF", "hf": "HF_MODEL"}[marker["format"]]
                yield f"LLM_ENERGY_TEST_{name}", str(model.parent / marker["path"])


def pytest_configure() -> None:
    """What the caller's environment names wins over what is found."""
    for variable, path in ready_engines():
        os.environ.setdefault(variable, path)
