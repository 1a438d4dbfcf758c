"""The simulated library for tests in this process; conftest files import what they need."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nvml_simulator.library import VARIABLE, build, preload
from tests.nvml_simulator.scenario import Gpu, Scenario

Simulate = Callable[..., Scenario]


@pytest.fixture(scope="session", autouse=True)
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated library, loaded before anybody can load a real one."""
    library = build(tmp_path_factory.mktemp("nvml"))
    preload(library)
    return library


@pytest.fixture
def simulate(
    nvml_library: Path,  # noqa: ARG001 - it must be loaded
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Simulate:
    """Call it with GPUs: from then on they are what NVML sees when it is initialised."""

    def start(*gpus: Gpu, **options: object) -> Scenario:
        scenario = Scenario(gpus, **options)  # type: ignore[arg-type]
        monkeypatch.setenv(VARIABLE, str(scenario.write(tmp_path / "scenario.txt")))
        return scenario

    return start


@pytest.fixture
def pynvml(nvml_library: Path) -> Iterator[object]:  # noqa: ARG001 - it must be loaded
    """The real Python binding; whatever a test leaves initialised is shut down."""
    import pynvml as binding

    yield binding
    while True:
        try:
            binding.nvmlShutdown()
        except binding.NVMLError:
            break
