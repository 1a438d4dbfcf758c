"""The target `preflight` through the real command: it tells, it writes, and it starts nothing."""

import copy
import json

import pytest

from tests.integration.docker import require_docker
from tests.integration.workflow import CAMPAIGN, Tree, in_containers
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Gpu, Scenario

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration

ON_GPU = {**CAMPAIGN, "measurement": {**CAMPAIGN["measurement"], "device": "gpu"}}
ON_GPU["measurement"]["minimum_duration_s"] = 10.0


def report(tree: Tree) -> dict[str, dict[str, str]]:
    """Finding by subject of what was written; the last of each."""
    content = json.loads((tree.folder / "results/nap/environment/preflight.json").read_text())
    assert content["campaign"] == "nap"
    return {finding["subject"]: finding for finding in content["findings"]}


def nothing_was_started(tree: Tree) -> bool:
    written = [path for path in (tree.folder / "results").rglob("*") if path.is_file()]
    return (
        tree.runs() == []
        and tree.processes() == []
        and not (tree.folder / ".cache").exists()
        and {path.name for path in written} <= {"preflight.json", "README.md"}
    )


def test_right_after_a_clone_it_tells_what_is_there_and_starts_nothing(fresh):
    done = fresh.run("preflight", check=True)
    found = report(fresh)
    lines = done.stdout.splitlines()
    for finding in found.values():
        words = (finding["status"], finding["subject"], finding["message"])
        assert any(all(word in line for word in words) for line in lines), finding
    assert "Campaign nap on this machine: " in done.stdout
    assert found["environment sleep"]["message"] == (
        "will be made from envs/sleep/requirements.txt"
    )
    assert found["model pillow"]["message"].startswith("your own, at pillow.gguf")
    assert found["memory of sleep"]["status"] == "unknown"  # it is no model, only called one
    assert "docker" not in found
    assert nothing_was_started(fresh)


def test_it_is_checked_again_each_time(fresh):
    fresh.run("preflight", check=True)
    (fresh.folder / "pillow.gguf").unlink()
    assert fresh.run("preflight").returncode != 0
    assert report(fresh)["model pillow"]["status"] == "problem"


def test_what_would_stop_the_run_ends_with_a_code_and_in_the_words_of_the_run(fresh):
    (fresh.folder / "pillow.gguf").unlink()
    done = fresh.run("preflight")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    problem = "model path pillow.gguf does not exist; correct `path`"
    assert problem in done.stdout
    assert "preflight: 1 of them would stop the run" in done.stdout
    assert nothing_was_started(fresh)
    assert problem in fresh.run().stdout


def test_a_campaign_on_gpus_needs_them(fresh, monkeypatch, nvml_library, tmp_path):
    fresh.write_campaign(ON_GPU)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_library.parent))
    monkeypatch.setenv(VARIABLE, str(Scenario([]).write(tmp_path / "none.txt")))
    assert fresh.run("preflight").returncode != 0
    assert report(fresh)["gpu"]["status"] == "problem"
    scenario = Scenario([Gpu(processes=((1, 0.0, 1e9),))])
    monkeypatch.setenv(VARIABLE, str(scenario.write(tmp_path / "one.txt")))
    done = fresh.run("preflight", check=True)
    assert Gpu().uuid in done.stdout
    assert "process 1 (" in done.stdout
    assert "SIMULATED" in report(fresh)["gpu energy"]["message"]
    assert nothing_was_started(fresh)


def test_a_docker_engine_that_is_silent_stops_a_campaign_in_containers(fresh, monkeypatch):
    fresh.write_campaign(in_containers(copy.deepcopy(CAMPAIGN)))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{fresh.folder}/none.sock")
    done = fresh.run("preflight")
    assert done.returncode != 0
    assert report(fresh)["docker"]["status"] == "problem"
    assert "the Docker engine does not answer" in done.stdout


def test_a_docker_engine_is_described_and_given_nothing_to_do(fresh):
    require_docker()
    campaign = in_containers(copy.deepcopy(CAMPAIGN), memory="512m")
    fresh.write_campaign(campaign)
    fresh.run("preflight")
    found = report(fresh)
    assert found["docker"]["facts"] == {} or found["docker"]["facts"]["version"]
    assert "environment sleep" in found
    assert nothing_was_started(fresh)
    campaign["measurement"] = ON_GPU["measurement"]
    fresh.write_campaign(campaign)
    fresh.run("preflight")
    assert report(fresh)["gpus in docker"]["status"] in ("ok", "problem", "warning")
