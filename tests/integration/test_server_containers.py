"""Real servers of the shipped presets, launched in real containers, which have no network."""

from pathlib import Path
from typing import Any

import pytest

from llm_energy.containers.engine import connect
from llm_energy.results.result import read_result
from tests.integration.docker import containers_below, require_docker
from tests.integration.workflow import CAMPAIGN, PATIENCE_S, Tree, wait_for
from tests.worker.conftest import required

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.long]

OUTPUT_TOKENS = 8


def campaign(backend: str, model: Path, **defaults: Any) -> dict[str, Any]:
    prompts = {"shipped": "everyday", "limit": 2, "seed": 1, "chat_template": True}
    return {
        "campaign": "nap",
        "seed": 1,
        "cycles": 1,
        "backends": {backend: {"runtime": "docker", "base": "debian"}},
        "models": {"small": {"source": {"path": str(model)}}},
        "prompts": {"everyday": prompts},
        "measurement": CAMPAIGN["measurement"] | {"device": "cpu"},
        "defaults": {
            "backend": backend,
            "model": "small",
            "prompts": "everyday",
            "batch_size": 2,
            "context_tokens": 512,
            "output_tokens": OUTPUT_TOKENS,
            "load_mode": "closed",
            **defaults,
        },
        "experiments": {"served": {"settings": {}}},
    }


def networks(tree: Tree) -> set[str]:
    """Return the network modes of the containers of a tree."""
    client = connect()
    try:
        return {
            client.containers.get(name).attrs["HostConfig"]["NetworkMode"]
            for name in containers_below(tree.folder)
        }
    finally:
        client.close()


@pytest.mark.parametrize(
    ("backend", "variable", "defaults"),
    [
        ("llamacpp-server", "LLM_ENERGY_TEST_GGUF", {}),
        ("vllm-server", "LLM_ENERGY_TEST_HF_MODEL", {"dtype": "float32"}),
    ],
)
def test_a_server_of_a_preset_is_measured_in_a_container_without_a_network(
    tmp_path: Path, backend: str, variable: str, defaults: dict[str, Any]
) -> None:
    require_docker()
    tree = Tree.create(tmp_path / "tree", campaign(backend, Path(required(variable)), **defaults))
    tree.run("lock", check=True)
    tree.run("inputs", check=True)
    process = tree.start("measurements")
    wait_for(lambda: containers_below(tree.folder) or process.poll() is not None, why=tree.output())
    assert networks(tree) == {"none"}, tree.output()
    assert process.wait(PATIENCE_S) == 0, tree.output()
    (path,) = tree.results()
    result = read_result(path)
    assert result.environment.runtime == "docker"
    assert result.tokens.output == OUTPUT_TOKENS * result.tokens.requests > 0
    assert result.settings.observed["server"] == "launched"
    assert result.settings.observed["prefix_cache"] == "off"
    assert result.environment.engine_version.endswith(")")  # of the server, and of its image
    assert containers_below(tree.folder) == []
    assert tree.failures() == []
