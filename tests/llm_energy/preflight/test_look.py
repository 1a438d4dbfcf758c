"""Environments, models and memory of whole campaigns: what is ready, made, fetched, or missing."""

import copy
import json
from functools import partial
from pathlib import Path

import pytest
from tests.llm_energy.inputs.hub_server import Repository, hub_server
from tests.llm_energy.make_campaigns import BASE, COMMIT, SHA, load, make_checkout
from tests.llm_energy.preflight.made_machines import QUIET, gpu
from tests.nvml_simulator.scenario import Gpu

from llm_energy.inputs.recipes import campaign_recipes
from llm_energy.power.sensor_probe import probe
from llm_energy.preflight.fit import memory_findings
from llm_energy.preflight.gpus import ask_gpus
from llm_energy.preflight.look import look
from llm_energy.preflight.obstacles import gpu_obstacles, secret_findings, secret_obstacles

__all__ = ["hub_server"]

GPU_TIMES = {"device": "gpu", "minimum_duration_s": 10.0}
CONFIG = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}
WEIGHTS = b"w" * 1000


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".cache"


def campaign_of(tmp_path, **changes):
    root = tmp_path / "checkout"
    if not root.exists():
        make_checkout(root)
    return load(root, {**copy.deepcopy(BASE), **changes})


def seen(tmp_path, cache, **changes):
    """Findings by subject; those that are told of several things are lists."""
    found = look(
        campaign_of(tmp_path, **changes),
        root=tmp_path / "checkout",
        results=tmp_path / "results",
        cache=cache,
    )
    subjects: dict[str, list] = {}
    for finding in found:
        json.dumps(dict(finding.facts))  # all of it can be written
        subjects.setdefault(finding.subject, []).append(finding)
    return subjects


def hub_models(**source):
    source = {"hub": "org/m", "revision": COMMIT, **source}
    return {"small": {"licence": "MIT", "source": source}}


def make_ready(tmp_path, cache, **changes):
    """Markers of all inputs; the model is a tiny folder."""
    campaign = campaign_of(tmp_path, **changes)
    plans = campaign_recipes(campaign, tmp_path / "checkout")
    for name in plans.environments:
        folder = cache / "environments" / name
        python = folder / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        ready = {"kind": "venv", "python": str(python), "engine_version": "toy 1.0"}
        (folder / "ready.json").write_text(json.dumps(ready | {"python_version": "3.11.7"}))
    for name in plans.models:
        folder = cache / "models" / name
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "config.json").write_text(json.dumps(CONFIG))
        files = {"config.json": {"size": 300}, "model.safetensors": {"size": 10**9}}
        content = {"path": "files", "format": "hf", "files": files, "identity": {}}
        (folder / "ready.json").write_text(json.dumps(content))


BOXED = {
    "models": hub_models(),
    "defaults": {"backend": "boxy", "model": "small", "prompts": "short", "context_tokens": 1024},
}


def test_right_after_a_clone_everything_is_still_to_be_made(tmp_path, cache):
    found = seen(tmp_path, cache)
    (environment,) = found["environment toy"]
    assert environment.status == "note"
    assert environment.message == "will be made from envs/toy/requirements.txt"
    (model,) = found["model small"]
    assert model.message == (
        "will be fetched from the package tiny==1.0, size known when it is fetched, "
        "licence not declared"
    )
    (memory,) = found["memory of toy"]
    assert memory.status == "unknown"
    assert found["disk"][0].facts["needed_unknown"] == ["environment toy", "model small"]
    assert "docker" not in found
    assert not cache.exists()
    assert not (tmp_path / "results").exists()


def test_what_is_ready_is_reported_with_its_size_and_version(tmp_path, cache):
    make_ready(tmp_path, cache, **BOXED)
    found = seen(tmp_path, cache, **BOXED)
    assert found["environment boxy"][0].message == "ready: toy 1.0, Python 3.11.7"
    assert found["model small"][0].message == "ready: 1.0 GB as hf, licence MIT"
    assert found["disk"][0].facts["needed_unknown"] == []


def test_an_environment_whose_interpreter_is_gone_is_a_problem(tmp_path, cache):
    make_ready(tmp_path, cache, **BOXED)
    for python in cache.glob("environments/*/venv/bin/python"):
        python.unlink()
    (found,) = seen(tmp_path, cache, **BOXED)["environment boxy"]
    assert found.status == "problem"
    assert "is gone; remove " in found.message


def test_a_model_of_the_hub_is_reported_with_what_is_to_be_fetched(tmp_path, cache, hub_server):
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "notes.md": b"#"}
    hub_server.repositories["org/m"] = Repository(files, commit=COMMIT)
    found = seen(tmp_path, cache, **BOXED)
    (model,) = found["model small"]
    assert model.status == "note"
    assert f"will be fetched from hub:org/m at {COMMIT[:12]}, " in model.message
    assert model.facts["to_fetch_bytes"] == 1002
    assert found["disk"][0].facts["needed_bytes"] == 1002
    assert not hub_server.downloads("model.safetensors")
    assert not hub_server.downloads("config.json")


def test_a_gated_model_is_a_problem_in_the_words_of_the_run(tmp_path, cache, hub_server):
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS}
    hub_server.repositories["org/m"] = Repository(files, commit=COMMIT, gated=True)
    (model,) = seen(tmp_path, cache, **BOXED)["model small"]
    assert model.status == "problem"
    assert "accept its licence at https://huggingface.co/org/m" in model.message


