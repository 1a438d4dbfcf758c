"""Output of nvidia-smi as samples: its stamps, its units, and its words for missing values."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.validation import nvidia_smi_output
from llm_energy.validation.nvidia_smi_output import NvidiaSmiError

HEADER = "timestamp, uuid, power.draw.instant [W], power.draw.average [W]"
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1))  # noqa: DTZ001
WATTS = st.integers(0, 150_000).map(lambda hundredths: hundredths / 100.0)


def test_the_command_asks_for_what_the_header_names():
    asked = nvidia_smi_output.command(period_s=0.02)
    fields = "timestamp,uuid,power.draw.instant,power.draw.average"
    assert asked == ["nvidia-smi", f"--query-gpu={fields}", "--format=csv", "-lms", "20"]
    assert "-lms" not in nvidia_smi_output.command()
    assert ", ".join(nvidia_smi_output.header()) == HEADER


@given(moment=MOMENTS, instant=WATTS, average=WATTS)
def test_a_row_is_read_as_it_was_written(moment, instant, average):
    stamp = moment.strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
    line = f"{stamp}, GPU-1, {instant:.2f} W, {average:.2f} W"
    (row,) = nvidia_smi_output.parse([HEADER, line], offset_s=0.0)
    true_s = moment.replace(tzinfo=UTC).timestamp()
    assert true_s - 0.001001 <= row.wall_s <= true_s + 1e-6
    assert (row.instant_power_watts, row.average_power_watts) == (instant, average)
    assert row.unavailable == {}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("[N/A]", "not_supported"),
        ("[Not Supported]", "not_supported"),
        ("[GPU is lost]", "gpu_lost"),
        ("[GPU requires reset]", "gpu_lost"),
        ("[Unknown Error]", "read_failed"),
    ],
)
def test_what_is_no_value_is_a_reason_and_never_0(said, code):
    row = nvidia_smi_output.parse_row(
        f"2026/01/31 13:06:03.419, GPU-1, 71.32 W, {said}", offset_s=0.0
    )
    assert (row.instant_power_watts, row.average_power_watts) == (71.32, None)
    assert row.unavailable == {"average_power_watts": code}


@pytest.mark.parametrize(
    "line",
    [
        "2026/01/31 13:06:03.419, GPU-1, 71.3",
        "2026/01/31 13:06:03.419, GPU-1, 71.32 W, 71",
        "2026/01/31 13:06:03.419, GPU-1, 71320 mW, 71320 mW",
        "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.",
        HEADER,
    ],
)
def test_what_is_no_whole_row_in_watts_is_left_out(line):
    good = "2026/01/31 13:06:03.419, GPU-1, 71.32 W, 71.30 W"
    assert len(nvidia_smi_output.parse([HEADER, good, line], offset_s=0.0)) == 1
    assert nvidia_smi_output.parse_row(good, offset_s=0.0) is not None
    assert nvidia_smi_output.parse_row(line, offset_s=0.0) is None


@pytest.mark.parametrize(
    "said",
    [
        'Field "power.draw.instant" is not a valid field to query.',
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "sh: 1: exec: nvidia-smi: not found",
    ],
)
def test_a_tool_that_does_not_work_is_reported_in_its_own_words(said):
    with pytest.raises(NvidiaSmiError) as caught:
        nvidia_smi_output.parse(["", said, ""], offset_s=0.0)
    assert str(caught.value) == said


def test_a_tool_that_says_nothing_is_no_empty_series():
    with pytest.raises(NvidiaSmiError, match="printed nothing"):
        nvidia_smi_output.parse([], offset_s=0.0)


def test_samples_are_on_the_clock_of_the_host_by_gpu():
    lines = [
        HEADER,
        "1970/01/01 00:00:10.000, GPU-1, 1.00 W, [N/A]",
        "1970/01/01 00:00:10.250, GPU-2, 2.00 W, [N/A]",
        "1970/01/01 00:00:10.500, GPU-1, 3.00 W, [N/A]",
    ]
    rows = nvidia_smi_output.parse(lines, offset_s=8.0)
    found = [(row.device, row.monotonic_s, row.instant_power_watts) for row in rows]
    assert found == [("GPU-1", 2.0, 1.0), ("GPU-2", 2.25, 2.0), ("GPU-1", 2.5, 3.0)]


def test_the_clocks_are_compared_where_nothing_came_between_them(monkeypatch):
    """The first attempt is interrupted for a second, after the wall clock was read."""
    seconds = iter([0.0, 1.0, *(1.0 + 0.001 * number for number in range(1, 20))])
    clock = SimpleNamespace(
        monotonic=lambda: next(seconds), time=lambda: 1_800_000_000.0 + next(seconds)
    )
    monkeypatch.setattr(nvidia_smi_output, "time", clock)
    assert nvidia_smi_output.clock_offset() == pytest.approx(1_800_000_000.0, abs=1e-6)
