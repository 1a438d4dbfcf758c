"""What SmolLM2-135M-Instruct must say, whatever engine runs it: found equal in four engines."""

from typing import Any

from tests.worker.backend import Peer

QUESTION = "What is the capital of France? Answer in one sentence."

QUESTION_IDS = [
    *(1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407),
    *(19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 19842, 281, 582),
    *(6330, 30, 2, 198, 1, 520, 9531, 198),
]
"""QUESTION in the model's chat template."""

ANSWER_IDS = [504, 3575, 282, 4649, 314, 7042, 30]
"""The capital of France is Paris."""

GRAVITY_IDS = [22007, 6463, 314]
"""Gravity is"""


def measure(peer: Peer, prompts: list[list[int]], **changes: Any) -> dict[str, Any]:
    """One wave of warm-up and one of window over `prompts` together; the final event."""
    short: dict[str, Any] = {"minimum_duration_s": 0.0, "tail_s": 0.0, "warmup": {"cap_s": 0.0}}
    short |= {"output_tokens": 7, "batch_size": len(prompts), "minimum_waves": 1}
    measured: dict[str, Any] = peer.measure(**short | changes, prompts=prompts)
    return measured


def outputs(measured: dict[str, Any]) -> list[list[int]]:
    """Output token ids of the first prompts."""
    assert measured["event"] == "measured", measured
    return [sample["output_ids"] for sample in measured["sample_outputs"]]
