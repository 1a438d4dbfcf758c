"""A campaign file may hold anything: it is a campaign, or each mistake in it is one line."""

import copy
import errno
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.altered_campaigns import KEYS, PATHS, RICH
from tests.llm_energy.make_campaigns import BASE, load, mistakes, with_experiments

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.campaign_file import Group
from llm_energy.campaign.expand import expand
from llm_energy.campaign.line_numbers import read_files
from llm_energy.campaign.problems import CampaignError, Problems

ANY_KEY = (
    st.sampled_from(KEYS)
    | st.text(max_size=4)
    | st.integers()
    | st.none()
    | st.booleans()
    | st.dates()
)
ANY_LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.datetimes()
    | st.binary(max_size=4)
    | st.frozensets(st.integers(), max_size=2)
    | st.sampled_from([10**400, "a\x00b", "a\nb", "../x", "/etc/passwd", "$(touch x)", "; touch x"])
)
ANYTHING = st.recursive(
    ANY_LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_KEY, inner, max_size=3),
    max_leaves=6,
)
"""Whatever YAML can say."""


@st.composite
def strange(draw):
    """A campaign that uses the whole grammar, with one or two values or keys that are anything."""
    config = copy.deepcopy(RICH)
    for _ in range(draw(st.integers(1, 2))):
        *parents, last = draw(st.sampled_from(PATHS))
        inner = config
        try:
            for part in parents:
                inner = inner[part]
            key = draw(st.just(last) | ANY_KEY) if isinstance(inner, dict) else last
            inner[key] = draw(ANYTHING)
        except (LookupError, TypeError):
            continue  # an earlier change took it away
    return config


def messages_of(load):
    """Return the messages about a campaign that cannot be used; none about one that can."""
    try:
        load()
    except CampaignError as error:
        return error.messages
    return []


@given(strange() | st.dictionaries(ANY_KEY, ANYTHING, max_size=4))
def test_any_value_is_a_campaign_or_reported_in_lines(root, config):
    for message in mistakes(root, config):
        assert message.isprintable()


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_file_or_reported_in_lines(tmp_path, content):
    path = tmp_path / "campaign.yaml"
    path.write_bytes(content)
    assert all(message.isprintable() for message in messages_of(lambda: read_files([path])))


ALIASES = [("1", "a"), *((f"*{before}", name) for before, name in pairwise("abcdefghij"))]
"""Each list holds the one before nine times."""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: " + "[" * 100_000, "not valid YAML: exceeded maximum nesting depth"),
        ("seed: &x [*x]", "seed: must be a whole number"),
        ("campaign: &x {a: *x}", "campaign: must be text"),
        ("seed: .nan", "campaign.yaml:1: seed: must be a whole number, not NaN"),
        ("cycles: 2000000000", "cycles: makes 8000000000 measurements, more than 1000000"),
        ("2020-01-01: 1", ":1: 2020-01-01: YAML reads this key as a date; put it in quotes"),
        ("a:\n  on: 1", ":2: on: YAML reads this key as true or false; put it in quotes"),
        ("Yes: 1", "Yes: YAML reads this key as true or false; put it in quotes"),
        ("models: {null: 1}", "null: YAML reads this key as nothing; put it in quotes"),
        ("<Campaign>: 1", "<Campaign>: unknown key; did you mean campaign?"),
        ("measurement: {<x: 1}", "measurement.<x: unknown key; known: baseline_s, "),
        ("experiments: {<Group>: {}}", "experiments.<Group>: may hold a-z, 0-9"),
        ("<<: 5", "not valid YAML: expected a mapping or list of mappings for merging"),
        ("seed: " + "[" * 900 + "]" * 900, ":1: nested deeper than 20 levels; no key of a camp"),
        ("seed: " + "{a: " * 900 + "1" + "}" * 900, ":1: nested deeper than 20 levels"),
        (
            "".join(f"{n}: &{n} [{', '.join([a] * 9)}]\n" for a, n in ALIASES),
            ":1: has 4412961505 entries, with those of each alias (`*name`); at most 100000 are",
        ),
        (f"seed: {[*range(10_001)]}", ":1: has 10001 entries, at most 10000 are taken; write a"),
        ("measurement: {baseline_s: 1.0e+30}", "baseline_s: must be at most 604800, not 1e+30"),
        ("measurement: {sampling_hz: 1.0e-320}", "sampling_hz: must be at least 0.01, not 1e-320"),
        (
            "backends: {toy: {runtime: docker, container: {ulimits: {memlok: -1}}}}",
            "container.ulimits.memlok: must be 'core', 'cpu', 'data', ",
        ),
        (
            "models: {m: {source: {package: x @ https://example.org/x, version: '1', file: f}}}",
            "models.m.source.package: must be the name of a package alone: letters, digits,",
        ),
        (
            "models: {m: {source: {package: x, version: 1.0 --pre, file: f}}}",
            "models.m.source.version: must be one exact version as PEP 440 writes it, such as",
        ),
        (
            f"prompts: {{p: {{package: -r x, version: '*', file: f, field: f, limit: 1, "
            f"sha256: {'0' * 64}}}}}",
            "prompts.p.package: must be the name of a package alone",
        ),
        ('"\\e[31m": 1', "\\x1b[31m: unknown key"),
        ("seed: !!bool maybe", ":1: not valid YAML: maybe is no bool"),
        ("seed: !!timestamp soon", ":1: not valid YAML: soon is no timestamp"),
        ("seed: !!python/name:os.system", ":1: !!python/name:os.system: objects of Python are not"),
        ("seed: [!!python/tuple [1]]", ":1: !!python/tuple: objects of Python are not taken"),
        ("a: 1\nseed: \x07", ":2: cannot be read: the character U+0007, which no YAML may hold"),
        (f"seed: 0x{'f' * 10_000}", ":1: seed: must be below 9.22337e+18, not 0xfff"),
        (
            f"backends: {{toy: {{runtime: docker, container: {{memory: {'9' * 400}g}}}}}}",
            "container.memory: must be a whole number with its unit b, k, m or g, such as 8g",
        ),
        (
            "prompts: {short: {file: .}}",
            "prompts.short.file: . is no file; paths start at the working di",
        ),
    ],
)
def test_what_would_exhaust_or_confuse_is_reported(root, monkeypatch, tmp_path, text, words):
    monkeypatch.chdir(tmp_path)
    Path("campaign.yaml").write_text(text)
    messages = messages_of(lambda: read_files([Path("campaign.yaml")])) or messages_of(
        lambda: load_campaign(
            BASE | yaml.safe_load(text), files=[Path("campaign.yaml")], root=root, lock=None
        )
    )
    assert any(words in message for message in messages), messages


