"""Side files hold their rows as written, and cost a measuring job no pandas."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.results.side_files import read_requests, write_requests, write_rows

SCRIPTS = Path(__file__).parents[3] / "scripts"
NUMBERS = st.floats(allow_nan=False)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
COLUMNS = {
    "int32": (pa.int32(), INTEGERS),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "double": (pa.float64(), NUMBERS),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "list": (pa.list_(pa.float64()), st.lists(NUMBERS, max_size=5)),
    "map": (
        pa.map_(pa.string(), pa.int32()),
        st.lists(st.tuples(st.text("abc"), INTEGERS), max_size=3, unique_by=lambda pair: pair[0]),
    ),
}
ROWS = st.fixed_dictionaries({}, optional={k: st.none() | v for k, (_, v) in COLUMNS.items()})


def test_rows_are_read_as_they_were_written_and_an_absent_key_is_null(tmp_path):
    schema = pa.schema([pa.field(name, type_) for name, (type_, _) in COLUMNS.items()])

    @given(st.lists(ROWS, max_size=40))
    def check(rows):
        side = write_rows(tmp_path, "rows.parquet", rows, schema)
        table = pq.read_table(tmp_path / side.path)
        assert table.schema == schema
        assert table.to_pylist() == [dict.fromkeys(COLUMNS) | row for row in rows]

    check()


def test_requests_are_read_as_they_were_written(tmp_path):
    requests = [
        {"prompt": 0, "wave": 1, "submitted": 1.5, "token_times": [1.75, 2.0]},
        {"prompt": 2, "wave": None, "submitted": 1.5, "token_times": []},
    ]
    write_requests(tmp_path, "requests.parquet", requests, input_lengths=[7, 8, 9])
    assert read_requests(tmp_path / "requests.parquet") == (requests, [7, 0, 9])


def test_pandas_stays_out_of_a_process_that_hides_numpy(tmp_path):
    """As `scripts/measure.py` does: pyarrow loads pandas with numpy, which takes half a second."""
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from pathlib import Path\n"
        "from llm_energy.power.series_file import write_series\n"
        "from llm_energy.power.meter import Device, Reading, State\n"
        "from llm_energy.power.series import Series\n"
        "from llm_energy.results.side_files import write_requests\n"
        "request = {'prompt': 0, 'wave': 0, 'submitted': 1.0, 'token_times': [2.0]}\n"
        "write_requests(Path('.'), 'requests.parquet', [request], input_lengths=[3])\n"
        "device = Device(id='GPU-1', model='Made', scope='gpu_board')\n"
        "reading = Reading('GPU-1', 1.0, 2.0, 0.001, state=State(process_ids=(1,)))\n"
        "write_series(Path('.'), 'series.parquet', Series((device,), (reading,), 10.0))\n"
        "sys.exit('pandas' in sys.modules)"
    )
    run = {"check": True, "cwd": tmp_path, "env": {"PYTHONPATH": str(SCRIPTS)}}
    subprocess.run([sys.executable, "-c", code], **run)
