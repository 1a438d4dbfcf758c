"""The `lock` target: what a campaign leaves open is looked up once and written down."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.llm_energy.inputs.hub_server import HubServer, Repository
from tests.llm_energy.inputs.interpreters import interpreter
from tests.llm_energy.inputs.packages import build_wheel
from tests.llm_energy.make_campaigns import BASE, SHA, load, make_checkout

from llm_energy.campaign.declared_inputs import DeclaredSource
from llm_energy.campaign.lock_file import Lock, LockedModel, read_lock
from llm_energy.campaign.problems import CampaignError
from llm_energy.inputs.pin import to_pin, updated, write_lock
from llm_energy.system.errors import InputError, ModelError

WEIGHTS = b"GGUF" + bytes(100)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


def campaign_with(root: Path, source: dict[str, Any], **options: Any) -> Any:
    config = copy.deepcopy(BASE)
    config["models"]["small"]["source"] = source
    return load(root, config, **options)


def lock(
    plan: dict[str, Any], log: Path, before: Lock | None = None, told: list[str] | None = None
) -> Lock:
    lines: list[str] = [] if told is None else told
    return updated(
        before or Lock(),
        sources=[TypeAdapter(DeclaredSource).validate_python(s) for s in plan["sources"]],
        interpreters=plan["interpreters"],
        log=log,
        report=lines.append,
    )


def test_what_the_campaign_pins_is_not_looked_up(root: Path) -> None:
    assert to_pin(load(root)) == {"sources": [], "interpreters": {}}


def test_a_package_without_a_checksum_is_refused_until_it_is_locked(
    root: Path, index: Path, log: Path
) -> None:
    build_wheel(index, "tiny", "1.0", {"t.gguf": WEIGHTS})
    source = {"package": "tiny", "version": "1.0", "file": "t.gguf"}
    with pytest.raises(CampaignError, match=r"is not pinned; .* lock"):
        campaign_with(root, source)
    plan = to_pin(campaign_with(root, source, allow_unpinned=True))
    write_lock(root / "lock.yaml", lock(plan, log))
    campaign = campaign_with(root, source)
    assert campaign.experiments[0].model.identity["sha256"] == SHA256


def test_a_local_file_is_locked_by_its_content(root: Path, tmp_path: Path, log: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(WEIGHTS)
    source = {"path": str(tmp_path / "mine.gguf")}
    plan = to_pin(campaign_with(root, source, allow_unpinned=True))
    assert lock(plan, log).models == {f"path:{tmp_path}/mine.gguf": LockedModel(sha256=SHA256)}


def test_a_branch_is_locked_to_its_commit_with_the_checksums_of_its_weights(
    hub_server: HubServer, log: Path
) -> None:
    files = {"config.json": b"{}", "m.gguf": WEIGHTS}
    hub_server.repositories["org/m"] = Repository(files, branches=("main", "fast"))
    plan = {"sources": [{"hub": "org/m", "revision": "fast"}], "interpreters": {}}
    assert lock(plan, log).models == {
        "hub:org/m@fast": LockedModel(revision="a" * 40, files={"m.gguf": SHA256})
    }


def test_a_gated_model_is_refused_when_it_is_locked(hub_server: HubServer, log: Path) -> None:
    hub_server.repositories["org/m"] = Repository({"m.gguf": WEIGHTS}, gated=True)
    with pytest.raises(ModelError, match=r"accept its licence at https://huggingface\.co/org/m"):
        lock({"sources": [{"hub": "org/m"}], "interpreters": {}}, log)


def test_a_locked_branch_stays_where_it_was(hub_server: HubServer, log: Path) -> None:
    hub_server.repositories["org/m"] = Repository({"m.gguf": WEIGHTS}, commit="b" * 40)
    before = Lock(models={"hub:org/m": LockedModel(revision="c" * 40)})
    told: list[str] = []
    plan = {"sources": [{"hub": "org/m"}], "interpreters": {}}
    assert lock(plan, log, before, told) == before
    assert told == ["hub:org/m: unchanged"]


def test_a_local_file_that_changed_is_locked_anew_and_reported(tmp_path: Path, log: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(WEIGHTS)
    plan = {"sources": [{"path": str(tmp_path / "mine.gguf")}], "interpreters": {}}
    before = Lock(models={f"path:{tmp_path}/mine.gguf": LockedModel(sha256=SHA["0"])})
    told: list[str] = []
    lock(plan, log, before, told)
    assert told == [f"path:{tmp_path}/mine.gguf: pinned anew: it has changed since"]


def test_an_interpreter_is_locked_by_its_packages(root: Path, tmp_path: Path, log: Path) -> None:
    python = interpreter(tmp_path, packages={"Engine_X": "1.0"})
    own = {"toy": {"environment": {"python": str(python)}}, "boxy": {}}
    plan = to_pin(load(root, {**BASE, "backends": own}, allow_unpinned=True))
    write_lock(root / "lock.yaml", lock(plan, log))
    campaign = load(root, {**BASE, "backends": own})
    expected = hashlib.sha256(b"engine-x==1.0\n").hexdigest()
    assert campaign.experiments[0].environment.identity == {"packages_sha256": expected}


def test_entries_of_other_campaigns_are_kept(tmp_path: Path, log: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(WEIGHTS)
    plan = {"sources": [{"path": str(tmp_path / "mine.gguf")}], "interpreters": {}}
    before = Lock(models={"hub:other/one": LockedModel(revision="c" * 40)})
    assert "hub:other/one" in lock(plan, log, before).models


def test_what_cannot_be_looked_up_is_refused(log: Path) -> None:
    with pytest.raises(InputError, match=r"/nowhere: No such file or directory; correct `path`"):
        lock({"sources": [{"path": "/nowhere"}], "interpreters": {}}, log)


def test_a_written_lock_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "models.lock.yaml"
    locked = Lock(models={"hub:org/m@a: b": LockedModel(revision="c" * 40, files={"x": SHA["1"]})})
    for lock_file in (locked, Lock()):
        write_lock(path, lock_file)
        assert read_lock(path) == lock_file
    assert path.read_text().startswith("# Identities that were looked up")
