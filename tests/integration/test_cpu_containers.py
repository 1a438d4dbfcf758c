"""The results of the campaign of engines in containers, where this checkout has measured it: one
engine's on every commit (.ci/one-engine.yaml), those of all in `make test-all`."""

import os
from pathlib import Path

import pytest

from llm_energy.results import layout
from llm_energy.results.result import read_result

RESULTS = Path(__file__).parents[2] / "results/cpu-containers"
ENGINES = ("llamacpp", "pytorch", "vllm")
EACH = ["llamacpp", *(pytest.param(name, marks=pytest.mark.long) for name in ENGINES[1:])]


@pytest.fixture(scope="module")
def results():
    """The results by experiment, in the order of their cycles."""
    paths = list(layout.files(RESULTS, "measurements"))
    if not paths:
        message = "needs results of config/campaigns/cpu-containers.yaml: run it first"
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(message)
        pytest.skip(message)
    found = {}
    for path in paths:
        result = read_result(path)
        found.setdefault(result.experiment, []).append(result)
    return found


def first_outputs(result):
    return {output.prompt_index: output.output_ids for output in result.sample_outputs}


@pytest.fixture(scope="module")
def images(results):
    """The digests of the images that each engine ran in."""
    found = {}
    for group in results.values():
        for result in group:
            assert result.environment.runtime == "docker"
            engine = result.settings.resolved["backend"]
            found.setdefault(engine, set()).add(result.environment.image_digest)
    return found


@pytest.mark.parametrize("engine", EACH)
def test_an_engine_ran_in_a_container_of_one_image(images, engine):
    (digest,) = images[engine]
    assert digest.startswith("sha256:")


@pytest.mark.long
def test_each_engine_has_an_image_of_its_own(images):
    assert set(images) == set(ENGINES)
    assert len(set.union(*images.values())) == len(ENGINES)


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 4])
def test_pytorch_and_vllm_give_the_same_greedy_tokens(results, batch):
    """In float32: in bfloat16, whose sums are coarse, answers part where two tokens are close."""
    pytorch = first_outputs(results[f"engines_batch{batch}_pytorch_float32"][0])
    vllm = first_outputs(results[f"engines_batch{batch}_vllm_float32"][0])
    assert len(pytorch) == 3
    assert pytorch == vllm


@pytest.mark.parametrize("engine", EACH)
def test_an_engine_gives_the_same_tokens_in_every_cycle(results, engine):
    (cycles,) = [group for name, group in results.items() if f"batch1_{engine}" in name]
    assert len(cycles) > 1
    assert len({str(first_outputs(result)) for result in cycles}) == 1


def test_every_request_has_exactly_the_requested_tokens(results):
    for group in results.values():
        for result in group:
            wanted = result.settings.resolved["output_tokens"]
            assert result.tokens.output == result.tokens.requests * wanted
