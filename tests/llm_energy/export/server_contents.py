"""The content of real time-series servers: read back, and dropped."""

import json

from tests.time_series import got, got_json, post


def influx_rows(address: str, query: str, database: str = "energy") -> list[list]:
    content = got_json(address, "/query", db=database, q=query, epoch="ns")
    series = content["results"][0].get("series", [])
    return [row for each in series for row in each["values"]]


def victoria_series(address: str, selector: str) -> list[tuple[dict, list, list]]:
    got(address, "/internal/force_flush")
    lines = got(address, "/api/v1/export", **{"match[]": selector}).decode().splitlines()
    found = [json.loads(line) for line in lines]
    return [(each["metric"], each["timestamps"], each["values"]) for each in found]


def influx_content(address: str) -> object:
    return {
        name: influx_rows(address, f"SELECT * FROM {name}")
        for name in ("power", "phases", "results")
    }


def victoria_content(address: str) -> object:
    found = victoria_series(address, '{campaign="synthetic"}')
    return sorted(((sorted(m.items()), t, v) for m, t, v in found), key=str)


def postgres_content(address: str) -> object:
    import psycopg

    content = {}
    with psycopg.connect(f"postgresql://{address}/energy") as connection:
        for table in ("results", "devices", "phases", "power"):
            if connection.execute(f"SELECT to_regclass('llm_energy.{table}')").fetchone()[0]:
                rows = connection.execute(f"SELECT * FROM llm_energy.{table}").fetchall()
                # Numbers of results differ between exports, as those of what was rolled back.
                content[table] = sorted(row[1:] for row in rows)
    return content


def influx_drop(address: str) -> None:
    for name in ("power", "phases", "results"):
        post(address, "/query", {"db": "energy", "q": f"DROP MEASUREMENT {name}"})


def victoria_drop(address: str) -> None:
    post(address, "/api/v1/admin/tsdb/delete_series", {"match[]": '{campaign!=""}'})


def postgres_drop(address: str) -> None:
    import psycopg

    with psycopg.connect(f"postgresql://{address}/energy") as connection:
        connection.execute("DROP SCHEMA llm_energy CASCADE")
