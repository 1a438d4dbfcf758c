"""Which of the engine's events concern a backend, and what they mean."""

import pytest

from llm_energy.containers.events import ContainerEvent, read_event


def message(action: str, **attributes: str) -> dict:
    labels = {"org.llm-energy.backend": "vllm", "image": "some", "name": "some"}
    return {"Type": "container", "Action": action, "Actor": {"Attributes": labels | attributes}}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (message("die", exitCode="137"), "dead"),
        (message("oom"), "out_of_memory"),
        (message("health_status: unhealthy"), "unhealthy"),
    ],
)
def test_what_needs_action(given, kind):
    event = read_event(given)
    assert event is not None
    assert (event.backend, event.kind) == ("vllm", kind)


def test_the_exit_code_is_reported():
    event = read_event(message("die", exitCode="5"))
    assert event == ContainerEvent("vllm", "dead", "its container ended with exit code 5")


@pytest.mark.parametrize(
    "action", ["create", "start", "health_status: healthy", "exec_create: python3", "destroy"]
)
def test_everyday_events_need_none(action):
    assert read_event(message(action)) is None


def test_containers_of_others_are_not_ours():
    assert read_event({"Action": "die", "Actor": {"Attributes": {"exitCode": "0"}}}) is None
    assert read_event({"Action": "die"}) is None
