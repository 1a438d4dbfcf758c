"""Columns of the table of measurements that only some results fill: load mode `open`, the host."""


def fields(part: str, names: str, prefix: str = "") -> dict[str, str]:
    """Return columns with the names of fields of a part of a result, behind `prefix` -> paths."""
    return {f"{prefix}{name}": f"{part}.{name}" for name in names.split()}


OPEN_LOAD = {
    **fields("open_load", "saturation offered_per_second arrivals completed failed cut"),
    **fields("open_load", "unfinished first_token_growth in_flight_mean batch_size_mean"),
    **fields("open_load", "batch_size_maximum batch_size_reason idle_share idle_energy_share"),
    **fields("open_load.lateness", "p50_s p99_s maximum_s", "lateness_"),
    "time_to_first_token_from_submission_p50_s": (
        "open_load.time_to_first_token_from_submission_s.p50"
    ),
    **fields("open_load.attained", "attainment goodput_per_second joules_per_good_request"),
    **fields(
        "open_load.attained.objectives",
        "time_to_first_token_s inter_token_latency_s end_to_end_s share",
        "objective_",
    ),
}
"""Column -> dotted path of the field of `Result` that it is read from."""

HOST = {
    **fields("energy.host", "scope energy_joules joules_per_output_token", "host_"),
    **fields("energy.host", "mean_power_watts gain_limit_relative offset_limit_watts", "host_"),
    "host_energy_reason": "energy.host.reason",
}
"""The same of the energy with the host."""
