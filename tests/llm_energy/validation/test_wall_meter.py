"""Energy at the wall, and the offset of the meter's clock."""

from datetime import UTC, datetime

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result
from tests.llm_energy.power.made_power import constant, phases, samples, series_of

from llm_energy.power.accounting import account_energy
from llm_energy.power.series import Samples
from llm_energy.power.series_file import write_series
from llm_energy.results.codes import ENERGY_REASONS
from llm_energy.results.result import read_result
from llm_energy.validation.wall_meter import estimate_clock_offset_s, main, wall_energy

START = 1_800_000_000.0


def steps(t):
    """A device that works in stretches of different lengths."""
    return 600.0 if t % 41.0 < 17.0 or 70.0 < t < 75.0 else 100.0


def at_start(power, seconds):
    return Samples(tuple(START + t for t in power.times_s), power.values), START, START + seconds


def test_energy_is_the_mean_inside_times_the_length_of_the_window():
    wall, start, _ = at_start(samples(constant(800.0), start=0.0, end=60.0, rate=1.0), 60.0)
    amount = wall_energy(wall, start + 10.3, start + 40.3, clock_offset_s=0.0)
    assert amount.joules == pytest.approx(24_000.0)


def test_the_meters_clock_may_be_ahead():
    wall, start, _ = at_start(samples(steps, start=0.0, end=60.0, rate=10.0), 60.0)
    amount = wall_energy(wall, start - 5.0 + 2.0, start - 5.0 + 12.0, clock_offset_s=5.0)
    assert amount.joules == pytest.approx(6000.0)


def with_value(power, index, value):
    values = list(power.values)
    values[index] = value
    return Samples(power.times_s, tuple(values))


def without(power, first, last):
    kept = [i for i in range(len(power)) if not first <= i <= last]
    return Samples(tuple(power.times_s[i] for i in kept), tuple(power.values[i] for i in kept))


@pytest.mark.parametrize(
    ("change", "span", "reason"),
    [
        (lambda wall: wall, (-5.0, 20.0), "no_sample_before"),
        (lambda wall: wall, (10.0, 99.0), "no_sample_after"),
        (lambda wall: wall, (10.5, 13.5), "too_few_samples"),
        (lambda wall: with_value(wall, 15, 0.0), (10.0, 40.0), "non_positive_sample"),
        (lambda wall: with_value(wall, 15, -3.0), (10.0, 40.0), "non_positive_sample"),
        (lambda wall: without(wall, 15, 19), (10.0, 40.0), "sampling_gap"),
    ],
)
def test_what_is_missing_or_impossible_is_refused(change, span, reason):
    wall, start, _ = at_start(samples(constant(800.0), start=0.0, end=60.0, rate=1.0), 60.0)
    amount = wall_energy(change(wall), start + span[0], start + span[1], clock_offset_s=0.0)
    assert (amount.joules, amount.reason) == (None, reason)
    assert reason in ENERGY_REASONS


def test_the_offset_of_the_clocks_is_found_from_the_load():
    device, _, _ = at_start(samples(steps, start=0.0, end=120.0, rate=10.0), 120.0)
    wall, _, _ = at_start(
        samples(lambda t: 150.0 + 1.1 * steps(t - 7.3), start=0.0, end=150.0, rate=1.0), 150.0
    )
    assert estimate_clock_offset_s(wall, device) == pytest.approx(7.3, abs=0.6)


def test_power_that_does_not_change_shows_no_offset():
    device, _, _ = at_start(samples(constant(600.0), start=0.0, end=120.0, rate=1.0), 120.0)
    wall, _, _ = at_start(samples(steps, start=0.0, end=150.0, rate=1.0), 150.0)
    assert estimate_clock_offset_s(wall, device, step_s=1.0) is None


@pytest.fixture
def measured(tmp_path):
    """A result with its power series, 600 W from second 14 to 24, in a campaign's folder."""
    series = series_of(lambda t: 600.0 if 10.0 < t < 27.0 else 100.0, end=40.0)
    side = write_series(tmp_path, "series/one.parquet", series)
    plain = make_results.make_result(metered=True)
    zero = series.readings[0].wall_s

    def iso(seconds):
        return datetime.fromtimestamp(zero + seconds, UTC).isoformat(timespec="milliseconds")

    result = plain.model_copy(
        update={
            "window": plain.window.model_copy(
                update={"start_wall": iso(14.0), "end_wall": iso(24.0), "duration_s": 10.0}
            ),
            "energy": account_energy(series, phases(window=(14.0, 24.0)), plain.tokens).energy,
            "side_files": {"series": side},
        }
    )
    path = tmp_path / "measurements" / "e" / "s" / "cycle-01.json"
    put_result(path, result)
    lines = [f"{zero + t + 3.0},{700.0 if 10 < t < 27 else 150.0}" for t in range(-5, 50)]
    meter = tmp_path / "meter.csv"
    meter.write_text("time,watts\n" + "\n".join(lines) + "\n")
    return path, meter


def test_one_command_sets_a_result_beside_the_wall(measured, capsys):
    result, meter = measured
    main([str(result), str(meter), "--clock-offset", "3"])
    said = capsys.readouterr().out
    assert said == "wall 7000.0 J (clock offset +3.0 s), gpu_board 6000.0 J = 85.7% of it\n"


def test_the_offset_is_estimated_where_none_is_given(measured, capsys):
    result, meter = measured
    main([str(result), str(meter)])
    assert "wall 7000.0 J" in capsys.readouterr().out


def test_what_cannot_be_compared_is_one_clear_line(measured, tmp_path):
    result, meter = measured
    with pytest.raises(SystemExit, match=r"meter.csv: No sample lies"):
        main([str(result), str(meter), "--clock-offset", "3000"])
    with pytest.raises(SystemExit, match=r"Its times go from 2027-.* the window began at 2027-"):
        main([str(result), str(meter), "--clock-offset", "3000"])
    with pytest.raises(SystemExit, match=r"absent.json"):
        main([str(tmp_path / "absent.json"), str(meter)])


def test_the_wall_of_a_host_that_others_measure_on_is_nobodys(measured):
    path, meter = measured
    result = read_result(path)
    environment = result.environment.model_copy(update={"shares_host": True})
    path.unlink()
    put_result(path, result.model_copy(update={"environment": environment}))
    with pytest.raises(SystemExit, match=r"Other sets of GPUs of this host were measured on"):
        main([str(path), str(meter), "--clock-offset", "3"])


def test_an_offset_that_is_no_number_is_refused(measured, capsys):
    result, meter = measured
    with pytest.raises(SystemExit):
        main([str(result), str(meter), "--clock-offset", "nan"])
    assert "--clock-offset is nan; give seconds" in capsys.readouterr().err