@given(st.text(min_size=1, max_size=30) | st.sampled_from(["..", "../../x", "a/b", "~", "$(x)"]))
def test_no_name_leads_out_of_the_results_folder(root, value):
    """Settings that are text give experiments their names; campaigns and groups are refused."""
    experiments = {"sweep": {"axes": {"model": ["small", value]}}}
    models = BASE["models"] | {value: BASE["models"]["large"]}
    for config in (
        with_experiments(**experiments) | {"models": models},
        BASE | {"campaign": value},
        with_experiments(**{value: {}}),
    ):
        try:
            campaign = load(root, config)
        except CampaignError:
            continue
        for planned in campaign.schedule:
            assert Path(campaign.name).parts == (campaign.name,)
            parts = Path(planned.result_path).parts
            assert (len(parts), parts[0]) == (3, "measurements")
            assert not {"..", "."} & set(parts)


def test_nothing_that_yaml_can_construct_is_executed(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(f"campaign: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n")
    with pytest.raises(CampaignError, match="objects of Python are not taken"):
        read_files([path])
    assert not (tmp_path / "ran").exists()


def test_combinations_are_excluded_by_each_of_thousands_of_entries():
    """Each entry was compared with every combination: 10,000 took a minute."""
    axes = {"batch_size": [1, 2, 4], "output_tokens": {"from": 1, "to": 3000, "step": 1}}
    some = [{"batch_size": 1, "output_tokens": n} for n in range(1, 2999)]
    every = [*some, {"batch_size": 2}, {"output_tokens": 3000}, {"batch_size": 2.0}]
    group = Group.model_validate({"axes": axes, "exclude": every})
    problems = Problems()
    points = expand("x", group, problems)
    assert len(points) == 3 * 3000 - 2998 - 3000 - 2
    assert list(problems) == [("experiments", "x", "exclude", 3000)]


def test_entries_of_many_kinds_are_refused(root):
    keys = ("batch_size", "output_tokens", "context_tokens", "sampling.seed", "sampling.top_k")
    keys += ("sampling.top_p", "sampling.temperature")
    axes = {key: [1, 2] for key in keys}
    subsets = [c for size in range(1, 8) for c in combinations(keys, size)]
    exclude = [dict.fromkeys(subset, 1) for subset in subsets]
    found = mistakes(root, with_experiments(x={"axes": axes, "exclude": exclude}))
    assert any("exclude: has entries with over 100 different sets of keys" in f for f in found)


def test_thousands_of_mistakes_in_one_block_have_their_lines(tmp_path, root, monkeypatch):
    """The block was searched for each of them: 10,000 took half a minute."""
    monkeypatch.chdir(tmp_path)
    Path("campaign.yaml").write_text("".join(f"key{n}: 1\n" for n in range(3000)))
    config = yaml.safe_load(Path("campaign.yaml").read_text())
    found = messages_of(
        lambda: load_campaign(config, files=[Path("campaign.yaml")], root=root, lock=None)
    )
    assert [f for f in found if f.startswith("campaign.yaml:3000: key2999: unknown key; known: ")]


def test_thousands_of_wrong_values_are_a_few_lines(root):
    """Each was looked for among all others: 10,000 took minutes."""
    config = with_experiments(x={"axes": {"batch_size": {"from": 1, "to": 10_000, "step": 1}}})
    found = mistakes(root, config)
    assert len(found) == 5
    assert found[-1].endswith("(and 9991 more like it)")


def test_a_file_of_prompts_that_this_user_may_not_read_is_reported(root, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (file := tmp_path / "own.jsonl").write_text('{"prompt": "a"}')
    config = BASE | {"prompts": {"short": {"file": str(file)}}}
    with monkeypatch.context() as no_rights:
        no_rights.setattr(Path, "read_bytes", refuse)
        messages = messages_of(lambda: load(root, config))
    assert any(f"{file}: Permission denied; change its permissions" in m for m in messages)
