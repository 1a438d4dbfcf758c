"""What the campaign of three engines in containers measured, where this checkout has run it."""

import os
from pathlib import Path

import pytest

from llm_energy.results.result import read_result

RESULTS = Path(__file__).parents[2] / "results/cpu-containers"
ENGINES = ("llamacpp", "pytorch", "vllm")


@pytest.fixture(scope="module")
def results():
    """The results by experiment, in the order of their cycles."""
    paths = sorted((RESULTS / "measurements").rglob("cycle-*.json"))
    if not paths:
        message = "needs results of config/campaigns/cpu-containers.yaml: run it first"
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(message)
        pytest.skip(message)
    found = {}
    for path in paths:
        found.setdefault(path.parts[-3], []).append(read_result(path))
    return found


def first_outputs(result):
    return {output.prompt_index: output.output_ids for output in result.sample_outputs}


def test_each_engine_ran_in_a_container_of_its_own_image(results):
    images = {}
    for group in results.values():
        for result in group:
            assert result.environment.runtime == "docker"
            images.setdefault(result.settings.resolved["backend"], set()).add(
                result.environment.image_digest
            )
    assert set(images) == set(ENGINES)
    assert len(set.union(*images.values())) == len(ENGINES)


@pytest.mark.parametrize("batch", [1, 4])
def test_pytorch_and_vllm_give_the_same_greedy_tokens(results, batch):
    """In float32: in bfloat16, whose sums are coarse, answers part where two tokens are close."""
    pytorch = first_outputs(results[f"engines_batch{batch}_pytorch_float32"][0])
    vllm = first_outputs(results[f"engines_batch{batch}_vllm_float32"][0])
    assert len(pytorch) == 3
    assert pytorch == vllm


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_same_tokens_in_every_cycle(results, engine):
    (cycles,) = [group for name, group in results.items() if f"batch1_{engine}" in name]
    assert len({str(first_outputs(result)) for result in cycles}) == 1


def test_every_request_has_exactly_the_tokens_that_were_asked_for(results):
    for group in results.values():
        for result in group:
            wanted = result.settings.resolved["output_tokens"]
            assert result.tokens.output == result.tokens.requests * wanted
