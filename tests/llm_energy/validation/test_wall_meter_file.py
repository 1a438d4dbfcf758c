"""Files of wall meters as tools write them: each is read, or refused in one line with a remedy."""

import random
import re

import pytest

from llm_energy.power.series import Samples
from llm_energy.validation.wall_meter_file import WallMeterError, read_wall_meter

START = 1_800_000_000.0
EXPECTED = Samples((START, START + 1, START + 2), (100.0, 200.5, 300.0))
PLAIN = "time,watts\n1800000000,100\n1800000001,200.5\n1800000002,300\n"
PTDAEMON = (
    "Time,01-15-2027 08:00:00.000,Watts,100.0,Volts,229.7,Amps,0.27,PF,0.4,Mark,notset\r\n"
    "Time,01-15-2027 08:00:01.000,Watts,200.5,Volts,229.7,Amps,0.27,PF,0.4,Mark,run\r\n"
    "Time,01-15-2027 08:00:02.000,Watts,300.0,Volts,229.7,Amps,0.27,PF,0.4,Mark,run\r\n"
)


@pytest.fixture
def meter(tmp_path):
    def write(content):
        path = tmp_path / "meter.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


READ = {
    "plain": PLAIN,
    "other columns, in any order": "watts,volts,time\n100,230,1800000000\n"
    "200.5,231,1800000001\n300,230,1800000002\n",
    "ISO 8601": "time,watts\n2027-01-15T08:00:00Z,100\n2027-01-15 09:00:01+01:00,200.5\n"
    "2027-01-15T08:00:02,300\n",
    "byte order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16, little-endian": b"\xff\xfe" + PLAIN.encode("utf-16-le"),
    "UTF-16, big-endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "Latin-1": "time,watts,Temperatur °C\n1800000000,100,20\n1800000001,200.5,20\n"
    "1800000002,300,20\n".encode("latin-1"),
    "blanks": " time , watts\n1800000000, 100\n\n 1800000001 ,\t200.5 \n1800000002, 300\n  \n",
    "capital letters": PLAIN.replace("time,watts", "Time,Watts"),
    "lines of Windows": PLAIN.replace("\n", "\r\n"),
    "quotes": PLAIN.replace("time,watts", '"time","watts"'),
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "milliseconds": re.sub(r"(180000000\d)", r"\g<1>000", PLAIN),
    "microseconds": re.sub(r"(180000000\d)", r"\g<1>000000", PLAIN),
    "nanoseconds": re.sub(r"(180000000\d)", r"\g<1>000000000", PLAIN),
    "PTDaemon": PTDAEMON,
    "PTDaemon, with a byte order mark": PTDAEMON.encode("utf-8-sig"),
    "PTDaemon, blanks and whole seconds": PTDAEMON.replace(",", ", ").replace(".000,", ","),
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_the_same_samples_however_they_are_written(meter, content):
    assert read_wall_meter(meter(content)) == EXPECTED


REFUSED = {
    "empty": ("", r": is empty; a table needs the columns time \(seconds or"),
    "blank": ("\n \n", r": is empty; a table"),
    "only columns": ("time,watts\n", r": has no line below its columns; a table"),
    "no time": ("seconds,watts\n1,2\n", r":1: no column time in 'seconds', 'watts'; a table"),
    "no watts": ("time,Power (W)\n1,2\n", r":1: no column watts in 'time', 'Power \(W\)'; a"),
    "two columns of watts": ("time,watts,Watts\n1,2,3\n", r":1: more than one column watts in"),
    "no columns": ("1800000000,100\n", r":1: no column time in '1800000000', '100'; a table"),
    "seconds since the start": ("time,watts\n0.0,2\n", r":2: time is '0.0'; write seconds or"),
    "days since 1900": ("time,watts\n46402.33,2\n", r":2: time is '46402.33'; write"),
    "a date as a number": ("time,watts\n20270115,2\n", r":2: time is '20270115'; write"),
    "nan time": ("time,watts\nnan,2\n", r":2: time is 'nan'; write"),
    "infinite time": ("time,watts\ninf,2\n", r":2: time is 'inf'; write"),
    "no time at all": (PLAIN + "soon,3\n", r":5: time is 'soon'; write"),
    "empty time": (PLAIN + ",3\n", r":5: time is ''; write"),
    "year 1": ("time,watts\n0001-01-01T00:00:00+14:00,2\n", r":2: time is '0001-01-01T00:0"),
    "underscores": ("time,watts\n1_800_000_000,2\n", r":2: time is '1_800_000_000'; write"),
    "nan watts": ("time,watts\n1800000000,nan\n", r":2: watts is 'nan'; write a number"),
    "infinite watts": ("time,watts\n1800000000,1e999\n", r":2: watts is '1e999'; write"),
    "a unit behind watts": ("time,watts\n1800000000,5 W\n", r":2: watts is '5 W'; write a n"),
    "decimal comma": ("time;watts\n1800000000;5,5\n", r":2: watts is '5,5'; write a number wit"),
    "decimal comma between commas": ("time,watts\n1800000000,5,5\n", r":2: 3 values under 2 col"),
    "a line that ends early": ("time,watts\n1800000000\n", r":2: 1 values under 2 columns; comp"),
    "a time twice": (PLAIN + "1800000002,3\n", r":5: time does not ascend; sort the lines"),
    "an open quote": ('time,watts\n"1800000000,2\n', r": is no CSV file \(unexpected end of da"),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), r": is no text, it begins with b't"),
    "half of a UTF-16 sign": (b"\xff\xfet\0i", r": is damaged UTF-16 \(.*\); save it as CSV"),
    "a spreadsheet": (b"PK\x03\x04\x14\0\x06\0\x08", r": is no text, it begins with b'PK.*; save"),
    "another line in PTDaemon": (PTDAEMON + "Notice,started\n", r":4: 'Notice,started' is no li"),
    "several channels": (
        PTDAEMON.replace("Volts,229.7", "Watts,7.5"),
        r":1: 'Time,.* is no line of PTDaemon with one channel, `Time",
    ),
    "day before month": (
        PTDAEMON + "Time,15-01-2027 08:00:03.000,Watts,1.0\n",
        r":4: time is '15-01-2027 08:00:03.000', not month-day-year",
    ),
    "a first line of PTDaemon without such a date": (
        "Time,13-40-2027 08:00:00.000,Watts,1.0\n",
        r":1: time is '13-40-2027 08:00:00.000', not month-day-year",
    ),
    "an error of PTDaemon": (
        PTDAEMON + "Time,01-15-2027 08:00:03.000,Watts,error\n",
        r":4: watts is 'error'; write a number",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(meter, content, message):
    path = meter(content)
    with pytest.raises(WallMeterError, match=re.escape(str(path)) + message) as refused:
        read_wall_meter(path)
    assert "\n" not in str(refused.value)
    assert "; " in str(refused.value)


def outcome(path):
    """The message where a file is refused; None where samples are read of it."""
    try:
        read_wall_meter(path)
    except WallMeterError as refused:
        return str(refused)
    return None


def test_damaged_files_are_read_or_refused(meter):
    chance = random.Random(2026)
    for whole in (PLAIN.encode(), PTDAEMON.encode(), b"\xff\xfe" + PLAIN.encode("utf-16-le")):
        for _ in range(300):
            content = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            path = meter(bytes(content[: chance.randint(0, len(content))]))
            message = outcome(path)
            assert message is None or message.startswith(str(path))
            assert message is None or "\n" not in message
