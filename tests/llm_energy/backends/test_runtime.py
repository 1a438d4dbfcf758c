"""Lines come out as they went in, however they are cut."""

from hypothesis import given
from hypothesis import strategies as st

from llm_energy.backends.runtime import Lines


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
