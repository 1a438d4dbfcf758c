"""Energy through the whole workflow, on simulated GPUs whose true energy is known."""

import csv
import json
import tarfile
from dataclasses import replace

import pytest

from llm_energy.power.series_file import read_series
from llm_energy.power.sources import read_sensors
from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

__all__ = ["nvml_library"]

MEASUREMENT = {
    "device": "gpu",
    "minimum_duration_s": 10.0,
    "baseline_s": 0.8,
    "warmup_cap_s": 36.0,  # long enough for power to be tested too, over 6 s
    "tail_s": 1.0,
    "sampling_hz": 50,
}
CAMPAIGN_ON_GPUS = CAMPAIGN | {
    "measurement": MEASUREMENT,
    "cycles": 1,
    # Waves of 0.4 s, so that the least warm-up lasts longer than a second.
    "defaults": CAMPAIGN["defaults"] | {"engine": {"sleep": {"token_s": 0.1, "prefill_s": 0.1}}},
}
LOADED = Gpu(idle_watts=100.0, knots=constant(600.0), counter_update_s=0.0, thermal_s=0.5)
IDLE = with_uuid(Gpu(idle_watts=80.0, knots=constant(80.0)), 2)


@pytest.fixture(scope="module")
def measured_on_gpus(tmp_path_factory, nvml_library):
    """A board that NVML lists twice, and one that the engine does not use."""
    folder = tmp_path_factory.mktemp("gpus")
    files = {"load_file": folder / "load", "process_file": folder / "load.processes"}
    used = replace(with_uuid(LOADED, 1), **files)
    with pytest.MonkeyPatch.context() as environment:
        gpus = [used, used, IDLE]
        tree, truth = powered_tree(CAMPAIGN_ON_GPUS, gpus, folder, nvml_library, environment)
        tree.run(check=True)
        yield tree, truth


def test_the_mean_of_the_window_is_the_power_under_load(measured_on_gpus):
    tree, truth = measured_on_gpus
    paths = tree.results()
    assert len(paths) == 2
    for path in paths:
        result = read_result(path)
        window, energy = result.window, result.energy
        true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
        assert energy.reason is None
        assert energy.mean_power_watts == pytest.approx(600.0, rel=0.002)
        assert energy.energy_joules == pytest.approx(true, rel=0.002)
        assert energy.loaded_idle_power_watts == pytest.approx(100.0, rel=0.01)
        assert energy.joules_per_output_token == pytest.approx(
            energy.energy_joules / result.tokens.output
        )
        assert (energy.scope, energy.method, energy.simulated) == ("gpu_board", "counter", True)
        counted = [device.device for device in energy.devices if device.counted]
        assert counted == [truth.gpus[0].uuid] == result.environment.device_uuids


def test_gpus_that_the_engine_did_not_use_are_listed_apart(measured_on_gpus):
    tree, truth = measured_on_gpus
    for path in tree.results():
        (idle,) = [d for d in read_result(path).energy.devices if not d.counted]
        assert idle.device == truth.gpus[2].uuid
        assert idle.energy_joules is not None


def test_the_engine_is_no_foreign_process(measured_on_gpus):
    tree, _ = measured_on_gpus
    for path in tree.results():
        codes = {flag.code for flag in read_result(path).flags}
        assert codes.isdisjoint({"contended", "gpu_use_unknown"})


def test_a_measurement_goes_through_its_phases_in_order(measured_on_gpus):
    tree, _ = measured_on_gpus
    first, second = sorted(map(read_result, tree.results()), key=lambda r: r.position)
    names = [phase.name for phase in first.phases]
    assert names == ["host_idle", "load", "settle", "idle", "warmup", "window", "tail"]
    names = [phase.name for phase in second.phases]
    assert names == ["cool_down", "load", "settle", "idle", "warmup", "window", "tail"]
    for result in (first, second):
        starts = [phase.start_monotonic_s for phase in result.phases]
        assert starts == sorted(starts)
        assert result.energy.host_idle_power_watts == pytest.approx(100.0, rel=0.02)


def test_the_warm_up_waits_for_power_and_temperature(measured_on_gpus):
    tree, _ = measured_on_gpus
    for path in tree.results():
        warmup = read_result(path).warmup
        assert warmup.power.verdict == "no_drift_seen"
        assert warmup.duration_s > warmup.power.span_s
        assert warmup.power.temperature_range_celsius <= 1.0


def test_the_source_is_chosen_once_and_kept(measured_on_gpus):
    tree, truth = measured_on_gpus
    sensors = read_sensors(tree.folder / "results" / "nap")
    assert sensors["method"] == "counter"
    assert set(sensors["devices"]) == {gpu.uuid for gpu in truth.gpus}


