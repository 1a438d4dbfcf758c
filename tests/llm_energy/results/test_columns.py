"""Arrow columns built from their buffers hold what pyarrow's own would, without pandas."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.results.columns import array_of, table_of

SCRIPTS = Path(__file__).parents[3] / "scripts"
NUMBERS = st.floats(allow_nan=False)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
CASES = [
    (pa.int32(), INTEGERS),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), NUMBERS),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    (pa.list_(pa.float64()), st.lists(NUMBERS, max_size=5)),
    (pa.map_(pa.string(), pa.int32()), st.dictionaries(st.text("abc"), INTEGERS, max_size=3)),
]


@pytest.mark.parametrize(("type_", "values"), CASES, ids=[str(type_) for type_, _ in CASES])
def test_columns_equal_those_that_pyarrow_makes(type_, values):
    @given(st.lists(st.none() | values, max_size=40))
    def check(column):
        built = array_of(column, type_)
        built.validate(full=True)
        as_pyarrow = [list(v.items()) if isinstance(v, dict) else v for v in column]
        assert built.equals(pa.array(as_pyarrow, type_))

    check()


def test_a_type_without_columns_is_refused():
    with pytest.raises(TypeError, match="no columns of type date32"):
        array_of([1], pa.date32())


def test_an_absent_key_is_null():
    schema = pa.schema([pa.field("watts", pa.float64()), pa.field("name", pa.string())])
    table = table_of([{"watts": 1.5, "name": "a"}, {"name": "b"}], schema)
    assert table.to_pylist() == [{"watts": 1.5, "name": "a"}, {"watts": None, "name": "b"}]


def test_pandas_stays_out():
    code = (
        "import sys; import pyarrow as pa; from llm_energy.results.columns import array_of;"
        "array_of([1.0, None], pa.float64()); sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SCRIPTS)})
