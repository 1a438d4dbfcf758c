"""Threads that read sensors go before others where the system allows it, and read all the same."""

import os
import threading

import pytest
from tests.llm_energy.power.made_power import GPU, reading

from llm_energy.power.deadline import DriverCalls
from llm_energy.power.priority import prefer_this_thread
from llm_energy.power.sampler import Sampler


class Meter:
    devices = (GPU,)

    def read(self, _device, *, slow):  # noqa: ARG002 - the interface's names
        return reading(0.0, instant_power_watts=100.0)

    def close(self):
        pass


def allowing(monkeypatch, lowest):
    """A system that allows niceness down to a value; returns thread -> what was set."""
    nice = {}

    def setpriority(which, thread, niceness):
        assert which == os.PRIO_PROCESS
        if niceness < lowest:
            raise PermissionError
        nice[thread] = niceness

    monkeypatch.setattr(os, "setpriority", setpriority)
    return nice


@pytest.mark.parametrize(("lowest", "given"), [(-20, -20), (-12, -10), (-5, -5)])
def test_a_thread_gets_the_highest_priority_that_the_system_allows(monkeypatch, lowest, given):
    nice = allowing(monkeypatch, lowest)
    assert prefer_this_thread() == given
    assert nice == {threading.get_native_id(): given}


def test_where_nothing_is_allowed_the_thread_stays_as_it_is(monkeypatch):
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    allowing(monkeypatch, 0)
    assert prefer_this_thread() == before


def test_the_threads_of_sampler_and_driver_are_preferred_and_no_other(monkeypatch):
    nice = allowing(monkeypatch, -20)
    calls = DriverCalls()
    driver = calls.call(threading.get_native_id, deadline_s=60.0)
    with Sampler([Meter()], rate_hz=100.0) as sampler:
        sampling = sampler._common._thread.native_id
    calls.end()
    assert set(nice) == {driver, sampling}
    assert threading.get_native_id() not in nice
