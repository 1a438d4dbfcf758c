"""Write a small variant of a GGUF model; runs in an environment that has the package `gguf`.

    gguf_variant.py SOURCE TARGET TEMPLATE TENSORS

TEMPLATE is a file with the chat template, `own` or `none`. Only the first layer is kept, so that
the model is quick to load and talks nonsense. With TENSORS above 0 each part has so many of them.
"""

import sys
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter  # type: ignore[import-not-found]

SOURCE, TARGET, TEMPLATE, TENSORS = sys.argv[1:]
NAME, LAYERS, CHAT = "general.architecture", ".block_count", "tokenizer.chat_template"

source = GGUFReader(SOURCE)
writer = GGUFWriter(TARGET, source.fields[NAME].contents(), split_max_tensors=int(TENSORS))
for name, field in source.fields.items():
    if name in (NAME, CHAT) or name.startswith("GGUF."):
        continue
    value = 1 if name.endswith(LAYERS) else field.contents()
    kind = field.types[0]
    inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
    writer.add_key_value(name, value, kind, sub_type=inner)
if TEMPLATE != "none":
    own = source.fields[CHAT].contents() if TEMPLATE == "own" else Path(TEMPLATE).read_text()
    writer.add_chat_template(own)
for tensor in source.tensors:
    if not tensor.name.startswith("blk.") or tensor.name.startswith("blk.0."):
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
