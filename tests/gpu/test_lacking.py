"""The wheels that collect.sh fetches: the locked versions that the machine does not have yet."""

from tests.gpu.lacking import lacking, names

LOCK = """\
# a comment
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa
    # via pandas
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
Typing.Extensions==4.16.0 \\
    --hash=sha256:dd
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:ee
"""


def test_versions_are_those_of_the_target_python_with_their_hashes():
    found = lacking(LOCK, python_version="3.12", present=set())
    assert found.splitlines() == [
        "numpy==2.5.5 --hash=sha256:bb --hash=sha256:cc",
        "Typing.Extensions==4.16.0 --hash=sha256:dd",
    ]
    assert "numpy==2.4.6 --hash=sha256:aa" in lacking(LOCK, python_version="3.11", present=set())


def test_what_is_there_is_left_out_however_its_name_is_written(tmp_path):
    (tmp_path / "image.txt").write_text("# there\ntyping_extensions\n")
    found = lacking(LOCK, python_version="3.12", present=names(tmp_path / "image.txt"))
    assert "Typing" not in found
