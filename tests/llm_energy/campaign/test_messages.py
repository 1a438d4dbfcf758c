"""All mistakes in a campaign are reported at once: a line each with file, line, key and remedy."""

import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from tests.llm_energy.altered_campaigns import altered
from tests.llm_energy.make_campaigns import (
    BASE,
    HEAD,
    SHA,
    changed,
    messages_of,
    mistakes,
)

from llm_energy.campaign.problems import dotted

pytestmark = pytest.mark.usefixtures("working_directory")


LOCAL = {"path": "weights.gguf", "sha256": SHA["a"]}


@pytest.mark.parametrize(
    ("cycles", "words"),
    [
        ("few", 'cycles: must be a whole number, not "few"'),
        ({"first": 5}, "cycles.maximum: is missing; give it a value"),
        ({"maximum": 5}, "maximum must be above first, which is 5; or give one number"),
        ({"maximum": 9, "target": 0.1}, "cycles.target: unknown key"),
        ({"maximum": 9, "target_relative_half_width": 2}, "must be below 1"),
    ],
)
def test_cycles_are_a_number_or_two_stages(root, cycles, words):
    (message,) = mistakes(root, changed(lambda config: config.update(cycles=cycles)))
    assert words in message


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(root):
    text = HEAD.replace("campaign: trial", "campaign: ../trial") + (
        "cylces: 3\n"  # line 9
        "experiments:\n"
        "  first:\n"
        "    axes: {batch_sise: [1, 4]}\n"
        "  second:\n"
        "    settings:\n"
        "      model: smal\n"
        "      dtype: bf16\n"
        "    axes:\n"
        "      batch_size: [1, 3]\n"
        "      engine.toy.threads: [1, many]\n"
        "    exclude: [{batch_size: 9}]\n"
    )
    assert messages_of(root, text) == [
        "campaign.yaml:1: campaign: may hold a-z, 0-9, `.`, `_` and `-`, and begins with a letter "
        "or a digit",
        "campaign.yaml:9: cylces: unknown key; did you mean cycles?",
        "campaign.yaml:12: experiments.first.axes.batch_sise: unknown setting; did you mean "
        "batch_size?",
        "campaign.yaml:15: experiments.second.settings.model: unknown model `smal`; did you mean "
        "small?",
        "campaign.yaml:16: experiments.second.settings.dtype: toy has no dtype `bf16`; it has auto",
        "campaign.yaml:18: experiments.second.axes.batch_size: 8 prompts are no multiple of batch "
        "size 3; change one of them",
        "campaign.yaml:19: experiments.second.axes.engine.toy.threads[1]: must be a whole number, "
        'not "many"',
        "campaign.yaml:20: experiments.second.exclude[0]: excludes nothing: no combination has "
        "these values; correct or remove it",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sed: 3", "sed: unknown key; did you mean seed?"),
        ("measurment: {}", "measurment: unknown key; did you mean measurement?"),
        ("measurement: {baseline: 3}", "measurement.baseline: unknown key; did you mean"),
        ("measurement: {tail_s: 1 s}", 'tail_s: must be a number without its unit, not "1 s"'),
        ("measurement: {tail_s: long}", 'measurement.tail_s: must be a number, not "long"'),
        ("measurement: {tail_s: -1}", "measurement.tail_s: must be at least 0, not -1"),
        ("measurement: {sampling_hz: 0}", "measurement.sampling_hz: must be at least 0.01"),
        (
            "measurement: {device: gpu, minimum_duration_s: 5}",
            "measurement.minimum_duration_s: must be at least 10 on a GPU",
        ),
        ("cycles: 0", "cycles: must be at least 1, not 0"),
        ("cycles: 2.5", "cycles: must be a whole number, not 2.5"),
        ("cycles: true", "cycles: must be a whole number, not true"),
        ("cycles:", "cycles: must be a whole number, not null"),
        ("seed: '7'", 'seed: must be a whole number, not "7"'),
        ("order: sequentail", "order: must be 'randomised_blocks' or 'sequential', not"),
        ("order: sequentail", "did you mean sequential?"),
        ("reference: sweep_batch2", "reference: unknown experiment; did you mean sweep_batch4?"),
        ("remeasure: maybe", "remeasure: must be"),
        ("export_to: influx://host/db", "export_to: must be the address of a server: influxdb://"),
        ("export_to: influxdb://host:8086", "export_to: must be the address of a server"),
        (
            "export_to: influxdb://me:marker@host/db",
            "export_to: must hold no credentials: put them into the environment, as INFLUX_USER",
        ),
        ("export_to: postgresql://me:marker@host/db", "environment, as PGUSER and PGPASSWORD"),
        ("export_to: postgresql://host/db?password=marker", "PGUSER and PGPASSWORD"),
    ],
)
def test_a_mistake_at_the_top_of_the_file(root, line, message):
    groups = "experiments: {sweep: {axes: {batch_size: [1, 4]}}}\n"
    (found,) = messages_of(root, HEAD + groups + line + "\n")
    assert found.startswith("campaign.yaml:10: ")
    assert message in found
    assert "marker" not in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("campaign"), "campaign: is missing; give it a value"),
        (lambda c: c.pop("experiments"), "experiments: is missing; give it a value"),
        (lambda c: c.update(experiments={}), "experiments: must not be empty"),
        (lambda c: c.update(models=[]), "models: must be keys with values, not []"),
        (
            lambda c: c.update(assumptions={"electricity": {"price_per_kwh": 0.3}}),
            "assumptions.electricity.currency: is missing; give it a value",
        ),
        (
            lambda c: c.update(
                assumptions={"electricity": {"price_per_kwh": 0.3, "currency": "€"}}
            ),
            "assumptions.electricity.currency: must be three capital letters, such as EUR",
        ),
        (
            lambda c: c.update(assumptions={"power_usage_effectiveness": 0.9}),
            "assumptions.power_usage_effectiveness: must be at least 1, not 0.9",
        ),
        (lambda c: c["defaults"].pop("model"), "experiments.sweep: has no model; set it here or"),
        (lambda c: c["backends"].update(tos={}), "tos: unknown backend; did you mean toy"),
        (lambda c: c["backends"].update(base={}), "base: unknown backend; known: boxy, toy"),
        (lambda c: c["backends"].update(unready={}), "unready: unknown backend; known: boxy, toy"),
        (lambda c: c["backends"]["toy"].update(runtime="proces"), "did you mean process?"),
        (
            lambda c: c["backends"]["toy"].update(environment={"pyhton": "x"}),
            "backends.toy.environment.pyhton: unknown key; did you mean python?",
        ),
        (
            lambda c: c["models"]["small"]["source"].update(verison=2),
            "models.small.source.verison: unknown key; did you mean version?",
        ),
        (lambda c: c["models"]["small"].update(source={}), "needs exactly one of the keys package"),
        (
            lambda c: c["models"]["small"]["source"].update(sha256="12"),
            "models.small.source.sha256: must be a sha256: 64 hexadecimal digits in lower case",
        ),
        (
            lambda c: c["models"].update(small={"sources": {"boxy": LOCAL}}),
            "models.small.source: is missing, and toy has none of its own; add a source",
        ),
        (
            lambda c: c["models"]["small"].update(sources={"tou": {"path": "x"}}),
            "models.small.sources.tou: unknown backend `tou`; did you mean toy?",
        ),
        (
            lambda c: c["prompts"]["short"].update(shipped="everday"),
            "prompts.short.shipped: unknown shipped prompt set; did you mean everyday?",
        ),
        (lambda c: c["prompts"]["short"].update(limit=16), "limit: asks for 16 of 12 prompts"),
        (lambda c: c["prompts"].update(short={"shiped": "x"}), "short: needs one of the keys"),
        (
            lambda c: c["prompts"].update(short={"file": "nowhere.jsonl"}),
            "prompts.short.file: nowhere.jsonl does not exist; paths start at the",
        ),
        (
            lambda c: c["prompts"].update(short={"synthetic": {"input_tokens": 500, "count": 4}}),
            "experiments.sweep: context_tokens 512 cannot hold prompts of 500 and the output",
        ),
        (
            lambda c: c["experiments"]["sweep"]["axes"].update(output_tokens=[16, 512]),
            "experiments.sweep.axes.output_tokens: 512 and a prompt do not fit into context_tokens",
        ),
        (lambda c: c["defaults"].update(modle="small"), "modle: unknown key; did you mean model"),
        (lambda c: c["defaults"].update(model=3), "defaults.model: must be text, not 3; put it in"),
        (lambda c: c["experiments"].update({"Ü x": {}}), "experiments.Ü x: may hold a-z"),
        (lambda c: c["experiments"].update({8: {}}), "experiments[8]: must be text, not 8"),
        (lambda c: c["experiments"].update(y=None), "experiments.y: must be keys with values"),
        (lambda c: c["experiments"].update({"a" * 101: {}}), "must have at most 100 characters"),
        (lambda c: c.update(slo=None), "slo: must be keys with values, not null"),
        (lambda c: c.update(controls=None), "controls: must be keys with values, not null"),
        (
            lambda c: c.update(measurement={"host_power": None}),
            "measurement.host_power: must be `ipmi`, or {redfish: https://HOST}",
        ),
        (
            lambda c: c["backends"]["toy"].update(server=None),
            "backends.toy.server: needs the key command or the key url",
        ),
    ],
)
def test_a_mistake_elsewhere(root, change, message):
    found = mistakes(root, changed(change))
    assert len(found) == 1, found
    assert message in found[0]


