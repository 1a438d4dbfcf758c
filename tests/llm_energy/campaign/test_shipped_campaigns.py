"""Every campaign that comes with the workflow can be planned as it is.

One that needs an environment whose files do not exist would plan no measurement; a model or an
interpreter may be left to the `lock` target.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llm_energy.campaign.campaign import Campaign, load_campaign

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "config/config.yaml", *sorted((ROOT / "config/campaigns").glob("*.yaml"))]
FILES += [ROOT / ".test/config/config.yaml"]

per_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def load(file: Path) -> Campaign:
    return load_campaign(
        yaml.safe_load(file.read_text()),
        files=[file],
        root=ROOT,
        lock=ROOT / "config/models.lock.yaml",
        allow_unpinned=True,
    )


@per_file
def test_it_is_valid_and_all_that_misses_is_a_pin(file: Path) -> None:
    campaign = load(file)
    assert campaign.schedule
    assert all("is not pinned; pin it with" in line for line in campaign.unpinned)


@per_file
def test_its_reference_is_one_of_its_experiments(file: Path) -> None:
    campaign = load(file)
    assert campaign.reference in [experiment.name for experiment in campaign.experiments]


@per_file
def test_every_batch_takes_whole_passes_over_the_prompts(file: Path) -> None:
    for experiment in load(file).experiments:
        prompts = experiment.prompts.config.model_dump()
        count = prompts["limit"] if "limit" in prompts else prompts["synthetic"]["count"]
        assert count % experiment.settings.batch_size == 0


def test_the_campaign_for_gpus_says_that_it_was_never_run() -> None:
    text = (ROOT / "config/campaigns/gpu-three-backends.yaml").read_text()
    assert "IT WAS NEVER RUN" in text


@pytest.mark.integration
@per_file
def test_snakemake_plans_it(file: Path) -> None:
    command = [str(Path(sys.executable).parent / "snakemake"), "plan", "--cores", "1"]
    command += ["--profile", "workflow-profile", "--configfile", str(file)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert load(file).experiments[0].name in done.stdout + done.stderr
