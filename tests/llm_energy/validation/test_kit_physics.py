"""The kit checks results: each law of physics that a result breaks has its line."""

import pytest
from tests.llm_energy.make_results import make_result

from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Device, Reading, State
from llm_energy.power.series import Series
from llm_energy.results.parts import Phase, Tokens, Window
from llm_energy.results.result import Result
from llm_energy.validation.kit_physics import complaints, physics_lines

GPU = Device(id="GPU-1", model="Made GPU", scope="gpu_board", power_limit_watts=700.0)
LOAD, IDLE, WARM_UP, WINDOW, TAIL = (
    (0.5, 1.0),
    (1.0, 10.0),
    (10.0, 20.0),
    (20.0, 35.0),
    (35.0, 36.0),
)
LAST_S = 40.0
TOKENS = Tokens(input=4000, output=1000, requests=10)


def series(
    *,
    load_watts=600.0,
    load_from_s=10.0,
    load_until_s=38.0,
    counter_gain=1.0,
    reset_at_s=None,
    processes=(4711,),
) -> Series:
    """100 W at rest and 600 W under load, read at 10 Hz."""
    readings, counter = [], 0.0
    for n in range(round(10 * LAST_S) + 1):
        at = n / 10
        watts = load_watts if load_from_s <= at < load_until_s else 100.0
        counter = 0.0 if at == reset_at_s else counter + counter_gain * watts / 10
        readings.append(
            Reading(
                device=GPU.id,
                monotonic_s=at,
                wall_s=1.8e9 + at,
                read_s=0.001,
                energy_counter_joules=counter,
                instant_power_watts=watts + 0.1 * (n % 3),
                state=State(process_ids=processes) if n % 10 == 0 else None,
            )
        )
    return Series((GPU,), tuple(readings), 10.0)


def measured(power: Series, **changes) -> tuple[Result, Series]:
    """A result as the workflow would account for it."""
    phases = [
        Phase(name=name, start_monotonic_s=start, end_monotonic_s=end)
        for name, (start, end) in (
            ("load", LOAD),
            ("idle", IDLE),
            ("warmup", WARM_UP),
            ("window", WINDOW),
            ("tail", TAIL),
        )
    ]
    start, end = WINDOW
    window = Window(
        start_monotonic_s=start,
        end_monotonic_s=end,
        start_wall="2026-11-24T09:00:20+00:00",
        end_wall="2026-11-24T09:00:35+00:00",
        duration_s=end - start,
        waves=3,
        passes=1,
    )
    made = make_result(
        power_limit_watts=700.0,
        phases=phases,
        window=window,
        tokens=TOKENS,
        output_tokens_per_second=TOKENS.output / (end - start),
        requests_per_second=TOKENS.requests / (end - start),
    )
    warmup = made.warmup.model_copy(update={"duration_s": WARM_UP[1] - WARM_UP[0]})
    fields = dict(made) | {
        "started": "2026-11-24T08:59:59.000+00:00",
        "finished": "2026-11-24T09:00:40.000+00:00",
        "warmup": warmup,
        "energy": account_energy(power, phases, TOKENS).energy,
    }
    fields |= changes
    return Result(**fields), power


def failures(*seen) -> dict[str, str]:
    return {line.subject: line.text for line in physics_lines(seen) if line.verdict == "FAIL"}


def test_a_result_that_is_well_passes_every_line():
    lines = list(physics_lines([measured(series()), measured(series())]))
    assert {line.verdict for line in lines} == {"PASS", "NOTE"}, lines
    assert {line.subject for line in lines} > complaints(*measured(series())).keys()
    assert "2 of 2 measurements" in lines[0].text


def test_without_a_result_there_is_nothing_to_say():
    assert list(physics_lines([])) == []


def test_a_window_that_opens_cold_fails():
    found = failures(measured(series(load_from_s=20.5)))
    assert set(found) == {"load on both sides of the window"}
    assert "100 W at a mean of" in found["load on both sides of the window"]
    assert set(failures(measured(series(load_until_s=35.2)))) == {
        "load on both sides of the window"
    }


def test_a_reset_of_the_counter_fails_and_the_rest_of_it_follows():
    found = failures(measured(series(reset_at_s=30.0)))
    assert "1 falls" in found["counter rises"]
    assert "counter_reset" in found["energy is known"]


def test_a_counter_with_a_gain_fails_by_its_ratio():
    found = failures(measured(series(counter_gain=0.84)))
    assert set(found) == {"counter against samples"}
    assert "median ratio 0.8399" in found["counter against samples"]


def test_an_engine_that_leaves_the_gpu_idle_fails():
    found = failures(measured(series(load_watts=100.0, processes=())))
    assert set(found) == {"load above idle", "engine was seen on its GPU"}
    assert "0.0 J above the loaded idle" in found["load above idle"]
    assert "GPU-1 lists no process" in found["engine was seen on its GPU"]


def test_a_result_without_a_sensor_fails():
    result, _ = measured(series())
    nothing = account_energy(None, [], None).energy
    unmetered = result.model_copy(update={"energy": nothing})
    found = failures((unmetered, None))
    assert "no_meter" in found["energy is known"]
    assert {"counter rises", "engine was seen on its GPU", "counter against samples"} <= set(found)


def test_the_control_without_a_sampler_has_no_power_to_check():
    result, power = measured(series())
    energy = result.energy.model_copy(update={"energy_joules": None, "reason": "sampler_off"})
    unsampled = result.model_copy(update={"energy": energy})
    lines = list(physics_lines([(result, power), (unsampled, None)]))
    known = next(line for line in lines if line.subject == "energy is known")
    assert (known.verdict, known.text) == ("PASS", "1 of 1 measurements")
    assert sum(line.verdict == "NOTE" for line in lines) == 2


def test_numbers_that_do_not_add_up_fail():
    result, power = measured(series())
    doubled = 2.0 * result.energy.joules_per_output_token
    energy = result.energy.model_copy(update={"joules_per_output_token": doubled})
    found = failures((result.model_copy(update={"energy": energy}), power))
    assert set(found) == {"numbers agree"}
    assert "per output token" in found["numbers agree"]


@pytest.mark.parametrize(("watts", "words"), [(800.0, "above_limit"), (50.0, "below_idle")])
def test_power_that_cannot_be_fails(watts, words):
    result, power = measured(series())
    energy = result.energy.model_copy(update={"mean_power_watts": watts})
    found = failures((result.model_copy(update={"energy": energy}), power))
    assert words in found["power between idle and limit"]


def test_a_short_window_and_a_measurement_without_tokens_fail():
    result, power = measured(series())
    short = result.window.model_copy(update={"duration_s": 9.0})
    assert "window of 10 s or more" in failures(
        (result.model_copy(update={"window": short}), power)
    )
    out = make_result(out_of_memory=True)
    assert "out_of_memory" in failures((out, None))["tokens were produced"]


def test_the_first_result_that_fails_is_named_with_the_number_of_those_that_do_not():
    good, bad = measured(series()), measured(series(load_from_s=20.5), cycle=2)
    text = failures(good, bad)["load on both sides of the window"]
    assert text.startswith(f"1 of 2 measurements; {bad[0].experiment} cycle 2: ")