def test_a_folder_of_gguf_files_is_no_model_in_another_format(root):
    (root / "parts").mkdir()
    for number in (2, 1):
        (root / "parts" / f"m-0000{number}-of-00002.gguf").touch()
    source = {"path": str(root / "parts"), "sha256": "0" * 64}
    (found,) = mistakes(root, changed(lambda c: c["models"]["small"].update(source=source)))
    assert found.endswith(
        "models.small.source.path: is a folder; name the GGUF file, of a model in parts the first: "
        f"{root}/parts/m-00001-of-00002.gguf"
    )


def test_a_mistake_that_leaves_no_experiment_is_reported_once(root):
    config = changed(lambda c: c.update(reference="sweep_batch1_out16"))
    config["backends"] = {"toi": {}}
    config["defaults"]["backend"] = "toi"
    assert mistakes(root, config) == ["backends.toi: unknown backend; did you mean toy?"]


def test_a_misspelt_required_key_is_one_mistake(root):
    text = HEAD.replace("package: tiny", "pakage: tiny") + "experiments: {one: {}}\n"
    messages = messages_of(root, text)
    assert messages == [
        "campaign.yaml:5: models.small.source: needs exactly one of the keys package, hub and path"
    ]


@given(altered())
def test_whatever_is_wrong_is_reported_in_lines_and_never_in_a_traceback(root, config):
    messages = messages_of(root, yaml.safe_dump(config, allow_unicode=True, sort_keys=False))
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert re.fullmatch(r"campaign\.yaml:[0-9]+: \S.*: .+", message)


def test_a_long_value_is_cut_in_the_message(root):
    (message,) = mistakes(root, BASE | {"cycles": "x" * 1000})
    assert len(message) < 200


def test_reading_a_campaign_prints_nothing_and_imports_nothing_heavy(root):
    code = (
        "import sys, pathlib\n"
        "import make_campaigns\n"
        f"make_campaigns.load(pathlib.Path({str(root)!r}))\n"
        "heavy = {'pandas', 'numpy', 'scipy', 'matplotlib', 'docker', 'pynvml', 'snakemake', "
        "'torch', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_paths_are_written_as_in_the_file():
    assert dotted(("axes", "sampling.seed", 0, "x")) == "axes.sampling.seed[0].x"


def test_one_experiment_in_two_groups_is_a_mistake_that_no_exclude_mends(root):
    text = HEAD + "experiments:\n  one: {}\n  two: {settings: {batch_size: 1}}\n"
    (message,) = messages_of(root, text)
    assert message.endswith("experiments.two: two is the same as one; leave one out")
