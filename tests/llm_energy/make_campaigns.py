"""A small checkout with two made-up backends, and campaigns to load in it."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from llm_energy.campaign.campaign import Campaign, load_campaign
from llm_energy.campaign.problems import CampaignError

TOY = """
from worker.engines.base import Engine, Option


class Toy(Engine):
    OPTIONS = {
        "threads": Option(int, 1, "threads", minimum=1),
        "gain": Option(float, 1.0, "a number"),
        "cache": Option(bool, False, "true or false"),
        "layout": Option(str, "rows", "text", choices=("rows", "columns")),
        "slots": Option(int, None, "sequences", minimum=1),
    }
    MODEL_FORMATS = ("gguf",)
    LOAD_MODES = frozenset({"waves", "closed", "open"})
    DTYPES = ("auto",)


ENGINE = Toy
"""

BOXY = """
from worker.engines.base import Engine, Option


class Boxy(Engine):
    OPTIONS = {
        "eager": Option(bool, True, "true or false"),
        "graphs": Option(bool, None, "true or false"),
    }
    MODEL_FORMATS = ("hf",)
    LOAD_MODES = frozenset({"waves"})
    DTYPES = ("auto", "bfloat16", "float32")

    @classmethod
    def conflict(cls, options):
        excluded = options["eager"] and options.get("graphs")
        return ("graphs", "needs eager false") if excluded else None


ENGINE = Boxy
"""

SHA = {letter: letter * 64 for letter in "0123456789abcdef"}
COMMIT = "c0ffee" + "0" * 34

BASE: dict[str, Any] = {
    "campaign": "trial",
    "seed": 7,
    "cycles": 2,
    "backends": {"toy": {}, "boxy": {}},
    "models": {
        "small": {
            "source": {"package": "tiny", "version": "1.0", "file": "t.gguf", "sha256": SHA["a"]}
        },
        "large": {"source": {"hub": "somebody/large", "revision": COMMIT}},
    },
    "prompts": {"short": {"shipped": "everyday", "limit": 8}},
    "defaults": {"backend": "toy", "model": "small", "prompts": "short"},
    "experiments": {"sweep": {"axes": {"batch_size": [1, 4], "output_tokens": [16, 48]}}},
}


HEAD = """\
campaign: trial
backends: {toy: {}}
models:
  small:
    source: {package: tiny, version: "1.0", file: t.gguf, sha256: SHA}
prompts:
  short: {shipped: everyday, limit: 8}
defaults: {backend: toy, model: small, prompts: short}
""".replace("SHA", SHA["a"])
"""The text of a campaign without experiments, in eight lines."""


def make_checkout(root: Path) -> Path:
    """A folder with what `load_campaign` reads of a checkout."""
    engines = root / "scripts" / "worker" / "engines"
    engines.mkdir(parents=True)
    for name, code in (("toy", TOY), ("boxy", BOXY), ("base", ""), ("unready", "")):
        (engines / f"{name}.py").write_text(code)
    for name in ("toy", "boxy"):
        (root / "envs" / name).mkdir(parents=True)
        (root / "envs" / name / "requirements.txt").write_text(f"{name}-engine==1.0\n")
    prompts = root / "config" / "prompts"
    prompts.mkdir(parents=True)
    (prompts / "everyday.jsonl").write_text('{"prompt": "Why is the sky blue?"}\n' * 12)
    (prompts / "prose.txt").write_text("Rain fell. The sun shone.\n")
    return root


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The base campaign with one change."""
    config = copy.deepcopy(BASE)
    change(config)
    return config


def with_experiments(**groups: Any) -> dict[str, Any]:
    """The base campaign with other groups of experiments."""
    return {**copy.deepcopy(BASE), "experiments": groups}


def one(**settings: Any) -> dict[str, Any]:
    """The base campaign with one experiment, `one`, of these settings."""
    return with_experiments(one={"settings": settings})


def load(root: Path, config: Mapping[str, Any] = BASE, **options: Any) -> Campaign:
    """Load a configuration that no file holds."""
    return load_campaign(config, files=[], root=root, lock=root / "lock.yaml", **options)


def load_text(root: Path, text: str) -> Campaign:
    """Write a configuration to `campaign.yaml` in the working directory and load it."""
    Path("campaign.yaml").write_text(text)
    config = yaml.safe_load(text)
    return load_campaign(config, files=[Path("campaign.yaml")], root=root, lock=root / "lock.yaml")


def mistakes(root: Path, config: Mapping[str, Any]) -> list[str]:
    """The messages that a configuration earns, without the place that they begin with."""
    try:
        load(root, config)
    except CampaignError as error:
        return [message.removeprefix("--config: ") for message in error.messages]
    return []


def messages_of(root: Path, text: str) -> list[str]:
    """The messages that the text of a campaign earns, each with its place."""
    try:
        load_text(root, text)
    except CampaignError as error:
        return error.messages
    return []


def steady_trace(count: int) -> list[str]:
    """Lines of a trace with ten requests per second."""
    entry = {"input_length": 9, "output_length": 3}
    return [json.dumps({"timestamp": 100 * number, **entry}) for number in range(count)]


def spec_of(root: Path, config: Mapping[str, Any]) -> str:
    """The hash of the specification of a campaign's only experiment."""
    (experiment,) = load(root, config).experiments
    return experiment.spec_hash


def written(folder: Path, content: bytes | str, name: str = "mine.jsonl") -> Path:
    """Write a file of prompts."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def specs(campaign: Campaign) -> dict[str, str]:
    return {experiment.name: experiment.spec_hash for experiment in campaign.experiments}
