"""Every query is asked, and a refusal is an answer too."""

import pytest

from tests.gpu.nvml_answers import answers, field_answers, try_setters
from tests.nvml_simulator.fixtures import nvml_library, simulate
from tests.nvml_simulator.fixtures import pynvml as binding
from tests.nvml_simulator.scenario import NOT_SUPPORTED, Fault, Gpu, noise

__all__ = ["binding", "nvml_library", "simulate"]

CHANGING = Gpu(
    knots=noise(mean=600.0, deviation=20.0, period_s=10.0, step_s=0.1, seed=1),
    period_s=10.0,
    faults=(Fault("average", NOT_SUPPORTED),),
)


@pytest.fixture
def handle(simulate, binding):
    simulate(CHANGING)
    binding.nvmlInit()
    return binding.nvmlDeviceGetHandleByIndex(0)


def test_a_query_has_a_value_or_the_code_of_its_refusal(handle, binding):
    found = {answer.query: answer for answer in answers(binding, handle)}
    assert found["nvmlDeviceGetName"].value == "Simulated GPU"
    assert found["nvmlDeviceGetMigMode"].value == "[0, 0]"
    missing = found["nvmlDeviceGetVbiosVersion"]
    assert (missing.value, missing.error) == (None, "Function Not Found (code 13)")


def test_a_field_has_its_update_period_where_it_changes(handle, binding):
    found = {answer.query: answer for answer in field_answers(binding, handle, watched_s=1.5)}
    assert found["field POWER_INSTANT"].update_period_s is not None
    assert found["field POWER_AVERAGE"].error == "Not Supported (code 3)"
    assert found["field POWER_AVERAGE"].update_period_s is None


class OwnMachine:
    """A binding with a power limit."""

    NVMLError = RuntimeError
    limit_mw = 650_000

    def nvmlDeviceGetPowerManagementLimit(self, _):  # noqa: N802 - NVML's name
        return self.limit_mw

    def nvmlDeviceSetPowerManagementLimit(self, _, limit_mw):  # noqa: N802 - NVML's name
        assert limit_mw == self.limit_mw


def test_the_setter_sets_what_is_set_already():
    (answer,) = try_setters(OwnMachine(), None)
    assert answer.error is None
