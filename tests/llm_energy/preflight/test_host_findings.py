"""The host as the kernel's files describe it, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.llm_energy.power.made_power import drawing, powercap
from tests.llm_energy.preflight.made_machines import QUIET

from llm_energy.preflight.disk import Disk, disk_findings, read_disks
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.host_findings import (
    cpu_energy_finding,
    host_findings,
    read_host,
    variable_findings,
)
from llm_energy.results.codes import ENERGY_REASONS


def by_subject(host):
    return {finding.subject: finding for finding in host_findings(host)}


def test_a_quiet_host_is_described():
    found = by_subject(QUIET)
    assert {finding.status for finding in found.values()} == {"ok"}
    expected = "Made OS 1, Linux 6.1, Made CPU, 64 cores, 256 GB of memory, 200 GB available"
    assert found["host"].message == expected


def test_variables_that_engines_inherit_are_named_but_no_secret():
    assert variable_findings({"LANG": "C", "HF_TOKEN": "s"}) == []
    user = {"VLLM_API_KEY": "s", "OMP_NUM_THREADS": "4", "KMP_BLOCKTIME": "0"}
    (finding,) = variable_findings(user)
    assert finding.status == "note"
    assert "inherit KMP_BLOCKTIME=0, OMP_NUM_THREADS=4; results record them" in finding.message


@pytest.mark.parametrize(
    ("cores", "load", "status"),
    [(64, 3.2, "ok"), (64, 3.3, "warning"), (2, 0.5, "ok"), (2, 0.6, "warning")],
)
def test_other_work_is_a_warning_from_a_twentieth_of_the_cores(cores, load, status):
    assert by_subject(replace(QUIET, cores=cores, load_1min=load))["load"].status == status


def test_a_governor_that_saves_power_is_a_warning_with_its_remedy():
    found = by_subject(replace(QUIET, governors=("performance", "schedutil")))["cpu clock"]
    assert found.status == "warning"
    assert "sudo cpupower frequency-set -g performance" in found.message


def test_a_kernel_without_governors_is_unknown():
    found = by_subject(replace(QUIET, governors=()))["cpu clock"]
    assert found.status == "unknown"


def test_the_host_is_read_from_the_kernel(tmp_path):
    for cpu, governor in enumerate(["schedutil", "performance", "schedutil"]):
        folder = tmp_path / f"devices/system/cpu/cpu{cpu}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
    offline = tmp_path / "devices/system/cpu/cpu3/cpufreq"
    offline.mkdir(parents=True)
    (offline / "scaling_governor").symlink_to("/proc/self/mem")  # cannot be read
    host = read_host(sys=tmp_path)
    lines = Path("/proc/meminfo").read_text().splitlines()
    total_kib = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:"))
    assert host.memory_bytes == total_kib * 1024
    assert 0 < host.available_bytes <= host.memory_bytes
    assert host.load_1min >= 0.0
    assert host.governors == ("performance", "schedutil")
    assert host.cores >= 1


class TestCpuEnergy:
    def found(self, root, **options):
        return cpu_energy_finding(cpu="Made CPU", root=root, **({"needed": True} | options))

    def test_domains_that_can_be_read_are_named(self, tmp_path):
        powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
        with drawing(tmp_path, {"intel-rapl:0": 65.0}):
            found = self.found(tmp_path)
        assert found.status == "ok"
        assert "RAPL can be read: intel-rapl:0 (package-0)" in found.message
        (zone,) = found.facts["domains"]
        assert (zone["id"], zone["label"]) == ("intel-rapl:0", "package-0")
        assert (zone["scope"], zone["reason"]) == ("cpu_package", None)

    def test_a_counter_that_never_moves_cannot_be_read(self, tmp_path):
        powercap(tmp_path, {"intel-rapl:0": ("package-0", 5), "intel-rapl:0:0": ("dram", 5)})
        with drawing(tmp_path, {"intel-rapl:0:0": 5.0}):
            found = self.found(tmp_path)
        assert found.status == "warning"
        assert "can be read: intel-rapl:0:0 (package-0/dram)" in found.message
        assert f"not intel-rapl:0 (package-0): {ENERGY_REASONS['counter_stuck']}" in found.message

    def test_a_counter_that_may_not_be_read_is_a_warning_with_its_remedy(self, tmp_path):
        powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
        counter = tmp_path / "intel-rapl:0" / "energy_uj"
        counter.unlink()
        counter.symlink_to("/proc/self/mem")  # reading it fails for root too
        assert self.found(tmp_path).status == "warning"

    def test_links_that_dangle_in_a_container_are_a_warning_with_its_remedy(self, tmp_path):
        (tmp_path / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl:0")
        found = self.found(tmp_path)
        assert (found.status, self.found(tmp_path, needed=False).status) == ("warning", "note")
        assert "can be read: nothing" in found.message
        assert "on the host itself" in found.message

    def test_none_at_all_matters_where_the_cpu_is_measured(self, tmp_path):
        assert self.found(tmp_path).status == "warning"
        assert "every energy will be empty" in self.found(tmp_path).message
        assert self.found(tmp_path, needed=False).status == "note"


class TestDisk:
    MODEL = Finding("note", "model m", "", {"ready": False, "to_fetch_bytes": 5 * 10**9})
    IMAGE = Finding("note", "environment e", "", {"ready": False, "kind": "build"})
    READY = Finding("ok", "environment f", "", {"ready": True, "kind": "venv"})

    def found(self, free_bytes, *, holds_cache=True):
        disks = [Disk((".cache",), free_bytes, holds_cache)]
        (finding,) = disk_findings(disks, [self.MODEL, self.IMAGE, self.READY])
        return finding

    @pytest.mark.parametrize(
        ("free", "status"), [(4.9e9, "problem"), (6e9, "warning"), (8e9, "ok")]
    )
    def test_free_space_against_what_is_to_be_fetched(self, free, status):
        found = self.found(int(free))
        assert found.status == status
        assert found.facts["needed_bytes"] == 5 * 10**9
        assert found.facts["needed_unknown"] == ["environment e"]
        assert "not known yet: environment e" in found.message

    def test_models_need_nothing_of_another_disk(self):
        assert self.found(4 * 10**9, holds_cache=False).facts["needed_bytes"] == 0

    def test_folders_of_one_file_system_are_reported_together_before_they_exist(self, tmp_path):
        cache, results = tmp_path / "a/b/.cache", tmp_path / "results"
        (disk,) = read_disks(cache, results, None)
        assert disk.folders == (str(cache), str(results))
        assert disk.holds_cache
        assert disk.free_bytes > 0
        assert not cache.exists()
