"""The base image `debian`: its recipe with stand-ins for the tools, and the real one."""

import os
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest
from tests.llm_energy.inputs.boxes import ROOT

from llm_energy.campaign.identity import DEBIAN_RECIPE, base_identity
from llm_energy.inputs.base_image import debian_tag, make
from llm_energy.system.errors import InputError

MIRROR = "http://mirror.invalid/debian"

TOOLS = {
    "id": "echo 0",
    "debootstrap": """
echo "$@" > "$TOLD/debootstrap"
for folder; do case $folder in /var/tmp/*) break;; esac; done
mkdir -p "$folder"/etc/apt "$folder"/var/{cache/apt/archives,lib/apt/lists,log}
echo nameserver 192.0.2.1 > "$folder/etc/resolv.conf"
echo myhost > "$folder/etc/hostname"
echo "deb $MIRROR bookworm main" > "$folder/etc/apt/sources.list"
touch "$folder"/var/{cache/apt/archives/a.deb,lib/apt/lists/list,log/bootstrap.log}
""",
    "docker": """printf '%s\\n' "$@" > "$TOLD/docker"; cat > "$TOLD/image.tar" """,
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with stand-ins for the tools of the recipe; what they are told lies there too."""
    for name, script in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(tools: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "TOLD": f"{tools}/told"} | variables
    (tools / "told").mkdir(exist_ok=True)
    command = [str(ROOT / DEBIAN_RECIPE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_it_is_tagged_as_the_workflow_looks_for_it(tools: Path) -> None:
    assert run(tools).returncode == 0
    identity = base_identity(ROOT, "debian")
    told = (tools / "told/docker").read_text().splitlines()
    assert told[-1] == debian_tag(identity)
    assert f"LABEL org.llm-energy.base={identity['base']}" in told


def test_another_tag_can_be_given(tools: Path) -> None:
    assert run(tools, "mine:1").returncode == 0
    assert (tools / "told/docker").read_text().splitlines()[-1] == "mine:1"


def test_a_mirror_is_used_and_leaves_no_trace(tools: Path) -> None:
    done = run(tools, MIRROR=MIRROR)
    assert done.returncode == 0, done.stderr
    assert (tools / "told/debootstrap").read_text().split()[-1] == MIRROR
    with tarfile.open(tools / "told/image.tar") as image:
        files = {m.name: image.extractfile(m).read() for m in image if m.isfile()}  # type: ignore[union-attr]
    assert list(files) == ["./etc/apt/sources.list"]
    assert b"mirror.invalid" not in files["./etc/apt/sources.list"]


def test_it_leaves_nothing_behind(tools: Path) -> None:
    run(tools)
    folder = (tools / "told/debootstrap").read_text().split()[-2]
    assert not Path(folder).exists()


def test_a_tool_that_fails_ends_it_with_its_words(tools: Path) -> None:
    (tools / "debootstrap").write_text("#!/bin/sh\necho E: no such mirror >&2; exit 1\n")
    done = run(tools)
    assert done.returncode == 1
    assert done.stderr == "E: no such mirror\n"
    assert not (tools / "told/docker").exists()


def test_a_user_who_is_not_root_is_given_the_command(tools: Path) -> None:
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    done = run(tools)
    assert done.returncode == 1
    assert done.stderr == ("make-base.sh: debootstrap needs root: sudo envs/debian/make-base.sh\n")


def test_a_failing_recipe_is_reported_in_one_line(
    tools: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools / "debootstrap").write_text("#!/bin/sh\necho I: first; echo E: last; exit 1\n")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(tools))
    with pytest.raises(InputError) as error:
        make(ROOT, log=log)
    assert str(error.value) == f"envs/debian/make-base.sh failed: E: last (log: {log})"


def test_the_real_one_has_what_engines_need(engine: docker.DockerClient, debian: str) -> None:
    code = "import ctypes, venv; [ctypes.CDLL(f'lib{n}') for n in ('gomp.so.1', 'numa.so.1')]"
    command = ["sh", "-c", f'python3 -c "{code}" && python3 -m pip --version']
    assert b"python 3.11" in engine.containers.run(debian, command, remove=True)
