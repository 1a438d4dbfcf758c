"""JSON objects become dataclasses, or a message says where they do not."""

from dataclasses import dataclass, field

import pytest

from worker.records import RecordError, read_record


@dataclass(frozen=True)
class Inner:
    number: float


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    ids: tuple[tuple[int, ...], ...] = ()
    flag: bool = False
    options: dict[str, object] = field(default_factory=dict)
    place: int | tuple[str, ...] | None = None


def test_reads_nested_records_with_defaults() -> None:
    value = {"name": "a", "inner": {"number": 2}, "ids": [[1, 2], []]}
    assert read_record(Outer, value, "x") == Outer("a", Inner(2.0), ((1, 2), ()))


@pytest.mark.parametrize("place", [None, 3, ["a", "b"]])
def test_reads_what_one_type_of_a_union_fits(place: object) -> None:
    read = read_record(Outer, {"name": "a", "inner": {"number": 2}, "place": place}, "x")
    assert read.place == (tuple(place) if isinstance(place, list) else place)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "x: must be an object"),
        ({"name": "a"}, "x.inner: missing"),
        ({"name": "a", "inner": {"number": 1}, "nmae": 1}, "x.nmae: unknown key"),
        ({"name": 1, "inner": {"number": 1}}, "x.name: must be text, not 1"),
        ({"name": "a", "inner": 3}, "x.inner: must be an object"),
        ({"name": "a", "inner": {"number": "1"}}, "x.inner.number: must be a number, not '1'"),
        ({"name": "a", "inner": {"number": True}}, "x.inner.number: must be a number, not True"),
        ({"name": "a", "inner": {"number": 1e400}}, "x.inner.number: must be a number, not inf"),
        ({"name": "a", "inner": {"number": 1}, "ids": [[1, "2"]]}, "x.ids[0][1]: must be a whole"),
        ({"name": "a", "inner": {"number": 1}, "ids": [[True]]}, "x.ids[0][0]: must be a whole"),
        ({"name": "a", "inner": {"number": 1}, "flag": 1}, "x.flag: must be true or false, not 1"),
        ({"name": "a", "inner": {"number": 1}, "options": []}, "x.options: must be an object"),
        ({"name": "a", "inner": {"number": 1}, "place": "b"}, "x.place: must be a whole number"),
    ],
)
def test_says_where_a_value_is_wrong(value: object, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(Outer, value, "x")
    assert str(caught.value).startswith(message)
