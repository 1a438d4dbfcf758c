"""The shapes of public models: their parameters are as many as those published for them."""

import json
import subprocess
from pathlib import Path

from tests.worker.conftest import required

# As the hub counts them in the safetensors files of the two repositories.
PUBLISHED = {"smollm2-1.7b": 1_711_376_384, "qwen3-8b": 8_190_735_360}

COUNT = """
import json, sys
import torch
from transformers import AutoConfig, AutoModelForCausalLM
sys.path.insert(0, sys.argv[1])
from random_model import SHAPES
counted = {}
for name in sys.argv[2:]:
    config = AutoConfig.for_model(**SHAPES[name])
    with torch.device("meta"):
        counted[name] = AutoModelForCausalLM.from_config(config).num_parameters()
print(json.dumps(counted))
"""


def test_a_model_has_as_many_parameters_as_the_public_one():
    python = required("LLM_ENERGY_TEST_PYTORCH_PYTHON")
    counted = subprocess.run(
        [python, "-c", COUNT, str(Path(__file__).parent), *PUBLISHED],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(counted.stdout) == PUBLISHED
