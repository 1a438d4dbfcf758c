"""Nobody changes a value of a result unseen: each is computed again, compared or sealed."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_results import make_result, path_of, put_records, put_result
from tests.llm_energy.make_side_files import with_numbers

from llm_energy.archive.verify import CHECKSUM_SINCE, Verdict, verify_results
from llm_energy.campaign.identity import PROTOCOL_VERSION
from llm_energy.results.result import checksum_of, read_result

EXAMPLE = Path(__file__).parents[3] / "docs/example/smollm2-cpu"
EARLIER = Path(__file__).parents[1] / "protocol_2"
ONLY_SEALED = (
    *("attempt", "checksum", "position", "process.", "sample_outputs.", "phases.end_monotonic_s"),
    *("settings.declared", "settings.observed.", "energy.host_idle_power_watts"),
    *("warmup.capped", "warmup.first_wave_s", "warmup.throughput_tokens_per_second"),
    *("warmup.wave_ends_s", "warmup.power.span_s", "warmup.power.temperature_range_celsius"),
)
"""Values that no raw data determine, by the beginning of their names."""

OF_THE_EXAMPLE = ("experiment",)
"""Values of the worked example that none determine: it has no power series, which would name the
experiment."""

OF_RECORDS = ("environment.", "prompts.")
"""Values that the records beside the results determine; those of the made result lack most."""


def example(folder: Path) -> str:
    """A measured result with its records, written again with a checksum."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    first, *others = sorted(folder.glob("measurements/*/*.json"))
    for path in others:
        path.unlink()
    put_result(first, read_result(first))
    return first.relative_to(folder).as_posix()


def metered(folder: Path) -> str:
    """A made result of the present protocol, with requests and power."""
    result = with_numbers(folder, make_result(metered=True, protocol=PROTOCOL_VERSION))
    put_result(folder / path_of(result), result)
    put_records(folder, result)
    return path_of(result)


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value that is no dictionary and no list, and of the empty ones."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, *path, key)
    else:
        yield path


def other(value: Any) -> Any:
    """A value of the same type that is not `value`."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 1.1 + 1 if isinstance(value, float) else value + 1
        case str():
            return "yesterday"
        case None:
            return 1.5
        case list():
            return [1]
        case _:
            return {"more": 1}


def changed(content: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    copy = json.loads(json.dumps(content))
    part = copy
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = other(part[path[-1]])
    return copy


@pytest.fixture(params=[example, metered])
def make(request):
    return request.param


def test_every_value_is_computed_again_or_sealed(tmp_path, make):
    file = tmp_path / make(tmp_path)
    assert verify_results(tmp_path) == Verdict("1 result", [])
    content = json.loads(file.read_text())
    for path in leaves(content):
        file.write_text(json.dumps(changed(content, path)))
        assert verify_results(tmp_path).problems, path


def test_a_new_checksum_hides_nothing_that_raw_data_determine(tmp_path, make):
    file = tmp_path / make(tmp_path)
    content = json.loads(file.read_text())
    unseen = set()
    for path in leaves(content):
        edited = changed(content, path)
        file.write_text(json.dumps(edited | {"checksum": checksum_of(edited)}))
        if not verify_results(tmp_path).problems:
            unseen.add(".".join(str(key) for key in path if not isinstance(key, int)))
    expected = ONLY_SEALED + (OF_THE_EXAMPLE if make is example else OF_RECORDS)
    assert {name for name in unseen if not name.startswith(expected)} == set()


@pytest.mark.parametrize(
    ("part", "value"),
    [("window.duration_s", 0), ("settings.resolved.batch_size", 0), ("warmup", None)],
)
def test_a_value_that_breaks_a_formula_is_a_problem_of_its_result_alone(tmp_path, part, value):
    file = tmp_path / metered(tmp_path)
    content = json.loads(file.read_text())
    *above, last = part.split(".")
    functools.reduce(dict.__getitem__, above, content)[last] = value
    file.write_text(json.dumps(content | {"checksum": checksum_of(content)}))
    verdict = verify_results(tmp_path)
    assert verdict.looked_at == "1 result"
    assert verdict.problems


@pytest.mark.parametrize("name", ["sampling_uncertainty_joules", "gap_uncertainty_joules"])
def test_a_number_that_raw_data_determine_cannot_be_taken_away(tmp_path, name):
    file = tmp_path / metered(tmp_path)
    content = json.loads(file.read_text())
    del content["energy"][name]
    file.write_text(json.dumps(content | {"checksum": checksum_of(content)}))
    (problem,) = verify_results(tmp_path).problems
    assert f"its power series gives energy.{name}" in problem


def test_a_change_that_no_raw_data_show_is_named_as_one(tmp_path, make):
    file = tmp_path / make(tmp_path)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"position": 99}))
    (problem,) = verify_results(tmp_path).problems
    assert problem == (
        f"{make(tmp_path / 'again')}: it was changed after it was written: its checksum does not "
        "fit; what was changed is not determined by raw data"
    )


def test_another_layout_of_the_same_content_is_no_change(tmp_path):
    file = tmp_path / metered(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    assert verify_results(tmp_path).problems == []


def test_a_result_that_is_older_than_checksums_is_reported_and_no_problem():
    verdict = verify_results(EARLIER)
    assert verdict.problems == []
    (note,) = verdict.notes
    assert note.startswith(
        "12 of 12 results have no checksum, as before protocol 3; not determined"
    )


def test_a_checksum_cannot_be_taken_away(tmp_path):
    result = with_numbers(tmp_path, make_result(protocol=CHECKSUM_SINCE))
    path = tmp_path / path_of(result)
    put_result(path, result)
    put_records(tmp_path, result)
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    (problem,) = verify_results(tmp_path).problems
    assert problem.endswith(": it has no checksum")


def test_a_copy_keeps_its_checksum(tmp_path):
    """As results do that are set aside, packed or cloned."""
    file = tmp_path / metered(tmp_path)
    kept = tmp_path / "superseded" / "20260101T000000Z"
    for folder in ("measurements", "requests", "series"):
        shutil.copytree(tmp_path / folder, kept / folder)
    assert verify_results(tmp_path) == Verdict("2 results (1 measurement, 1 superseded)", [])
    copy = kept / file.relative_to(tmp_path)
    copy.write_text(copy.read_text().replace('"position": 0', '"position": 1'))
    (problem,) = verify_results(tmp_path).problems
    assert problem.startswith("superseded/")
