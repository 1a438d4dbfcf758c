"""When two files count as the same."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.archive.reproduce import _first_difference, difference

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


def written(folder, one, other, name="table.csv"):
    paths = [folder / side / name for side in ("shipped", "made")]
    for path, text in zip(paths, (one, other), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return difference(*paths)


def test_equal_bytes_say_nothing(tmp_path):
    assert written(tmp_path, "a,1.5\n", "a,1.5\n") is None


def test_the_last_digits_of_a_number_may_differ(tmp_path):
    found = written(tmp_path, "a,41.123456789012345\n", "a,41.123456789012352\n")
    assert found == "same numbers, other bytes"


def test_more_than_that_is_a_difference(tmp_path):
    found = written(tmp_path, "a,41.123456789\n", "a,41.123457789\n")
    assert found == "41.123456789 became 41.123457789"


def test_a_rounded_number_may_round_the_other_way(tmp_path):
    assert written(tmp_path, "<b>3.14</b>", "<b>3.15</b>", "page.html").startswith("same")
    assert written(tmp_path, "<b>3.14</b>", "<b>3.16</b>", "page.html") == "3.14 became 3.16"


def test_whole_numbers_are_exact(tmp_path):
    assert written(tmp_path, "n = 5", "n = 6") == "5 became 6"


def test_text_must_be_equal(tmp_path):
    assert written(tmp_path, "fast,1.0", "slow,1.0") == "`fast,` became `slow,`"


def test_a_row_that_is_missing_is_a_difference(tmp_path):
    assert not written(tmp_path, "a,1.0\nb,2.0\n", "a,1.0\n").startswith("same")


def test_a_picture_is_judged_by_its_drawing(tmp_path):
    found = written(tmp_path, "one", "other", "figure.png")
    assert found == "same drawing as its SVG, other bytes"


def test_parquet_is_compared_by_its_values(tmp_path):
    table = pd.DataFrame({"n": [1.0, 2.0]})
    table.to_parquet(tmp_path / "one.parquet", compression="gzip")
    table.to_parquet(tmp_path / "other.parquet", compression="snappy")
    (table * 2).to_parquet(tmp_path / "double.parquet")
    one = tmp_path / "one.parquet"
    assert difference(one, tmp_path / "other.parquet") == "same numbers, other bytes"
    assert difference(one, tmp_path / "double.parquet") == "1.0 became 2.0"


@given(NUMBERS)
def test_a_number_equals_itself_however_many_digits_it_has(value):
    assert _first_difference(f"x {value!r}", f"x {value:.17g}") in (
        None,
        # a whole number without its decimal point is exact, and written in another way
        f"{value!r} became {value:.17g}",
    )


@given(NUMBERS.filter(lambda v: abs(v) > 1e-3))
def test_a_thousandth_more_is_always_seen(value):
    assert _first_difference(f"{value:.12f}", f"{value * 1.001:.12f}") is not None
