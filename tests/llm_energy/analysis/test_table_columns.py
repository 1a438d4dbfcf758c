"""Tables as CSV, equal to what pandas writes, and the columns that fields describe."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.analysis.measurements_table import free_column
from llm_energy.analysis.table_columns import csv_of

FLOATS = st.floats(allow_nan=False)
COLUMNS = {
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "Float64": FLOATS,
    "boolean": st.booleans(),
    "float64": FLOATS,
    "object": st.one_of(st.integers(), FLOATS, st.text("a,\"' \n;", max_size=3), st.booleans()),
}
"""Type of a column -> its values."""


@given(st.data())
def test_a_table_is_the_csv_that_pandas_writes(data):
    rows = data.draw(st.integers(0, 4))
    table = pd.DataFrame(
        {
            f"{kind}, its values": pd.Series(
                data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), dtype=kind
            )
            for kind, values in COLUMNS.items()
        }
    )
    assert csv_of(table) == table.to_csv(index=False, lineterminator="\n").encode()
    short = table.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    assert csv_of(table, digits=9) == short.encode()


def test_a_path_into_a_field_that_may_be_a_number_or_a_mapping_is_described_by_the_field():
    """A setting of GPUs is a number, or `of_default` below it."""
    plain = free_column("setting.gpu.power_limit_watts", "Float64")
    share = free_column("setting.gpu.power_limit_watts.of_default", "Float64")
    assert share == plain
    assert share.meaning.startswith("Power limit of each GPU")
    beyond = free_column("setting.gpu.sm_clock_mhz.from", "Float64")
    assert beyond.meaning.startswith("Locked clock of the multiprocessors")
