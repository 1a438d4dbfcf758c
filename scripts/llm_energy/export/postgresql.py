"""PostgreSQL: a schema of tables, one transaction for each measurement, readings by COPY.

A measurement is there as a whole or not at all. `timestamptz` keeps microseconds, so that each
reading also has its nanoseconds on the monotonic clock, from which energy is integrated. Where the
database has TimescaleDB, the readings are a hypertable.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
import psycopg

from llm_energy.campaign.export_target import ExportTarget
from llm_energy.export.channels import SECOND_NS, Measured, channels, moment
from llm_energy.export.line_protocol import tags
from llm_energy.export.servers import ExportError, Undisturbed

CONNECT_S = 10
BATCH_ROWS = 20_000
"""Rows between two looks at whether this host measures."""

NUMBERS = (
    "duration_s",
    "output_tokens",
    "output_tokens_per_second",
    "energy_joules",
    "energy_standard_uncertainty_joules",
    "mean_power_watts",
    "joules_per_output_token",
)

TABLES = f"""
CREATE SCHEMA llm_energy;
CREATE TABLE llm_energy.results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL, experiment text NOT NULL, spec text NOT NULL, cycle integer NOT NULL,
    kind text NOT NULL, started timestamptz NOT NULL, finished timestamptz NOT NULL,
    window_start timestamptz, window_end timestamptz,
    window_start_monotonic_ns bigint, window_end_monotonic_ns bigint,
    completed boolean NOT NULL, {", ".join(f"{name} double precision" for name in NUMBERS)},
    reason text,
    UNIQUE (campaign, spec, cycle, kind, started));
CREATE TABLE llm_energy.devices (
    result bigint NOT NULL REFERENCES llm_energy.results ON DELETE CASCADE,
    device text NOT NULL, model text NOT NULL, scope text NOT NULL, simulated boolean NOT NULL,
    PRIMARY KEY (result, device));
CREATE TABLE llm_energy.phases (
    result bigint NOT NULL REFERENCES llm_energy.results ON DELETE CASCADE,
    phase text NOT NULL, start timestamptz NOT NULL, "end" timestamptz NOT NULL,
    start_monotonic_ns bigint NOT NULL, end_monotonic_ns bigint NOT NULL);
CREATE TABLE llm_energy.power (
    result bigint NOT NULL REFERENCES llm_energy.results ON DELETE CASCADE,
    time timestamptz NOT NULL, monotonic_ns bigint NOT NULL,
    device text NOT NULL, quantity text NOT NULL, value double precision NOT NULL);
