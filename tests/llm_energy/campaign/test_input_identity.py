"""Environments, models and prompts are their content, wherever it lies."""

from tests.llm_energy.make_campaigns import (
    COMMIT,
    SHA,
    changed,
    load,
    one,
    spec_of,
    specs,
    with_experiments,
)

from llm_energy.campaign.identity import substance


def test_comments_and_line_ends_of_an_environment_change_no_spec(own_root):
    before = specs(load(own_root))
    requirements = own_root / "envs" / "toy" / "requirements.txt"
    requirements.write_bytes(b"# why\r\n\r\ntoy-engine==1.0  \r\n")
    assert specs(load(own_root)) == before


def test_another_pin_changes_the_specs_of_its_backend_only(own_root):
    config = changed(lambda c: c["experiments"].update(other={"settings": {"backend": "boxy"}}))
    before = specs(load(own_root, config))
    (own_root / "envs" / "toy" / "requirements.txt").write_text("toy-engine==1.1\n")
    after = specs(load(own_root, config))
    assert {name for name in before if before[name] == after[name]} == {"other"}


def test_an_environment_is_its_content_wherever_the_checkout_lies(own_root, root):
    assert specs(load(own_root)) == specs(load(root))


def test_only_comments_and_empty_lines_are_no_substance(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# head\na==1 \\\n    --hash=sha256:12\n\n  # why\nb==2  # kept\n")
    assert substance(path) == "a==1 \\\n    --hash=sha256:12\nb==2  # kept"


def test_the_tokenizer_is_that_of_the_default_source_whatever_backend_runs(root):
    config = with_experiments(
        a={"settings": {"backend": "toy"}}, b={"settings": {"backend": "boxy"}}
    )
    config["models"]["small"]["sources"] = {"boxy": {"hub": "a/b", "revision": COMMIT}}
    a, b = load(root, config).experiments
    assert a.spec["tokenizer"] == b.spec["tokenizer"]
    assert a.spec["model"] != b.spec["model"]
    assert a.prompts.id == b.prompts.id


def test_a_model_is_converted_where_the_backend_needs_another_format(root):
    experiment = load(root, one(backend="boxy")).experiments[0]
    assert experiment.model.identity["format"] == "hf"
    assert experiment.model.identity["converted_from"] == "gguf"
    assert experiment.tokenizer.identity["format"] == "gguf"


def test_the_path_of_a_local_model_is_no_part_of_it(root):
    def config(path):
        config = one()
        config["models"]["small"] = {"source": {"path": path, "sha256": SHA["c"]}}
        return config

    assert spec_of(root, config("a.gguf")) == spec_of(root, config("/elsewhere/b.gguf"))


def test_the_path_of_an_interpreter_is_no_part_of_its_environment(root):
    def config(python, packages):
        environment = {"python": python, "packages_sha256": packages}
        return {**one(), "backends": {"toy": {"environment": environment}}}

    assert spec_of(root, config("/a", SHA["1"])) == spec_of(root, config("/b", SHA["1"]))
    assert spec_of(root, config("/a", SHA["1"])) != spec_of(root, config("/a", SHA["2"]))


def test_a_prompt_file_is_its_content(root, tmp_path):
    def config(name, content):
        (tmp_path / name).write_text(content)
        return {**one(), "prompts": {"short": {"file": str(tmp_path / name)}}}

    line = '{"prompt": "Hello."}\n'
    assert spec_of(root, config("a.jsonl", line)) == spec_of(root, config("b.jsonl", line))
    assert spec_of(root, config("a.jsonl", line)) != spec_of(root, config("a.jsonl", line * 2))


def test_synthetic_prompts_are_made_of_the_shipped_text(own_root):
    config = {**one(), "prompts": {"short": {"synthetic": {"input_tokens": 8, "count": 4}}}}
    before = spec_of(own_root, config)
    (own_root / "config" / "prompts" / "prose.txt").write_text("Another text.\n")
    assert spec_of(own_root, config) != before
