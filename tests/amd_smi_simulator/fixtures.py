"""The simulated library for tests in this process; conftest files import what they need."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.amd_smi_simulator.library import VARIABLE, build
from tests.amd_smi_simulator.scenario import AmdGpu
from tests.nvml_simulator.scenario import Scenario

SimulateAmd = Callable[..., Scenario]


@pytest.fixture(scope="session")
def amd_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated library, compiled."""
    return build(tmp_path_factory.mktemp("amd"))


@pytest.fixture
def simulate_amd(amd_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulateAmd:
    """Call it with GPUs: from then on they are what AMD SMI sees when it is initialised."""
    home = tmp_path / "rocm"
    (home / "lib").mkdir(parents=True)
    (home / "lib" / amd_library.name).symlink_to(amd_library)
    monkeypatch.setenv("ROCM_HOME", str(home))

    def start(*gpus: AmdGpu, **options: object) -> Scenario:
        scenario = Scenario(gpus, **options)  # type: ignore[arg-type]
        monkeypatch.setenv(VARIABLE, str(scenario.write(tmp_path / "amd.txt")))
        return scenario

    return start
