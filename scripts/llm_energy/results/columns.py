"""Arrow columns from Python values without pandas.

`pyarrow.array` imports pandas where it is installed, which costs a measuring job half a second;
building an array from its buffers does not. See the Arrow columnar format for their layout.
"""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.results.parts import SideFile
from llm_energy.system.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

TYPE_CODES = {"int32": "i", "int64": "q", "double": "d"}
"""Arrow's fixed-width types that are in use -> typecodes of the standard library's `array`."""


def table_of(rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "pa.Table":
    """One row for each mapping; a key that is absent is null."""
    import pyarrow as pa

    columns = [array_of([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def write_table(root: Path, path: str, table: "pa.Table") -> SideFile:
    """Write `table` to `root`/`path` in Parquet, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    write_atomically(root / path, content)
    return SideFile(path=path, sha256=hashlib.sha256(content).hexdigest())


def array_of(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
    """`values` as an Arrow array; None is null.

    Args:
        type_: int32, int64, double, bool, string, or a list or a map of these.

    Raises:
        TypeError: the type is none of these.
    """
    import pyarrow as pa

    valid = [value is not None for value in values]
    buffers = [None if all(valid) else pa.py_buffer(_bits(valid))]
    children = []
    if str(type_) in TYPE_CODES:
        code = TYPE_CODES[str(type_)]
        zero = 0.0 if code == "d" else 0
        buffers.append(pa.py_buffer(array(code, [zero if v is None else v for v in values])))
    elif pa.types.is_boolean(type_):
        buffers.append(pa.py_buffer(_bits([bool(value) for value in values])))
    elif pa.types.is_string(type_):
        texts = [(value or "").encode() for value in values]
        buffers += [_offsets(texts), pa.py_buffer(b"".join(texts))]
    elif pa.types.is_list(type_):
        lists = [value or [] for value in values]
        buffers.append(_offsets(lists))
        children = [array_of([item for one in lists for item in one], type_.value_type)]
    elif pa.types.is_map(type_):
        pairs = [list((value or {}).items()) for value in values]
        buffers.append(_offsets(pairs))
        flat = [pair for one in pairs for pair in one]
        keys = array_of([key for key, _ in flat], type_.key_type)
        items = array_of([item for _, item in flat], type_.item_type)
        entries = pa.struct([type_.key_field, type_.item_field])
        children = [pa.Array.from_buffers(entries, len(flat), [None], children=[keys, items])]
    else:
        raise TypeError(f"no columns of type {type_}")
    return pa.Array.from_buffers(type_, len(values), buffers, children=children)


def _bits(flags: Sequence[bool]) -> bytes:
    """A validity bitmap: least significant bit first."""
    text = "".join("1" if flag else "0" for flag in reversed(flags))
    return int(text or "0", 2).to_bytes((len(flags) + 7) // 8, "little")


def _offsets(items: Sequence[Sequence[Any] | bytes]) -> "pa.Buffer":
    import pyarrow as pa

    return pa.py_buffer(array("i", accumulate((len(item) for item in items), initial=0)))
