"""Lines come out as they went in, however they are cut; an environment is found where it lies."""

import json

from hypothesis import given
from hypothesis import strategies as st

from llm_energy.backends.runtime import Lines, read_environment


@given(sent=st.lists(st.binary().filter(lambda line: b"\n" not in line)), size=st.integers(1, 9))
def test_lines_come_out_whole_and_in_order(sent, size):
    data = b"".join(line + b"\n" for line in sent)
    lines, received = Lines(), []
    for start in range(0, len(data), size):
        lines.add(data[start : start + size])
        while (line := lines.next()) is not None:
            received.append(line)
    assert received == sent


def test_a_line_without_its_end_is_waited_for():
    lines = Lines()
    lines.add(b"half a ")
    assert lines.next() is None
    lines.add(b"line\nand")
    assert lines.next() == b"half a line"
    assert lines.next() is None


def test_the_interpreter_of_an_environment_is_found_where_its_checkout_was_moved_to(
    tmp_path, monkeypatch
):
    """Its marker holds the path at which it was made."""
    marker = tmp_path / ".cache/environments/sleep-0/ready.json"
    marker.parent.mkdir(parents=True)
    content = {"kind": "venv", "python": "/gone/.cache/environments/sleep-0/venv/bin/python"}
    content |= {"python_version": "3.11.7", "engine_version": "sleep 1", "packages": {}}
    marker.write_text(json.dumps(content | {"environment_hash": "0"}))
    monkeypatch.chdir(tmp_path)
    assert read_environment("sleep-0").python == str(marker.parent / "venv/bin/python")
