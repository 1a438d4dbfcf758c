"""The sets of GPUs of a machine, through the simulated NVML."""

from dataclasses import replace

import pytest
from tests.llm_energy.make_campaigns import load, with_experiments
from tests.llm_energy.preflight.made_machines import gpu
from tests.nvml_simulator.scenario import Gpu, with_uuid

from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.preflight import gpu_sets
from llm_energy.preflight.gpu_sets import device_sets, set_findings
from llm_energy.preflight.gpus import ask_gpus, read_gpus
from llm_energy.preflight.obstacles import gpu_obstacles


def parallel(**known):
    return Parallel.model_validate(known)


def sets(machine, **known):
    return [each.devices for each in device_sets(parallel(**known), machine)]


def findings(machine, **known):
    return [(f.status, f.message) for f in set_findings(parallel(**known), machine)]


FOUR = [gpu(number) for number in range(4)]


def test_gpus_make_sets_in_the_order_of_the_driver_or_of_the_list():
    assert sets(FOUR) == [("GPU-0",), ("GPU-1",), ("GPU-2",), ("GPU-3",)]
    assert sets(FOUR, devices_per_measurement=2) == [("GPU-0", "GPU-1"), ("GPU-2", "GPU-3")]
    assert sets(FOUR, devices=["GPU-3", "GPU-1"]) == [("GPU-3",), ("GPU-1",)]


def test_what_is_left_over_is_not_used():
    assert sets(FOUR[:3], devices_per_measurement=2) == [("GPU-0", "GPU-1")]
    assert findings(FOUR[:3], devices_per_measurement=2) == [
        ("note", "1 set of 2 GPUs: GPU-0, GPU-1; 1 GPU left over")
    ]


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"devices": ["GPU-9"]}, "parallel.devices: this machine has no GPU-9, but GPU-0, GPU-1"),
        ({"devices_per_measurement": 8}, "4 GPUs cannot make a set of 8; lower"),
    ],
)
def test_sets_that_cannot_be_made_are_a_problem(known, message):
    ((status, found),) = findings(FOUR, **known)
    assert status == "problem"
    assert found.startswith(message)


def test_gpus_of_several_models_make_no_sets(simulate):
    old, new, newer = (with_uuid(Gpu(name=f"Board {n}000"), n) for n in (8, 9, 9))
    newer = replace(newer, uuid=with_uuid(newer, 10).uuid)
    simulate(old, new, newer)
    ((status, message),) = findings(read_gpus())
    assert (status, message) == (
        "problem",
        "the GPUs are of several models, whose results are never averaged (Board 8000: "
        f"{old.uuid}; Board 9000: {new.uuid}, {newer.uuid}); list those of one model in "
        "parallel.devices",
    )
    ((status, _),) = findings(read_gpus(), devices=[new.uuid, newer.uuid])
    assert status == "note"


def test_one_that_is_left_over_may_be_of_another_model(simulate):
    simulate(with_uuid(Gpu(), 1), with_uuid(Gpu(), 2), with_uuid(Gpu(name="Another"), 3))
    ((status, _),) = findings(read_gpus(), devices_per_measurement=2)
    assert status == "note"


def test_a_gpu_that_is_split_by_mig_is_no_part_of_a_set(simulate):
    whole, split = with_uuid(Gpu(), 1), with_uuid(Gpu(mig=True), 2)
    simulate(whole, split)
    ((status, found),) = findings(read_gpus())
    assert status == "problem"
    assert found.startswith(f"{split.uuid}: is split by MIG")
    assert findings(read_gpus(), devices=[whole.uuid]) == [
        ("note", f"1 set of 1 GPU: {whole.uuid}")
    ]


def test_a_set_has_the_cpus_near_its_gpus_that_may_be_used(simulate, monkeypatch):
    monkeypatch.setattr(gpu_sets.os, "sched_getaffinity", lambda _: set(range(6)))
    near = [with_uuid(Gpu(cpus=cpus), n) for n, cpus in enumerate([(0, 1), (4, 5, 6, 7)])]
    simulate(*near, with_uuid(Gpu(), 2))
    machine = read_gpus()
    found = device_sets(parallel(), machine)
    assert [each.cpus for each in found] == [(0, 1), (4, 5), None]
    (both,) = device_sets(parallel(devices_per_measurement=2), machine[:2])
    assert both.cpus == (0, 1, 4, 5)
    (unknown,) = device_sets(parallel(devices_per_measurement=2), machine[1:])
    assert unknown.cpus is None


def test_a_lost_gpu_is_left_out():
    lost = replace(gpu(7), unreadable="gpu_lost")
    assert sets([*FOUR, lost]) == sets(FOUR)


NUMBERED = [replace(each, index=number) for number, each in enumerate(FOUR)]


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        ("2,3", [("GPU-2",), ("GPU-3",)]),
        ("3, GPU-0", [("GPU-3",), ("GPU-0",)]),
        ("1,-1,2", [("GPU-1",)]),  # as CUDA, which ignores what follows a wrong one
        ("GPU-3,GPU-", [("GPU-3",)]),  # as CUDA, to which the beginning of several is none
        ("G", []),
        ("", []),
    ],
)
def test_gpus_that_are_hidden_from_this_process_make_no_set(variable, found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert sets(NUMBERED) == found


def test_hidden_gpus_are_named_where_the_others_are_too_few(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    ((_, message),) = findings(NUMBERED, devices_per_measurement=2)
    assert message.startswith("1 GPU cannot make a set of 2 (CUDA_VISIBLE_DEVICES is `1`)")
    ((_, message),) = findings(NUMBERED, devices=["GPU-2"])
    assert message == (
        "parallel.devices: this machine has no GPU-2, but GPU-1 (CUDA_VISIBLE_DEVICES is `1`); "
        "correct it"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1")
    ((_, message),) = findings(NUMBERED)
    assert message == (
        "0 GPUs cannot make a set of 1 (CUDA_VISIBLE_DEVICES is `MIG-1`); name whole GPUs in it"
    )


def test_the_beginning_of_a_uuid_names_its_gpu(monkeypatch):
    machine = [replace(gpu(number), index=number) for number in (10, 20)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert sets(machine) == [("GPU-20",)]


def test_too_few_gpus_for_one_set_are_one_line_of_the_sets(own_root, simulate):
    """No backend has asked for so many."""
    simulate(Gpu(), with_uuid(Gpu(), 2))
    config = with_experiments(one={}) | {"measurement": {"device": "gpu"}}
    campaign = load(own_root, config | {"parallel": {"devices_per_measurement": 3}})
    assert gpu_obstacles(campaign, ask_gpus()) == [
        "gpu sets: 2 GPUs cannot make a set of 3; lower parallel.devices_per_measurement"
    ]
    campaign = load(own_root, config | {"parallel": {"devices_per_measurement": 2}})
    assert gpu_obstacles(campaign, ask_gpus()) == []
