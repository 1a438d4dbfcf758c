"""Mistakes of a campaign's files as a whole, and the file and line that each names."""

from pathlib import Path

import pytest
import yaml
from tests.llm_energy.make_campaigns import (
    BASE,
    HEAD,
    messages_of,
    mistakes,
)

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.problems import CampaignError

pytestmark = pytest.mark.usefixtures("working_directory")


def test_wrong_yaml_is_one_line_with_its_place(root):
    with pytest.raises(CampaignError) as error:
        load_campaign({}, files=[_file("a: [1\nb: 2\n")], root=root, lock=None)
    (message,) = error.value.messages
    assert message.startswith("campaign.yaml:2: not valid YAML: ")


def test_a_key_given_twice_is_a_mistake_wherever_it_is(root):
    text = HEAD + "experiments:\n  one: {}\n  two: {settings: {batch_size: 2}}\n  one: {}\n"
    assert messages_of(root, text) == ["campaign.yaml:12: one: key given twice; keep one"]


def test_a_file_that_cannot_be_read_is_named(root):
    with pytest.raises(CampaignError) as error:
        load_campaign({}, files=[Path("absent.yaml")], root=root, lock=None)
    assert error.value.messages == [
        "absent.yaml: there is no such file; put a target before --configfile and other options"
    ]


@pytest.mark.parametrize("text", ["# nothing yet\n", "- a list\n", "a text\n"])
def test_a_file_without_keys_is_one_line(root, text):
    with pytest.raises(CampaignError) as error:
        load_campaign({}, files=[_file(text)], root=root, lock=None)
    assert error.value.messages == [
        "campaign.yaml:1: must be keys with values; config/README.md explains them"
    ]


@pytest.mark.parametrize("code", ["import nothing_of_this_name", "ENGINE = 3", "ENGINE ="])
def test_an_engine_module_that_cannot_be_read_is_one_line(own_root, code):
    (own_root / "scripts" / "worker" / "engines" / "boxy.py").write_text(code)
    (message,) = mistakes(own_root, BASE)
    assert message.startswith("backends.boxy: its engine module cannot be read: ")
    assert "\n" not in message


def test_of_several_files_the_one_that_won_is_named(root):
    first = _file(HEAD + "experiments: {one: {}}\ncycles: 0\n", "first.yaml")
    second = _file("order: sequential\ncycles: -1\n", "second.yaml")
    config = {**_read(first), **_read(second)}
    with pytest.raises(CampaignError) as error:
        load_campaign(config, files=[first, second], root=root, lock=None)
    (message,) = error.value.messages
    assert message == "second.yaml:2: cycles: must be at least 1, not -1"


def test_a_value_from_the_command_line_is_stated_to_be_from_there(root):
    file = _file(HEAD + "experiments: {one: {}}\ncycles: 3\n")
    for change, key in (({"cycles": 0}, "cycles"), ({"cylces": 3}, "cylces")):
        with pytest.raises(CampaignError) as error:
            load_campaign(_read(file) | change, files=[file], root=root, lock=None)
        (message,) = error.value.messages
        assert message.startswith(f"--config: {key}: ")


def test_a_key_that_an_anchor_brings_is_found_at_the_anchor(root):
    text = HEAD + (
        "experiments:\n"
        "  one: {settings: &shared {batch_size: 3}}\n"
        "  two:\n"
        "    settings: {<<: *shared, output_tokens: 8}\n"
    )
    messages = messages_of(root, text)
    assert [message.split(" ")[0] for message in messages] == ["campaign.yaml:10:"] * 2


def _file(text, name="campaign.yaml"):
    Path(name).write_text(text)
    return Path(name)


def _read(path):
    return yaml.safe_load(path.read_text())
