"""The campaigns that come with the workflow are sound, and the default one is what it claims."""

from pathlib import Path

import pytest
import yaml

from llm_energy.campaign.campaign import load_campaign

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "config" / "config.yaml"
SHIPPED = [DEFAULT, *sorted((ROOT / "config" / "campaigns").glob("*.yaml"))]


def load(file):
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    lock = ROOT / "config" / "models.lock.yaml"
    return load_campaign(config, files=[file], root=ROOT, lock=lock)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_campaign_can_be_planned(file):
    campaign = load(file)
    assert len(campaign.schedule) == len(campaign.experiments) * campaign.cycles > 0
    assert campaign.unpinned == ()


def test_the_default_campaign_crosses_batch_size_and_output_length():
    campaign = load(DEFAULT)
    assert [experiment.name for experiment in campaign.experiments] == [
        "batch-by-length_batch1_out16",
        "batch-by-length_batch1_out48",
        "batch-by-length_batch4_out16",
        "batch-by-length_batch4_out48",
    ]
    assert campaign.cycles == 3
    assert campaign.experiment(campaign.reference).factors == {
        "batch_size": 1,
        "output_tokens": 16,
    }
    assert {experiment.settings.backend for experiment in campaign.experiments} == {"llamacpp"}


def test_an_experiment_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError, match="nobody"):
        load(DEFAULT).experiment("nobody")
