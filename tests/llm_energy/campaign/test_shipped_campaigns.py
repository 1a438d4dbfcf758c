"""Every campaign that comes with the workflow can be planned as it is.

One that needs an environment whose files do not exist would plan no measurement; a model or an
interpreter may be left to the `lock` target.
"""

from pathlib import Path

import pytest
import yaml
from tests.integration.dag import graph_of
from tests.llm_energy.make_campaigns import specs

from llm_energy.campaign.campaign import Campaign, load_campaign
from llm_energy.workflow.plan import make_plan
from llm_energy.workflow.plan_text import as_text

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "config/config.yaml", *sorted((ROOT / "config/campaigns").glob("*.yaml"))]
FILES += [ROOT / ".test/config/config.yaml"]

SPEC_HASHES = {
    "config": {
        "batch-by-length_batch1_out16": "a73ddeb54e70",
        "batch-by-length_batch1_out48": "49d2f7934529",
        "batch-by-length_batch4_out16": "292a7243a4df",
        "batch-by-length_batch4_out48": "9660a438e6b9",
    },
    "cpu-containers": {
        "engines_batch1_llamacpp_auto": "542b317241f3",
        "engines_batch1_pytorch_float32": "63746a4f76cb",
        "engines_batch1_vllm_float32": "a75ecdb5a8cc",
        "engines_batch4_llamacpp_auto": "5ca1fe5818fe",
        "engines_batch4_pytorch_float32": "2ac11239c563",
        "engines_batch4_vllm_float32": "189b03069307",
    },
    "cpu-engines": {
        "engines_llamacpp_auto": "a73ddeb54e70",
        "engines_openvino_auto": "e0017cb10456",
        "engines_pytorch_float32": "b95a0f2e6ea8",
        "engines_vllm_float32": "957a99a28f12",
    },
    "cpu-servers": {
        "llamacpp_llamacpp": "7497116072ee",
        "llamacpp_llamacpp-server": "f249e9450a63",
        "vllm_vllm": "a8e575183559",
        "vllm_vllm-server": "e97d3fb0f4ea",
    },
    "gpu-three-backends": {
        "engines_pytorch_batch1": "8d569820120e",
        "engines_pytorch_batch8": "2dd876a3ef9f",
        "engines_pytorch_batch32": "15e63a8bb998",
        "engines_vllm_batch1": "972e59a8cbad",
        "engines_vllm_batch8": "93ffdf719700",
        "engines_vllm_batch32": "23a54051c123",
        "engines_tensorrt_batch1": "c375315b789c",
        "engines_tensorrt_batch8": "69759905af83",
        "engines_tensorrt_batch32": "998f42da9e59",
        "engines_pytorch_batch1.a_a": "5bd1adaf1819",
        "engines_pytorch_batch1.sampler_off": "4c44f91bc4e3",
    },
    "cpu-serving": {
        "serving_batch1_rate2": "cc8f66904b35",
        "serving_batch1_rate4": "415603c2105b",
        "serving_batch1_rate8": "f200db67c1f0",
        "serving_batch8_rate2": "f55e6b6e871f",
        "serving_batch8_rate4": "2b5f4095ee47",
        "serving_batch8_rate8": "6baa6f75215b",
    },
    "gpu-serving": {
        "serving_rate1": "f7dbbecb681c",
        "serving_rate2": "2bb81bcc5ba1",
        "serving_rate4": "a23e67d351ee",
        "serving_rate8": "db16b35828e7",
        "serving_rate16": "b3f679455a5e",
        "serving_rate32": "6a81026836fe",
    },
}
"""Results are found by these hashes: one that changes makes users measure again.

They change only on purpose: with `PROTOCOL_VERSION`, a pinned package, or a default.
"""

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
    assert len(campaign.schedule) == len(campaign.experiments) * campaign.cycles > 0
    assert all("is not pinned; pin it with" in line for line in campaign.unpinned)


@pytest.mark.parametrize("file", FILES[:-1], ids=lambda file: file.stem)
def test_a_change_of_the_code_keeps_its_results_valid(file: Path) -> None:
    assert specs(load(file)) == SPEC_HASHES[file.stem]


def test_the_default_campaign_crosses_batch_size_and_output_length() -> None:
    campaign = load(FILES[0])
    assert list(specs(campaign)) == list(SPEC_HASHES["config"])
    assert campaign.cycles == 3
    assert campaign.reference is not None
    assert campaign.experiment(campaign.reference).factors == {"batch_size": 1, "output_tokens": 16}
    assert {experiment.settings.backend for experiment in campaign.experiments} == {"llamacpp"}


def test_an_experiment_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        load(FILES[0]).experiment("nobody")


@per_file
def test_its_reference_is_one_of_its_experiments(file: Path) -> None:
    campaign = load(file)
    serves = all(e.settings.load_mode == "open" for e in campaign.experiments)  # rates: no rivals
    assert (campaign.reference is None and serves) or campaign.reference in [
        experiment.name for experiment in campaign.experiments
    ]


@per_file
def test_every_batch_takes_whole_passes_over_the_prompts(file: Path) -> None:
    for experiment in load(file).experiments:
        if experiment.settings.load_mode == "open":
            continue
        prompts = experiment.prompts.config.model_dump()
        count = prompts["limit"] if "limit" in prompts else prompts["synthetic"]["count"]
        assert count % experiment.settings.batch_size == 0


def test_the_campaign_for_gpus_says_that_it_was_never_run() -> None:
    text = (ROOT / "config/campaigns/gpu-three-backends.yaml").read_text()
    assert "IT WAS NEVER RUN" in text


@per_file
def test_snakemake_can_plan_it(file: Path, tmp_path: Path) -> None:
    """The graph of the target `plan` in this process, and its text; a whole workflow runs it."""
    command = ["plan", "--dry-run", "--cores", "1", "--profile", "workflow-profile"]
    planned = graph_of(ROOT, [*command, "--configfile", str(file)])
    assert planned.exit_code == 0, planned.output
    assert planned.rules == {"plan"}
    campaign = load(file)
    text = as_text(make_plan(campaign, tmp_path))
    assert all(experiment.name in text for experiment in campaign.experiments)
