"""A result file that somebody else wrote, cut or changed: told as unusable, or as what it is."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.llm_energy.make_results import design, make_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.results.result import ResultError, read_result
from llm_energy.workflow.invalid import invalid_results

GOOD = make_result()
CONTENT = GOOD.model_dump_json(indent=1).encode()
PATH = f"measurements/{GOOD.spec_hash}/cycle-01.json"

VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([[], {}, "../x", 1e308, -1, 0])
)


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(inner, (*path, key))


PLACES = list(paths_of(json.loads(CONTENT)))[1:]


@st.composite
def contents(draw):
    """The result file after it was cut, after bytes of it changed, or after a value of it did."""
    match draw(st.sampled_from(["cut", "bytes", "value", "anything"])):
        case "cut":
            return CONTENT[: draw(st.integers(0, len(CONTENT) - 1))]
        case "bytes":
            where, new = draw(st.integers(0, len(CONTENT) - 1)), draw(st.binary(max_size=4))
            return CONTENT[:where] + new + CONTENT[where + len(new) :]
        case "value":
            result = json.loads(CONTENT)
            *parents, last = draw(st.sampled_from(PLACES))
            inner = result
            for part in parents:
                inner = inner[part]
            inner[last] = draw(VALUES)
            return json.dumps(result).encode()
    return draw(st.binary(max_size=40))


@given(contents())
@example(json.dumps(json.loads(CONTENT) | {"protocol_version": 2**63}).encode())
def test_whatever_a_result_file_holds_it_is_accounted_for(tmp_path, content):
    write(tmp_path, content)
    findings = aggregate(tmp_path, planned=[PATH], design=design(cycles=1)).findings
    assert (
        findings.completed + findings.out_of_memory + len(findings.unusable)
        == findings.planned
        == 1
    )
    for gap in findings.unusable:
        assert gap.reason.isprintable()
        assert invalid_results(tmp_path, [PATH], on_gpu=False, elsewhere=True).mendable == [PATH]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 3}, "not a result: schema_version: Input should be 2"),
        ({"spec_hash": "0" * 12}, "its spec hash is 000000000000, its path says"),
        ({"cycle": 2}, "its cycle is 2, its path says 1"),
        ({"position": 2**63}, "not a result: position: Input should be less than 922337"),
    ],
)
def test_what_is_not_this_result_of_this_schema_is_reported(tmp_path, change, told):
    write(tmp_path, json.dumps(json.loads(CONTENT) | change).encode())
    (gap,) = aggregate(tmp_path, planned=[PATH], design=design(cycles=1)).findings.unusable
    assert told in gap.reason
    assert invalid_results(tmp_path, [PATH], on_gpu=False, elsewhere=True).mendable == [PATH]


@pytest.mark.parametrize("content", [CONTENT[:-20], b"", b"[1]", b"null"])
def test_a_file_that_is_no_object_has_a_fault_without_a_place(tmp_path, content):
    write(tmp_path, content)
    with pytest.raises(ResultError, match=r"not a result: (Invalid JSON|Input should)"):
        read_result(tmp_path / PATH)


def test_a_folder_in_the_place_of_a_result_is_reported(tmp_path):
    (tmp_path / PATH).mkdir(parents=True)
    with pytest.raises(ResultError, match="no regular file"):
        read_result(tmp_path / PATH)


def write(folder, content):
    (folder / PATH).parent.mkdir(parents=True, exist_ok=True)
    (folder / PATH).write_bytes(content)
