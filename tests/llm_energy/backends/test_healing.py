"""A container that lives and does not answer is restarted; one that is gone is recreated."""

import os
import signal
import subprocess
import threading
import time

import pytest
from docker.errors import APIError
from docker.models.containers import Container
from tests.integration.docker import supervisor_of
from tests.waiting import wait_until

from llm_energy.backends import healing, health, running
from llm_energy.containers import engine as containers_engine
from llm_energy.runs.run import Run

PATIENCE_S = 60.0


@pytest.fixture
def healed(run, monkeypatch):
    """Has a backend looked after, with a check of its answer after so many seconds each time."""
    healer = healing.Healer(run)

    def start(*, check_s):
        monkeypatch.setattr(healing, "LOOK_S", 0.2)
        monkeypatch.setattr(healing, "CHECK_S", check_s)
        record = running.ensure_backend(run, "bare")
        threading.Thread(target=healer.heal_all, daemon=True).start()
        return record

    yield start
    healer.end()


@pytest.fixture
def heard(monkeypatch):
    """Set once a listener has got an event of the engine, and hence will get all that follow."""
    got_one = threading.Event()

    def connect():
        client = containers_engine.connect()
        events = client.events

        def stream(**options):
            for event in events(**options):
                got_one.set()
                yield event

        client.events = stream
        return client

    monkeypatch.setattr("llm_energy.containers.events.connect", connect)
    return got_one


def wait_for_event(run):
    deadline = time.monotonic() + PATIENCE_S
    while not (events := list(run.events())):
        assert time.monotonic() < deadline, "nothing was healed"
        time.sleep(0.1)
    return events[0]


def answers(record):
    with running.connect(record) as session:
        return session.peer["event"] == "hello"


def test_a_hung_supervisor_is_restarted_in_its_container(run, healed):
    record = healed(check_s=0.5)
    os.kill(supervisor_of(record.handle["container"]), signal.SIGSTOP)
    event = wait_for_event(run)
    assert (event["kind"], event["backend"]) == ("backend_restarted", "bare")
    assert "no answer to `hello`" in event["reason"]
    assert running.known_backend(run, "bare") == record
    assert answers(record)


@pytest.mark.parametrize("refused", ["restart", "exec_run"])
def test_a_restart_that_the_engine_refuses_once_is_tried_again(run, monkeypatch, refused):
    record, method, calls = running.ensure_backend(run, "bare"), getattr(Container, refused), []

    def once_refused(container, *arguments, **options):
        calls.append(refused)
        if len(calls) == 1:
            raise APIError("refused")
        return method(container, *arguments, **options)

    monkeypatch.setattr(Container, refused, once_refused)
    running.heal_backend(run, record, reason="made")
    assert [event["kind"] for event in run.events()] == ["backend_restarted"]
    assert running.known_backend(run, "bare") == record
    assert answers(record)


def test_a_container_that_is_gone_is_recreated(run, healed, heard):
    record = healed(check_s=600.0)  # the engine's event comes first, however busy the machine is
    container = record.handle["container"]

    def heard_of_a_command():
        subprocess.run(["docker", "exec", container, "true"], check=True)
        return heard.is_set()

    wait_until(heard_of_a_command, what="the healer hears of what happens in the container")
    subprocess.run(["docker", "kill", container], check=True)
    event = wait_for_event(run)
    assert (event["kind"], event["backend"]) == ("backend_recreated", "bare")
    assert event["reason"] == "its container ended with exit code 137"
    recreated = running.known_backend(run, "bare")
    assert recreated.handle["container"] != container
    assert answers(recreated)
    assert health.of(run, "bare").failures_in_a_row == 0  # it cost no measurement


def test_nobody_is_queried_beside_a_measurement(run, monkeypatch):
    record = running.ensure_backend(run, "bare")
    asked = []
    monkeypatch.setattr(healing, "connect", asked.append)
    with run.measuring_lock.open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        healing.Healer(run)._check(record)
    assert asked == []


def test_what_is_being_healed_is_finished_and_then_nothing_is_healed_any_more(tmp_path):
    begun, may_finish, healed = threading.Event(), threading.Event(), []

    class Slow(healing.Healer):
        def _heal(self, complaint):
            begun.set()
            may_finish.wait()
            healed.append(complaint.backend)

    healer = Slow(Run(tmp_path))
    working = threading.Thread(target=healer.heal_all)
    working.start()
    healer._complain("first", "it is gone", hung=False)
    begun.wait()
    ending = threading.Thread(target=healer.end)
    ending.start()
    assert healed == []
    may_finish.set()
    ending.join()
    assert healed == ["first"]
    healer._complain("second", "it is gone", hung=False)
    working.join()
    assert healed == ["first"]
