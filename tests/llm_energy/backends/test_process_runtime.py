"""The environment of an engine: of the user's, without secrets of registries and controllers."""

from llm_energy.backends.process_runtime import worker_environment


def test_secrets_of_registries_and_controllers_are_left_out(monkeypatch):
    for name in ("HF_TOKEN", "PIP_INDEX_URL", "REDFISH_USERNAME", "REDFISH_PASSWORD"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = worker_environment()
    assert "s3cret" not in found.values()
    assert found["OMP_NUM_THREADS"] == "2"
