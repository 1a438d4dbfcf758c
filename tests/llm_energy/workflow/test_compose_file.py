"""Campaigns that the target `compose` refuses, in one line."""

from pathlib import Path

import pytest
from tests.amd_smi_simulator.scenario import AmdGpu
from tests.llm_energy.make_campaigns import BASE, changed, load, make_checkout

from llm_energy.system.scripting import UserError
from llm_energy.workflow.compose_file import write_compose

IMAGE = {"image": f"sha256:{64 * '0'}"}
ON_SETS = {
    "parallel": {"devices": "all", "devices_per_measurement": 1},
    "measurement": {"device": "gpu"},
}


def in_container(config):
    config["backends"]["toy"] = {"runtime": "docker", "environment": IMAGE}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BASE, "campaign `trial`: no backend has `runtime: docker`, so there is nothing to write"),
        (
            changed(in_container) | ON_SETS,
            "campaign `trial`: `parallel` gives each set of GPUs containers of its own, which only "
            "a run has; leave it out",
        ),
    ],
)
def test_a_campaign_without_containers_that_outlive_a_run(tmp_path, monkeypatch, config, message):
    monkeypatch.chdir(tmp_path)
    campaign = load(make_checkout(tmp_path / "checkout"), config)
    with pytest.raises(UserError) as caught:
        write_compose(campaign, Path("results/trial"))
    assert str(caught.value) == message
    assert not Path("results").exists()


def test_containers_for_amd_gpus_which_none_would_get(tmp_path, monkeypatch, simulate_amd):
    simulate_amd(AmdGpu())
    monkeypatch.chdir(tmp_path)
    config = changed(in_container) | {"measurement": {"device": "gpu"}}
    campaign = load(make_checkout(tmp_path / "checkout"), config)
    with pytest.raises(UserError) as caught:
        write_compose(campaign, Path("results/trial"))
    assert str(caught.value) == (
        "campaign `trial`: backends.toy: no container gets AMD GPUs; use `runtime: process`"
    )
    assert not Path("results").exists()