CREATE INDEX ON llm_energy.power (result, device, quantity, monotonic_ns);
"""
HYPERTABLE = "SELECT create_hypertable('llm_energy.power', 'time')"
COPY = "COPY llm_energy.power (result, time, monotonic_ns, device, quantity, value) FROM STDIN"


class PostgreSQL:
    """A connection to a database."""

    def __init__(self, target: ExportTarget) -> None:
        self.target = target
        try:
            self._connection = psycopg.connect(
                target.base, connect_timeout=CONNECT_S, application_name="llm_energy"
            )
        except psycopg.Error as error:
            raise self._mistake(error, "cannot be used") from error

    def sent(self, campaign: str) -> set[str]:
        """Return the measurements of a campaign that are there; make the tables where they miss."""
        try:
            with self._connection.transaction():
                self._make_tables()
                rows = self._connection.execute(
                    "SELECT campaign, cycle, experiment, kind, spec, started, reason"
                    " FROM llm_energy.results WHERE campaign = %s",
                    [campaign],
                ).fetchall()
        except psycopg.Error as error:
            raise self._mistake(error, "refuses") from error
        return {_tags(*row) for row in rows}

    def send(self, measured: Measured, undisturbed: Undisturbed) -> None:
        """Write one measurement; nothing is there if this does not come to its end."""
        try:
            with undisturbed():
                result = self._insert_result(measured)
                if result is None:  # another export has sent it meanwhile
                    self._connection.rollback()
                    return
                self._insert_parts(measured, result)
            rows, batch = _rows(measured, result), None
            with self._connection.cursor().copy(COPY) as copy:
                while batch != "":
                    with undisturbed():
                        batch = "".join(islice(rows, BATCH_ROWS))
                        copy.write(batch)
            with undisturbed():
                self._connection.commit()
        except psycopg.Error as error:
            raise self._mistake(error, "refuses") from error

    def close(self) -> None:
        self._connection.close()

    def _make_tables(self) -> None:
        def has(function: str, name: str) -> bool:
            row = self._connection.execute(f"SELECT {function}(%s) IS NOT NULL", [name]).fetchone()
            return bool(row and row[0])

        if has("to_regclass", "llm_energy.results"):
            return
        self._connection.execute(TABLES)
        if has("to_regproc", "create_hypertable"):
            self._connection.execute(HYPERTABLE)

    def _insert_result(self, measured: Measured) -> int | None:
        """Write the row of a result; returns its number, None where it is there."""
        result, window, numbers = measured.result, measured.result.window, measured.numbers()
        values: dict[str, Any] = {
            **measured.labels,
            "started": moment(measured.labels["started"]),
            "finished": moment(result.finished),
            "completed": bool(numbers.pop("completed")),
            "reason": result.energy.reason,
            **numbers,
        }
        if window and measured.clock:
            for name, edge_s in (
                ("start", window.start_monotonic_s),
                ("end", window.end_monotonic_s),
            ):
                values[f"window_{name}"] = _time(measured.clock.wall_ns(edge_s))
                values[f"window_{name}_monotonic_ns"] = _monotonic_ns(edge_s)
        places = ", ".join(f"%({name})s" for name in values)
        row = self._connection.execute(
            f"INSERT INTO llm_energy.results ({', '.join(values)}) VALUES ({places})"
            " ON CONFLICT DO NOTHING RETURNING id",
            values,
        ).fetchone()
        return row[0] if row else None

    def _insert_parts(self, measured: Measured, result: int) -> None:
        cursor, clock = self._connection.cursor(), measured.clock
        if clock is None:
            return
        cursor.executemany(
            "INSERT INTO llm_energy.phases VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (
                    result,
                    phase.name,
                    *(_time(clock.wall_ns(edge_s)) for edge_s in edges),
                    *map(_monotonic_ns, edges),
                )
                for phase in measured.result.phases
                for edges in [(phase.start_monotonic_s, phase.end_monotonic_s)]
            ],
        )
        cursor.executemany(
            "INSERT INTO llm_energy.devices VALUES (%s, %s, %s, %s, %s)",
            [
                (result, device.id, device.model, device.scope, device.simulated)
                for device in (measured.series.devices if measured.series else ())
            ],
        )

    def _mistake(self, error: psycopg.Error, what: str) -> ExportError:
        words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        credentials = f"; credentials are {self.target.credentials} in the environment"
        return ExportError(f"{self.target.url} {what}: {words}{credentials}")


def _tags(
    campaign: str,
    cycle: int,
    experiment: str,
    kind: str,
    spec: str,
    started: datetime,
    reason: str | None,
) -> str:
    return tags(
        {
            "campaign": campaign,
            "cycle": str(cycle),
            "experiment": experiment,
            "kind": kind,
            "spec": spec,
            "started": started.astimezone(UTC).isoformat(timespec="milliseconds"),
            "reason": reason or "",
        }
    )


def _rows(measured: Measured, result: int) -> Iterator[str]:
    """Yield the readings as lines of COPY's text format."""
    if measured.series is None or measured.clock is None:
        return
    for channel in channels(measured.series):
        device = channel.device.id.replace("\\", "\\\\").replace("\t", "\\t")
        place = f"{device}\t{channel.quantity}"
        wall_us = (measured.clock.epoch_ns + channel.monotonic_ns) // 1000
        texts = np.datetime_as_string(wall_us.view("datetime64[us]"), timezone="UTC")
        columns = (texts.tolist(), channel.monotonic_ns.tolist(), channel.values.tolist())
        for time, monotonic_ns, value in zip(*columns, strict=True):
            yield f"{result}\t{time}\t{monotonic_ns}\t{place}\t{value!r}\n"


def _monotonic_ns(time_s: float) -> int:
    return round(time_s * SECOND_NS)


def _time(wall_ns: int) -> datetime:
    seconds, rest_ns = divmod(wall_ns, SECOND_NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
