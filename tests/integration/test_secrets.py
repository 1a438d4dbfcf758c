"""No file of a run holds a secret: neither log nor result nor archive."""

import copy
import tarfile

import pytest

from llm_energy.results.result import read_result
from tests.integration.workflow import CAMPAIGN, Tree

pytestmark = pytest.mark.integration

SECRET = "hf_MarkerOfASecretThatNoFileMayHold"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")
VARIABLES += ("VLLM_API_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "WANDB_API_KEY")
VARIABLES += ("INFLUX_TOKEN", "INFLUX_PASSWORD", "VM_PASSWORD", "PGPASSWORD", "REDFISH_PASSWORD")


def test_secrets_of_the_environment_are_in_no_file(tmp_path):
    """With attempts that fail, so that records and the engine's last lines are there too, and an
    engine that prints its environment."""
    campaign = copy.deepcopy(CAMPAIGN) | {"cycles": 1, "experiments": {}}
    for fault in ("betray", "confess"):
        faulty = {"wave_fault": fault, "fault_once_file": str(tmp_path / fault)}
        campaign["experiments"][fault] = {"settings": {"engine": {"sleep": faulty}}}
    tree = Tree.create(tmp_path / "tree", campaign)
    environment = dict.fromkeys(VARIABLES, SECRET) | {"OMP_NUM_THREADS": "3"}
    failed = tree.run("archive", environment=environment)
    done = tree.run("archive", check=True, environment=environment)
    failures = {failure["reason"]: failure for failure in tree.failures()}
    assert failures.keys() == {"backend_lost", "engine_error"}
    # The user's own: a job of Snakemake, in which the first engine starts, has 1.
    assert "('OMP_NUM_THREADS', '3')" in str(failures["engine_error"]["log_tail"])
    assert SECRET not in failed.stdout + done.stdout
    for result in map(read_result, tree.results()):
        assert result.environment.variables["OMP_NUM_THREADS"] == "3"
    files = [path for path in tree.folder.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    (archive,) = tree.folder.glob("results/nap/archive/*.tar.gz")
    with tarfile.open(archive) as packed:
        members = [member for member in packed if member.isfile()]
        assert members
        for member in members:
            assert SECRET.encode() not in packed.extractfile(member).read(), member.name
