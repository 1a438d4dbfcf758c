"""Numbers carry as many digits as their interval supports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.system.numbers import (
    exact,
    fixed,
    gigabytes,
    interval,
    number,
    percent,
    plural,
    setting_label,
    setting_text,
)

NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [
        (41.2689, 0.31, "41.27"),
        (41.2689, 3.1, "41.3"),
        (41.2689, 31.0, "41"),
        (41.2689, None, "41.3"),
        (41.2689, 0.0, "41.3"),
        (0.0123456, None, "0.0123"),
        (12345.6, 120.0, f"12{NARROW}346"),
        (41.2689, 1e-12, "41.2689"),
        (0.0, None, "0"),
        (-2.0, 0.5, "−2.00"),
    ],
)
def test_a_value_is_given_to_the_place_its_half_width_supports(value, half_width, text):
    assert number(value, half_width) == text


def test_both_ends_of_an_interval_have_the_same_decimals():
    assert interval(40.93, 41.6) == "40.93 to 41.60"
    assert interval(-3.0, 12.0) == "−3.0 to 12.0"


def test_zero_has_no_sign():
    assert fixed(-0.0004, 2) == "0.00"


def test_settings_are_never_rounded():
    assert exact(1048576) == "1048576"
    assert exact(0.5) == "0.5"
    assert setting_label("sampling.seed", 12345678) == "seed 12345678"
    assert setting_label("gpu.sm_clock_mhz.of_default", 0.7) == "sm clock mhz of default 0.7"
    assert setting_label("gpu.sm_clock_mhz.to", 1500) == "sm clock mhz to 1500"


def test_percent_and_plural():
    assert percent(-0.0123) == "−1.2\N{NO-BREAK SPACE}%"
    assert (plural(1, "cycle"), plural(3, "cycle")) == ("1 cycle", "3 cycles")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 MB"),
        (98_362_432, "98 MB"),
        (999_600_000, "1.0 GB"),
        (16.4e9, "16.4 GB"),
        (1.5e12, "1500 GB"),
    ],
)
def test_sizes_in_words(size, words):
    assert gigabytes(size) == words


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_rounding_never_moves_a_value_by_more_than_a_twentieth_of_its_half_width(value, half):
    text = number(value, half).replace(NARROW, "").replace("−", "-")
    assert abs(float(text) - value) <= max(half / 20, abs(value) * 1e-5, 0.5 if half >= 10 else 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (0.5, "0.5"), (8, "8"), (True, "true"), (None, "null"), ("poisson", "poisson")],
)
def test_a_setting_is_written_as_in_a_campaign_file(value, text):
    assert setting_text(value) == text
