"""Which driver's GPUs are metered: NVIDIA's, and AMD's only where there are none."""

import pytest
from tests.amd_smi_simulator.library import VARIABLE
from tests.amd_smi_simulator.scenario import AmdGpu
from tests.llm_energy.power.hanging_driver import sampled_reasons
from tests.nvml_simulator.scenario import Gpu

from llm_energy.power import gpu_driver
from llm_energy.power.gpu_driver import GpuDriverError, connect_gpus, open_gpus
from llm_energy.power.sources import can_meter, open_meters


def test_amds_gpus_are_metered_where_nvml_is_not_there(simulate_amd, tmp_path):
    simulate_amd(AmdGpu())
    (meter,) = open_meters(cpu_model="Made CPU", gpus=True, classes=tmp_path)
    assert [device.model for device in meter.devices] == ["Simulated Instinct"]
    meter.close()
    assert can_meter(gpus=True, classes=tmp_path)


def test_amds_gpus_are_metered_where_nvml_shows_none(simulate, simulate_amd):
    simulate()
    simulate_amd(AmdGpu())
    meter = open_gpus()
    assert [device.model for device in meter.devices] == ["Simulated Instinct"]
    meter.close()


def test_amd_smi_is_left_alone_where_nvml_is_enough(simulate, simulate_amd, monkeypatch):
    simulate(Gpu())
    simulate_amd(AmdGpu())
    monkeypatch.setattr(gpu_driver, "AmdSmiMeter", None)
    meter = open_gpus()
    assert [device.id for device in meter.devices] == [Gpu().uuid]
    meter.close()


def test_amd_is_named_only_where_its_kernel_driver_is_loaded(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("ROCM_HOME", str(tmp_path))
    with pytest.raises(GpuDriverError, match=r"^the NVIDIA driver does not work") as refused:
        connect_gpus()
    assert "AMD" not in str(refused.value)
    monkeypatch.setattr(gpu_driver, "AMD_DRIVER", tmp_path)
    with pytest.raises(GpuDriverError, match=r"NVIDIA.*(amdsmi|AMD SMI)"):
        connect_gpus()
    assert open_gpus() is None


def test_a_library_that_never_answers_ends_nothing(simulate_amd, amd_library, tmp_path):
    hangs = tmp_path / "hangs"
    simulate_amd(AmdGpu(hangs_file=hangs))
    reasons = sampled_reasons(amd_library, hangs, AmdGpu().id)
    assert (reasons[0], reasons[-1]) == ("None", "timeout")
