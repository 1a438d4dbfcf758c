"""Every file that is written: on a full disk it stays what it was, and no half of it is left."""

import errno

import pytest
from tests.disks import small_disk
from tests.llm_energy.make_results import make_result

from llm_energy.analysis.summary import write_summary
from llm_energy.report.figures import write_figures
from llm_energy.report.page import write_page
from llm_energy.report.style import Figure
from llm_energy.results.failures import write_failure
from llm_energy.results.result import write_result
from llm_energy.results.side_files import write_requests

REQUEST = {"prompt": 0, "wave": 0, "submitted": 1.0, "token_times": [1.5, 2.0]}


@pytest.fixture
def writers(summary_of):
    """Return all writers into a campaign's folder, each with something to write."""
    summary = summary_of(cycles=1)
    figure = Figure(name="power", title="t", caption="c", svg="<svg/>", csv="x\n1\n", png=b"png")
    return {
        "result": lambda folder: write_result(
            folder / f"cycle-{len(list(folder.glob('*')))}.json", make_result()
        ),
        "requests": lambda folder: write_requests(
            folder, "r.parquet", [REQUEST], input_lengths=[3]
        ),
        "failure": lambda folder: write_failure(folder, "measurements/e/s/cycle-01.json", 1, {}),
        "summary": lambda folder: write_summary(folder / "summary", summary),
        "figures": lambda folder: write_figures(folder / "figures", [figure]),
        "report": lambda folder: write_page(folder, "<html>", partial=False),
    }


def test_a_full_disk_leaves_every_file_as_it_was(writers, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        for name, write in writers.items():
            folder = disk.folder / name
            for state in ("absent", "there"):
                before = contents(folder)
                disk.fill()
                with pytest.raises(OSError, match="No space left") as full:
                    write(folder)
                assert full.value.errno == errno.ENOSPC
                assert contents(folder) == before, f"{name}, {state}"
                disk.make_room()
                write(folder)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
