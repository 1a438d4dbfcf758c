"""A summary is read as it was written, and one that was damaged is named."""

import shutil

import pytest
from tests import damaged
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import TABLES, read_summary, write_summary
from llm_energy.system.scripting import UserError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A summary that is only copied."""
    folder = tmp_path_factory.mktemp("campaign")
    result = make_results.make_result(metered=True)
    put_result(folder / make_results.path_of(result), result)
    summary = aggregate(
        folder, planned=[make_results.path_of(result)], design=make_results.design(cycles=1)
    )
    write_summary(folder / "summary", summary)
    return folder / "summary"


def test_what_is_written_is_read_again(summary_of, tmp_path):
    summary = summary_of(metered=True)
    write_summary(tmp_path / "summary", summary)
    again = read_summary(tmp_path / "summary")
    assert again.findings == summary.findings
    assert again.measurements.equals(summary.measurements)
    assert again.experiments.equals(summary.experiments)


@pytest.mark.parametrize("harm", [damaged.folder, damaged.empty, damaged.cut_short])
@pytest.mark.parametrize("name", ["summary.json", *(f"{name}.parquet" for name in TABLES)])
def test_a_damaged_summary_is_one_line_with_its_remedy(written, tmp_path, name, harm):
    shutil.copytree(written, folder := tmp_path / "summary")
    damaged.replace(folder / name, harm)
    with pytest.raises(UserError) as caught:
        read_summary(folder)
    assert str(caught.value).startswith(f"{folder / name}: ")
    remedy = f"; remove {folder}, and the campaign's next run makes it again"
    assert str(caught.value).endswith(remedy)


def test_equal_results_give_equal_files(summary_of, tmp_path):
    for folder in ("first", "second"):
        write_summary(tmp_path / folder, summary_of())
    for name in ("measurements.csv", "measurements.parquet", "experiments.csv", "summary.json"):
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name
