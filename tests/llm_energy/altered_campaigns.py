"""A campaign that uses every part of the grammar, and what becomes of it after some mistakes."""

import copy

from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import BASE, COMMIT, SHA

RICH = BASE | {
    "reference": "sweep_batch1_out16",
    "order": "sequential",
    "comparisons": {"factors": ["batch_size", "model"], "equivalence_margin": 0.05},
    "assumptions": {
        "electricity": {"price_per_kwh": 0.3, "currency": "EUR"},
        "carbon_intensity_grams_per_kwh": 380,
        "power_usage_effectiveness": 1.2,
    },
    "remeasure": "invalid",
    "new_device": True,
    "status": "json",
    "export_to": "influxdb://127.0.0.1:8086/energy",
    "backends": {
        "toy": {"environment": {"python": "bin/python", "packages_sha256": SHA["b"]}},
        "boxy": {
            "runtime": "docker",
            "environment": {"image": f"boxy@sha256:{SHA['a']}", "python": "python3"},
            "base": "debian",
            "container": {
                "gpus": ["GPU-1"],
                "cpus": 1.5,
                "memory": "8g",
                "shm_size": "1g",
                "ulimits": {"memlock": -1},
                "environment": {"OMP_NUM_THREADS": "1"},
                "user": "1000:1000",
                "read_only": False,
            },
        },
    },
    "models": {
        "small": {
            "licence": "Apache-2.0",
            "source": {"path": "models/small.gguf", "sha256": SHA["c"]},
            "sources": {"boxy": {"hub": "a/b", "revision": COMMIT, "files": ["*.json"]}},
        },
    },
    "prompts": {
        "a": {"shipped": "everyday", "seed": 1, "max_input_tokens": 64, "on_too_long": "truncate"},
        "b": {"file": "mine.jsonl", "field": "text", "chat_template": True},
        "c": {
            "package": "p",
            "version": "1",
            "file": "f",
            "field": "x",
            "sha256": SHA["d"],
            "limit": 4,
        },
        "d": {"synthetic": {"input_tokens": 16, "count": 4}, "seed": 1},
    },
    "measurement": {"device": "gpu", "minimum_duration_s": 30, "sampling_hz": 20.0},
    "defaults": {"sampling": {"temperature": 0.5, "top_k": 3}, "engine": {"toy": {"threads": 2}}},
    "experiments": {
        "x": {
            "settings": {"load_mode": "closed"},
            "axes": {
                "batch_size": {"from": 1, "to": 8, "factor": 2},
                "output_tokens": {"from": 16, "to": 64, "step": 16},
                "engine.toy.cache": [True, False],
            },
            "linked": [{"model": ["small", "large"], "dtype": ["a", "b"]}],
            "exclude": [{"batch_size": 2}],
            "include": [{"batch_size": 3, "output_tokens": 16}],
        },
        "y": {},
    },
}


def paths_of(value, path=()):
    """Every key and index in a nested value, outermost first."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(inner, (*path, key))


PATHS = list(paths_of(RICH))[1:]
KEYS = [*sorted({str(path[-1]) for path in PATHS}), "batch_sise", "Ü", "", "../x", "engine.toy.x"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([2**31, 2**63, 1e300])
    | st.floats(-1, 40, allow_nan=False)
    | st.sampled_from(KEYS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def altered(draw):
    """The rich campaign after one to three changes: a value replaced, a key removed or added."""
    config = copy.deepcopy(RICH)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(PATHS))
        inner = config
        try:
            for part in parents:
                inner = inner[part]
            match draw(st.sampled_from(["replace", "remove", "add"])):
                case "replace":
                    inner[last] = draw(VALUES)
                case "remove":
                    del inner[last]
                case "add" if isinstance(inner, dict):
                    inner[draw(st.sampled_from(KEYS))] = draw(VALUES)
        except (KeyError, IndexError, TypeError):
            pass  # an earlier change took the place away
    return config