def test_both_edges_of_the_window_lie_inside_the_load(measured_on_gpus):
    tree, _ = measured_on_gpus
    for path in tree.results():
        result = read_result(path)
        series = read_series(tree.folder / "results/nap" / result.side_files["series"].path)
        device = next(d for d in series.devices if d.id in result.environment.device_uuids)
        power = series.samples(device, "instant_power_watts")
        window = result.window
        before = power.between(window.start_monotonic_s - 1.0, window.start_monotonic_s)
        after = power.between(window.end_monotonic_s, window.end_monotonic_s + 1.0)
        assert len(before) > 0
        assert len(after) > 0
        near = power.between(window.start_monotonic_s - 1.0, window.end_monotonic_s + 1.0)
        assert min(near.values) > result.energy.mean_power_watts / 2


def test_series_are_exported_for_other_tools(measured_on_gpus):
    tree, truth = measured_on_gpus
    tree.run("export", check=True)
    exported = sorted((tree.folder / "results/nap/export").glob("**/*.lp"))
    assert len(exported) == len(tree.results())
    assert f"device={truth.gpus[0].uuid}," in exported[0].read_text()
    assert exported[0].read_text().startswith("power,campaign=nap,cycle=1,device=")


def test_the_joules_of_each_job_are_in_the_metadata_of_the_archive(measured_on_gpus, tmp_path):
    tree, _ = measured_on_gpus
    tree.run("archive", check=True)
    with tarfile.open(tree.folder / "results/nap/archive/nap.tar.gz") as archive:
        archive.extract("nap/ro-crate-metadata.json", tmp_path, filter="data")
    graph = json.loads((tmp_path / "nap/ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    for path in tree.results():
        energy = read_result(path).energy
        name = path.relative_to(tree.folder / "results/nap").with_suffix("")
        used = [entities[each["@id"]] for each in entities[f"#job/{name}"]["resourceUsage"]]
        assert {each["name"]: each["value"] for each in used} == {
            "energy_joules": energy.energy_joules,
            "warmup_energy_joules": energy.warmup_energy_joules,
            "load_energy_joules": energy.load_energy_joules,
        }
        assert "from a SIMULATED sensor" in entities[f"#job/{name}"]["description"]


def test_the_summary_and_the_report_say_that_it_was_simulated(measured_on_gpus):
    tree, _ = measured_on_gpus
    results = tree.folder / "results" / "nap"
    (table,) = results.glob("summary/measurements.csv")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["energy_simulated"].lower() for row in rows} == {"true"}
    assert all(float(row["joules_per_output_token"]) > 0.0 for row in rows)
    assert "imulated" in (results / "report.html").read_text()


def test_one_of_two_gpus_lost_in_the_window_is_no_energy_not_half_of_it(
    tmp_path, nvml_library, monkeypatch
):
    both = {"load_file": tmp_path / "load", "process_file": tmp_path / "load.processes"}
    gpus = [replace(with_uuid(LOADED, n), **both) for n in (1, 2)]
    gpus[1] = replace(gpus[1], lost_file=tmp_path / "load.lost")
    # In the window: the warm-up has 5 waves or so, the window 25, or fewer on a busy machine.
    monkeypatch.setenv("NVML_SIMULATOR_LOST_AFTER", "10")
    campaign = CAMPAIGN_ON_GPUS | {
        "measurement": MEASUREMENT | {"warmup_cap_s": 1.5, "baseline_s": 0.4},
        "experiments": {"nap": {}},
    }
    tree, truth = powered_tree(campaign, gpus, tmp_path, nvml_library, monkeypatch)
    tree.run("report", check=True)
    (path,) = tree.results()
    result = read_result(path)
    assert result.status == "completed"
    assert result.output_tokens_per_second > 0.0
    assert (result.energy.energy_joules, result.energy.reason) == (None, "gpu_lost")
    assert result.energy.joules_per_output_token is None
    kept, lost = result.energy.devices
    true = truth.joules(0, result.window.start_monotonic_s, result.window.end_monotonic_s)
    assert kept.energy_joules == pytest.approx(true, rel=0.002)
    assert lost.reason == "gpu_lost"
    series = read_series(tree.folder / "results/nap" / result.side_files["series"].path)
    counted = series.samples(series.devices[1], "energy_counter_joules")
    assert 0 < len(counted) < len(series.samples(series.devices[0], "energy_counter_joules"))
    assert "gpu_lost" in (tree.folder / "results/nap/summary/measurements.csv").read_text()


def test_snakemakes_own_report_holds_page_figures_and_tables(measured_on_gpus):
    tree, _ = measured_on_gpus
    said = tree.run("--report", "own.html", check=True).stdout
    for name in ("report.html", "measurements.csv", "throughput.svg", "power.svg", "results.csv"):
        assert f"Adding {name} " in said
    assert (tree.folder / "own.html").stat().st_size > 1e6


def test_figures_and_tables_lie_beside_the_page(measured_on_gpus):
    tree, _ = measured_on_gpus
    results = tree.folder / "results" / "nap"
    assert {file.suffix for file in results.glob("figures/power.*")} == {
        ".svg",
        ".pdf",
        ".png",
        ".csv",
    }
    assert r"\toprule" in (results / "tables/results.tex").read_text()
    assert "power-courses" in (results / "report.html").read_text()