def test_a_hub_that_cannot_be_reached_is_reported_at_once(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    (model,) = seen(tmp_path, cache, **BOXED)["model small"]
    assert model.status == "problem"
    assert "the hub cannot be reached" in model.message


def test_a_local_model_that_is_missing_is_a_problem(tmp_path, cache):
    models = {"small": {"source": {"path": "/none.gguf", "sha256": SHA["a"]}}}
    (model,) = seen(tmp_path, cache, models=models)["model small"]
    assert model.status == "problem"
    assert model.message == "model path /none.gguf does not exist; correct `path`"


def test_a_silent_docker_engine_is_a_problem(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    backends = {"toy": {"runtime": "docker"}}
    (tmp_path / "checkout").exists() or make_checkout(tmp_path / "checkout")
    (tmp_path / "checkout/envs/toy/Dockerfile").write_text("FROM scratch\n")
    found = seen(tmp_path, cache, backends=backends)
    assert found["docker"][0].status == "problem"
    assert "does not answer" in found["docker"][0].message
    assert found["environment toy"][0].status == "problem"


class TestGpuCampaign:
    def test_without_a_gpu_it_is_a_problem_and_a_run_says_the_same(self, tmp_path, cache, simulate):
        simulate()
        (found,) = seen(tmp_path, cache, measurement=GPU_TIMES)["gpu"]
        assert found.status == "problem"
        campaign = campaign_of(tmp_path, measurement=GPU_TIMES)
        assert gpu_obstacles(campaign, ask_gpus()) == [f"gpu: {found.message}"]

    def test_with_one_nothing_is_in_the_way(self, tmp_path, cache, simulate, monkeypatch):
        monkeypatch.setattr("llm_energy.preflight.gpus.probe", partial(probe, duration_s=0.5))
        simulate(Gpu(name="Board 9000"), driver="580.00")
        found = seen(tmp_path, cache, measurement=GPU_TIMES)
        assert {f.status for f in found["gpu"]} == {"ok"}
        assert found["cpu energy"][0].status in ("ok", "note")
        assert gpu_obstacles(campaign_of(tmp_path, measurement=GPU_TIMES), ask_gpus()) == []

    def test_a_campaign_on_the_cpu_needs_none(self, tmp_path, cache, simulate):
        simulate()
        assert seen(tmp_path, cache)["gpu"][0].status == "note"
        assert gpu_obstacles(campaign_of(tmp_path), ask_gpus()) == []


class TestMemory:
    def found(self, tmp_path, cache, *, host=QUIET, gpus=(), **changes):
        settings = {**BOXED, **changes}
        make_ready(tmp_path, cache, **settings)
        campaign = campaign_of(tmp_path, **settings)
        return list(memory_findings(campaign, host=host, gpus=gpus, cache=cache))

    def test_the_largest_is_reported_and_all_are_in_the_facts(self, tmp_path, cache):
        (found,) = self.found(tmp_path, cache)
        assert found.status == "ok"
        assert found.message.startswith(
            "small: about 1.0 GB of the 200 GB available of 256 GB (weights 1.0 GB, KV cache 1 MB; "
            "the largest of 4: sweep_batch4"
        )
        kv = [e["kv_bytes"] for e in found.facts["experiments"]]
        assert sorted(set(kv)) == [2 * 2 * 2 * 16 * 2 * 1024 * slots for slots in (1, 4)]

    def test_what_will_not_fit_is_a_warning(self, tmp_path, cache):
        found = self.found(tmp_path, cache, gpus=[gpu(1, 1_000_300_000)], measurement=GPU_TIMES)
        assert found[0].status == "warning"
        assert "2 of 4 experiments will not fit" in found[0].message
        assert [e["fits"] for e in found[0].facts["experiments"]].count(False) == 2

    def test_without_a_gpu_that_tells_its_memory_it_stays_open(self, tmp_path, cache):
        (found,) = self.found(tmp_path, cache, measurement=GPU_TIMES)
        assert found.status == "unknown"
        assert "KV cache 1 MB" in found.message

    def test_sequences_that_the_model_is_not_made_for_are_a_warning(self, tmp_path, cache):
        defaults = {**BOXED["defaults"], "context_tokens": 5000}
        found = self.found(tmp_path, cache, defaults=defaults)
        assert found[1].subject == "context of boxy"
        assert "made for sequences of 4096 tokens" in found[1].message

    def test_a_file_that_is_no_model_is_unknown(self, tmp_path, cache):
        path = tmp_path / "m.gguf"
        path.write_bytes(b"GGUF, or so they say")
        models = {"small": {"source": {"path": str(path), "sha256": SHA["a"]}}}
        campaign = campaign_of(tmp_path, models=models)
        (found,) = memory_findings(campaign, host=QUIET, gpus=(), cache=cache)
        assert found.status == "unknown"
        assert "cannot be estimated" in found.message


def test_gpus_that_cannot_be_read_are_one_line(tmp_path, monkeypatch):
    """Unlike a silent driver, which may only be slow."""

    def fails():
        raise KeyError("uuid")

    monkeypatch.setattr("llm_energy.preflight.gpus.read_gpus", fails)
    campaign = campaign_of(tmp_path, measurement=GPU_TIMES)
    assert gpu_obstacles(campaign, ask_gpus()) == ["gpu: the GPUs cannot be read: KeyError: 'uuid'"]


def test_a_secret_that_a_backend_needs_is_missing_before_anything_starts(tmp_path):
    campaign = campaign_of(tmp_path, backends={"toy": {"pass_variables": ["MINE_KEY"]}})
    assert secret_obstacles(campaign, ["toy"], {"MINE_KEY": ""}) == [
        "backends.toy.pass_variables: MINE_KEY is not set, or is empty; set it"
    ]
    assert secret_obstacles(campaign, ["toy"], {"MINE_KEY": "s3cret"}) == []
    (shown,) = secret_findings(campaign, ["toy"], {"MINE_KEY": "s3cret"})
    assert shown.status == "ok"
    assert "s3cret" not in repr(shown)
