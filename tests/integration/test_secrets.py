"""No file of a run holds a secret: neither log nor result nor archive."""

import copy
import tarfile

import pytest

from tests.integration.workflow import CAMPAIGN, Tree

pytestmark = pytest.mark.integration

SECRET = "hf_MarkerOfASecretThatNoFileMayHold"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")
VARIABLES += ("INFLUX_TOKEN", "INFLUX_PASSWORD", "VM_PASSWORD", "PGPASSWORD", "REDFISH_PASSWORD")


def test_secrets_of_the_environment_are_in_no_file(tmp_path):
    """With an attempt that fails, so that its record and the engine's last lines are there too."""
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": 1}
    campaign["defaults"]["engine"] = {
        "sleep": {"wave_fault": "betray", "fault_once_file": str(tmp_path / "fault")}
    }
    tree = Tree.create(tmp_path / "tree", campaign)
    done = tree.run("archive", check=True, environment=dict.fromkeys(VARIABLES, SECRET))
    assert [failure["reason"] for failure in tree.failures()] == ["backend_lost"]
    assert SECRET not in done.stdout
    files = [path for path in tree.folder.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    (archive,) = tree.folder.glob("results/nap/archive/*.tar.gz")
    with tarfile.open(archive) as packed:
        members = [member for member in packed if member.isfile()]
        assert members
        for member in members:
            assert SECRET.encode() not in packed.extractfile(member).read(), member.name
