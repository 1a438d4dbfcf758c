"""Sources and interpreters without a pin: an error until they are locked."""

import pytest
import yaml
from tests.llm_energy.make_campaigns import (
    COMMIT,
    SHA,
    load,
    one,
)

from llm_energy.campaign.problems import CampaignError

UNPINNED = {
    "package:tiny==1.0:t.gguf": {"package": "tiny", "version": "1.0", "file": "t.gguf"},
    "path:models/t.gguf": {"path": "models/t.gguf"},
    "hub:a/b": {"hub": "a/b", "files": ["*.gguf"]},
    "hub:a/b@main": {"hub": "a/b", "revision": "main", "files": ["*.gguf"]},
}


@pytest.mark.parametrize("key", UNPINNED)
def test_a_source_without_a_pin_is_an_error_until_it_is_locked(own_root, key):
    source = UNPINNED[key]
    config = {**one(), "models": {"small": {"source": source}}}
    with pytest.raises(CampaignError) as error:
        load(own_root, config)
    assert error.value.messages == [
        f"--config: models.small.source: {key} is not pinned; pin it with the target `lock`: "
        "`snakemake lock` and the rest of this command"
    ]

    pin = {"revision": COMMIT} if "hub" in source else {"sha256": SHA["e"]}
    (own_root / "lock.yaml").write_text(yaml.safe_dump({"models": {key: pin}}))
    locked = load(own_root, config).experiments[0]

    config["models"]["small"]["source"] = {**source, **pin}
    (own_root / "lock.yaml").unlink()
    assert load(own_root, config).experiments[0].spec_hash == locked.spec_hash


def test_an_interpreter_without_a_pin_is_an_error_until_it_is_locked(own_root):
    config = {**one(), "backends": {"toy": {"environment": {"python": "/opt/toy/bin/python"}}}}
    with pytest.raises(CampaignError, match=r"backends\.toy\.environment: .* not pinned; pin it"):
        load(own_root, config)
    lock = {"environments": {"toy": {"packages_sha256": SHA["f"]}}}
    (own_root / "lock.yaml").write_text(yaml.safe_dump(lock))
    assert load(own_root, config).experiments[0].environment.identity == lock["environments"]["toy"]


def test_the_lock_target_can_read_a_campaign_with_identities_to_pin(root):
    config = {**one(), "models": {"small": {"source": UNPINNED["path:models/t.gguf"]}}}
    campaign = load(root, config, allow_unpinned=True)
    assert [line.split(" is ")[0] for line in campaign.unpinned] == [
        "--config: models.small.source: path:models/t.gguf"
    ]
    with pytest.raises(CampaignError, match="cycles"):
        load(root, config | {"cycles": 0}, allow_unpinned=True)


def test_a_damaged_lock_file_is_one_line(own_root):
    (own_root / "lock.yaml").write_text("models: [1]\n")
    with pytest.raises(CampaignError, match=r"lock\.yaml: models: .*; remove it and run"):
        load(own_root)


def test_several_sources_without_a_default_leave_the_tokenizer_open(root):
    config = one(backend="boxy")
    sources = {"boxy": {"hub": "a/b", "revision": COMMIT}, "toy": {"path": "x", "sha256": SHA["a"]}}
    config["models"]["small"] = {"sources": sources}
    with pytest.raises(CampaignError, match="needs `source` beside several `sources`"):
        load(root, config)
