"""Expected output of SmolLM2-135M-Instruct: found equal in four engines."""

from pathlib import Path
from statistics import median
from typing import Any

from tests.worker.backend import Peer, ask_oneshot
from tests.worker.engines.conftest import Engines

WARMUP = {"cap_s": 0.0, "first_wave_deadline_s": 900.0}
"""One wave, however long it takes."""

DAY = "2026-01-01"
"""The date that chat templates print."""

QUESTION = "What is the capital of France? Answer in one sentence."

QUESTION_IDS = [
    *(1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407),
    *(19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 19842, 281, 582),
    *(6330, 30, 2, 198, 1, 520, 9531, 198),
]
"""QUESTION in the model's chat template."""

ANSWER_IDS = [504, 3575, 282, 4649, 314, 7042, 30]
"""The capital of France is Paris. Greedy, the end of text would come next."""

GRAVITY_IDS = [22007, 6463, 314]
"""Gravity is"""


def load(peer: Peer | Engines, backend: str, model: Path | str, **changes: Any) -> dict[str, Any]:
    """Load the model; each set of `changes` has its own key, so that it is loaded once."""
    fields = {"backend": backend, "model_path": str(model), "dtype": "auto"}
    fields |= {"context_tokens": 256, "slots": 4} | changes
    loaded: dict[str, Any] = peer.load(key=repr(changes), **fields)
    return loaded


def tokenize(
    python: str, backend: str, model: Path | str, *texts: str, chat_template: bool
) -> list[list[int]]:
    question: dict[str, Any] = {"op": "tokenize", "backend": backend, "model_path": str(model)}
    question |= {"texts": texts, "template_date": DAY if chat_template else None}
    answer, code = ask_oneshot(question, python=python)
    assert code == 0, answer
    ids: list[list[int]] = answer["token_ids"]
    return ids


def measure(peer: Peer | Engines, prompts: list[list[int]], **changes: Any) -> dict[str, Any]:
    """One wave of warm-up and one of window over `prompts` together; the final event."""
    short: dict[str, Any] = {"minimum_duration_s": 0.0, "tail_s": 0.0, "warmup": WARMUP}
    short |= {"output_tokens": 7, "batch_size": len(prompts), "minimum_waves": 1}
    measured: dict[str, Any] = peer.measure(**short | changes, prompts=prompts)
    return measured


def outputs(measured: dict[str, Any]) -> list[list[int]]:
    """Output token ids of the first prompts."""
    assert measured["event"] == "measured", measured
    return [sample["output_ids"] for sample in measured["sample_outputs"]]


def check_every_token_is_counted(measured: dict[str, Any], tokens: int) -> None:
    """Every request has so many tokens, each with its time, whatever the model wanted to say."""
    assert measured["event"] == "measured", measured
    for request in measured["requests"]:
        assert request["counted"] == len(request["token_times"]) == tokens
        assert request["submitted"] < request["token_times"][0]
        assert request["token_times"] == sorted(request["token_times"])


def check_slots_are_busy(measured: dict[str, Any], slots: int) -> None:
    """Soon after a request was submitted in the window all slots were busy, and never more.

    Requests that end in one step of the engine are replaced one after the other. All of them are
    submitted well within the time that a request takes, also on a busy machine; a slot that waited
    for another one would be idle for all of it.
    """
    start, end = measured["window"]["start"], measured["window"]["end"]
    requests = measured["requests"]
    soon = 0.8 * median(r["token_times"][-1] - r["submitted"] for r in requests)

    def busy(at: float) -> int:
        return sum(r["submitted"] <= at < r["token_times"][-1] for r in requests)

    submissions = [r["submitted"] for r in requests if start < r["submitted"] < end]
    early = [now for now in submissions if now < end - soon]
    assert early
    for now in early:
        assert max(busy(at) for at in submissions if now <= at <= now + soon) == slots
    assert max(map(busy, submissions)) == slots


def check_sampling_repeats(peer: Peer | Engines) -> None:
    """The same seed draws the same tokens, another one others."""
    warm = {"temperature": 1.5, "top_p": 0.95, "top_k": 50}
    draws = [
        outputs(measure(peer, [GRAVITY_IDS], sampling={**warm, "seed": seed})) for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def check_open_load(peer: Peer | Engines, slots: int = 2) -> None:
    """More requests than it can serve: each is exact, none waits for another to be submitted.

    What arrives after the window is cancelled: the next load finds an idle engine.
    """
    arrivals = {"process": "poisson", "rate": 6.0}
    prompts = [QUESTION_IDS, GRAVITY_IDS]
    before = outputs(measure(peer, prompts))
    measured = measure(
        peer, prompts, mode="open", batch_size=slots, arrivals=arrivals, minimum_duration_s=1.0
    )
    assert measured["event"] == "measured", measured
    start, end = measured["window"]["start"], measured["window"]["end"]
    counted = [r for r in measured["requests"] if start <= r["scheduled"] <= end]
    assert len(counted) > 2
    for request in counted:
        assert request["fault"] is None
        assert len(request["token_times"]) == request["requested"] == 7
        assert request["scheduled"] <= request["submitted"] < request["token_times"][0]
        assert request["ended"] == request["token_times"][-1]
    assert outputs(measure(peer, prompts)) == before
