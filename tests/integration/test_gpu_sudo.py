"""The rule that the documentation gives lets a user set GPUs through sudo, and do nothing else.

All of it happens in a mount namespace: there alone are a user without any rights, the rule, the
simulated library where root finds a real one, and an empty /run.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.workflow import ROOT
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, Scenario, constant, settings_of

__all__ = ["nvml_library"]

pytestmark = pytest.mark.long

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
TOOLS = ("sudo", "visudo", "unshare", "setpriv", "ldconfig")
USER, USER_ID = "energy-tester", 64242
PROMPT_FREE = "/usr/local/sbin/llm-energy-gpu"

ENTER = rf"""
set -eu
cd "$1"
cp -p /etc/passwd /etc/group /etc/shadow .
echo '{USER}:x:{USER_ID}:{USER_ID}::/:/bin/sh' >> passwd
echo '{USER}:x:{USER_ID}:' >> group
echo '{USER}:*:20000:0:99999:7:::' >> shadow
for file in passwd group shadow; do mount --bind $file /etc/$file; done
ldconfig -C "$1/ld.so.cache" "$1/library"
mount --bind ld.so.cache /etc/ld.so.cache
for place in /etc/sudoers.d /usr/local/sbin /run; do mount -t tmpfs -o mode=755 none $place; done
# sudo keeps no variable of a user, and by this one the library finds its scenario.
echo 'Defaults env_keep += "NVML_SIMULATOR_SCENARIO"' > /etc/sudoers.d/simulator
chmod 440 /etc/sudoers.d/simulator
as_user() {{
  setpriv --reuid {USER_ID} --regid {USER_ID} --clear-groups env -i PATH="$PATH" \
    NVML_SIMULATOR_SCENARIO="$NVML_SIMULATOR_SCENARIO" LD_LIBRARY_PATH=/nowhere \
    PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 "$@" < /dev/null
}}
cd tree
"""

CHECK = """
import os
from llm_energy.power import gpu_control
print(os.geteuid(), gpu_control.refusal())
"""

SET = """
import os, sys
from llm_energy.power import gpu_control
from llm_energy.power.gpu_targets import Clocks, GpuSetting
uuid = sys.argv[1]
gpu_control.check(uuid)
print(gpu_control.set_gpu(uuid, GpuSetting(350.0, Clocks(210, 1500)), owner_pid=os.getpid()))
(one,) = gpu_control.outstanding()
print(one.user, one.command)
record = os.stat(f"/run/llm-energy-gpu/{uuid}.json")
print(record.st_uid, oct(record.st_mode))
"""

RESTORE = SET + "print(gpu_control.restore_gpu(uuid, owner_pid=os.getpid()))"

NEXT_START = """
from llm_energy.power import gpu_control
print(gpu_control.restore_all(owner=None))
"""


class Machine:
    """A folder that every user may read, with the tree's code and a simulated GPU."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        for name in ("scripts", "envs/workflow"):
            shutil.copytree(ROOT / name, folder / "tree" / name)
        shutil.copytree(library.parent, folder / "library")
        self.gpu = Gpu(settings_file=folder / "settings", limit_watts=650.0, knots=constant(600.0))
        Scenario([self.gpu]).write(folder / "scenario")
        for name, text in (("check", CHECK), ("set", SET), ("restore", RESTORE)):
            (folder / f"{name}.py").write_text(text)
        (folder / "next_start.py").write_text(NEXT_START)

    def run(self, *commands: str) -> str:
        """Run commands as root, `as_user ...` as the user; returns what they print."""
        scenario = str(self.folder / "scenario")
        environment = {"PATH": PATH, "USER": USER, "NVML_SIMULATOR_SCENARIO": scenario}
        script = ENTER + "\n".join(commands)
        unshare = ["unshare", "--mount", "--propagation", "private"]
        done = subprocess.run(
            [*unshare, "bash", "-c", script, "enter", str(self.folder)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # without a terminal
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, name: str) -> str:
        return f"as_user /usr/bin/python3 {self.folder}/{name}.py {self.gpu.uuid}"

    @property
    def settings(self) -> list[tuple[float, int]]:
        """(power limit in W, highest SM clock in MHz) that were set, the last one at the end."""
        return [(watts, mhz) for _, watts, mhz in settings_of(self.gpu, 0.0)]


@pytest.fixture
def machine(nvml_library):
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    missing += ["root"] if os.geteuid() else []
    if missing:
        message = f"sudo cannot be tried without {', '.join(missing)}"
        if os.environ.get("REQUIRE_SUDO"):
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(f"/var/tmp/gpu-sudo-{os.getpid()}")  # pytest's own folders are for root alone
    folder.mkdir(mode=0o755)
    try:
        yield Machine(folder, nvml_library)
    finally:
        shutil.rmtree(folder)


def documented() -> str:
    """Return the commands that docs/power-limits.md gives."""
    text = (ROOT / "docs/power-limits.md").read_text()
    (commands,) = re.findall(r"```\n(sudo install .*?)```", text, flags=re.DOTALL)
    assert [line.split()[0] for line in commands.splitlines()] == ["sudo", "echo", "sudo", "sudo"]
    return commands


def test_with_the_documented_rule_a_user_sets_and_restores_without_a_terminal(machine):
    printed = machine.run(documented(), machine.python("check"), machine.python("restore"))
    refusal, found, user, record, restored = printed.splitlines()[-5:]
    assert "/etc/sudoers.d/llm-energy-gpu: parsed OK" in printed
    assert refusal == f"{USER_ID} None"
    assert found == "650.0"
    assert user == f"{USER} sudo {PROMPT_FREE} restore {machine.gpu.uuid}"
    assert record == "0 0o100644"
    assert restored == "restored"
    assert (350.0, 1500) in machine.settings
    assert machine.settings[-1] == (650.0, 0)


def test_the_next_start_of_the_user_restores_what_a_dead_process_left(machine):
    printed = machine.run(documented(), machine.python("set"), machine.python("next_start"))
    assert "power limit and clocks are as they were found" in printed.splitlines()[-1]
    assert machine.settings[-1] == (650.0, 0)


def test_the_rule_allows_nothing_else_and_refusals_have_the_remedy(machine):
    check = machine.python("check")
    without = machine.run(check)
    assert "needs a script that root owns: sudo install -o root -g root -m 755 " in without
    install = documented().splitlines()[0]
    unruled = machine.run(install, check)
    assert f"sudo does not allow {PROMPT_FREE} without a password" in unruled
    older = machine.run(documented(), f"echo >> {PROMPT_FREE}", check)
    assert "is not of this version" in older
    others = machine.run(documented(), "as_user sudo -n id 2>&1 || true")
    assert "password is required" in others
