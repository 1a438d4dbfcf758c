"""Every code that a result or a failure record may carry, with its meaning."""

FLAGS = {
    "not_steady": "The window's mean may lie farther from the steady mean than the campaign's "
    "margin (`comparisons.equivalence_margin`). Where `measurement.warmup_cap_s` is under 60 s: a "
    "drift was seen. A longer warm-up or window narrows the bound.",
    "warmup_capped": "Of protocols 1 and 2: the warm-up reached its time limit before the steady "
    "state was shown. `measurement.warmup_cap_s` sets the limit.",
    "throughput_drift": "Throughput in the last third of the window differs from the first third "
    "by more than the limit, and by more than its scatter explains.",
    "short_window": "The window is shorter than the least duration that was requested.",
    "saturated": "More requests arrived than ended inside the window, beyond chance: its latencies "
    "depend on its length. It is no part of any mean with other cycles, ratio or trade-off.",
    "saturation_undecided": "Requests ended as fast as they arrived, but the median time to first "
    "token more than doubled inside the window, or too few requests came to tell. It counts as not "
    "saturated. Remedy: a window with more arrivals (`measurement.minimum_duration_s`).",
    "client_late": "The load generator submitted requests late: p99 above a tenth of the median "
    "time to first token, or above half of the median gap. Latencies count from the schedule all "
    "the same. Remedy: leave a processor core to the load generator.",
    "long_requests": "The window is shorter than 20 times its longest request. "
    "`measurement.minimum_duration_s` sets its length.",
    "rate_off": "The number of arrivals is farther from the requested rate than three standard "
    "errors of its process.",
    "requests_failed": "More than 1 % of the requests failed, or ended with fewer tokens than "
    "requested. They are not good, and count in no latency from end to end.",
    "gpu_use_unknown": "The driver did not list the engine's processes on any GPU: it may not list "
    "them, or the engine ran on the CPU. The energy is that of all GPUs it could have used.",
    "not_cooled_down": "A GPU was still warmer than the margin above its first loaded idle when "
    "the waiting ended.",
    "idle_not_settled": "A device had not come to rest when its loaded idle power was taken: it "
    "worked, or its power changed by more than the limit and than its scatter explains.",
    "idle_drift": "The devices' idle power without an engine is not what it was in the run's first "
    "cycle.",
    "alias_risk": "The decode steps keep time with the GPU's power sensor, which looks at 25 of "
    "each 100 ms: a single window may be far off, cycles scatter around the truth.",
    "contended": "Other processes computed on the device while it was measured.",
    "power_drift": "Mean power in the last third of the window differs from the first third by "
    "more than the limit, and by more than its scatter explains.",
    "power_spike": "Single samples lie far above the enforced power limit.",
    "power_limit_changed": "The enforced power limit changed inside the window: the device did not "
    "work under one setting.",
    "gpu_set_otherwise": "A GPU did not work at the power limit or clock that the campaign set: "
    "others changed it meanwhile, or the driver takes another one.",
    "power_capped": "The device held its clocks down to stay within its power limit.",
    "slowed_down": "The device was slowed down by heat or to protect the board.",
    "sampling_gap": "Samples are missing; the integral can be wrong by up to what is given.",
    "late_reading": "A reading beside an edge of the window took so long that it was left out: the "
    "energy there follows from readings further apart, and its uncertainty says how well.",
    "slow_sampling": "Power was read at less than 0.9 of the requested rate. Remedy: request a "
    "rate that the sensors deliver (`measurement.sampling_hz`).",
    "ratio_deviates": "Energy counter and integrated instant power of a device differ otherwise "
    "than they usually do on it: one of them was late or lost in this window.",
    "outlier": "Grubbs' test at 1 % finds this cycle far from the others of its experiment. It is "
    "part of every number: look for what happened, and whether it was the machine.",
    "out_of_order": "It was not measured at its planned place among the measurements of its run: "
    "the order may not be the random one that the plan made.",
    "other_token_ids": "Its prompts have other token ids than the first result of the same "
    "specification: a mean over both is one of two workloads. Measure the experiment again.",
    "other_variables": "Its engine inherited other environment variables, of those that may change "
    "what an engine does, than the first result of the campaign: docs/backends.md lists them. A "
    "comparison of both may show what they do.",
    "other_gpu_count": "It was computed on another number of GPUs than the first result of the "
    "same specification: the engine uses all GPUs that it gets, and gets others since. A mean over "
    "both is one of two machines. Measure the experiment again.",
    "output_suspect": "The outputs repeat themselves: more than half of their 4-grams occurred "
    "before. Speed and energy may be those of an engine that generates nonsense.",
    "attached": "The engine is a server that ran already, whose settings the workflow did not "
    "choose; the message has what it reports of itself. Or it ran in a container that ran already: "
    "as the campaign describes it, but kept by somebody else. Who else used them is not known.",
    "prefix_cache_unknown": "Prompts of this server may have come from a cache, without work: it "
    "was not started with its cache off. Times to first token and joules may be too low.",
    "natural_length": "Answers ended where the model wanted, at most at `output_tokens`: their "
    "lengths differ, and so does the work of a request. Compare per token only.",
    "prompts_in_chat": "The server takes prompts as a chat alone, and wraps each in its own "
    "template: it computes more prompt tokens than the prompt set has.",
    "tokens_retokenised": "The server does not tell how many tokens it made: they were counted by "
    "splitting the text of its answers again, which may give others.",
    "not_streamed": "The server gives each answer whole, so that only its end has a time: time to "
    "first token and inter-token latency are not known. Throughput and energy are not affected: "
    "waves hold whole answers.",
    "tokens_share_chunks": "The server sent several tokens at once: tokens of one chunk have one "
    "time stamp. Inter-token latency is that of chunks, shared out over their tokens.",
}
"""Flag of a result -> what a reader must know."""

SAMPLER_OFF = "sampler_off"
"""Reason of a control: nothing is wrong with it, and a new measurement has no energy either."""

OF_ATTACHED = frozenset({"attached_gpus_unknown", "attached_elsewhere"})
"""Reasons of attached servers: sensors were read, but not those of what did the work."""

ENERGY_REASONS = {
    "no_meter": "This machine has no power sensor that can be read: no GPU with its driver "
    "and no RAPL domains in /sys/class/powercap.",
    "hwmon_unreadable": "The kernel's file of this sensor (hwmon or power supply) is missing, "
    "empty, may not be read, or holds no number that can be true.",
    "not_discharging": "The battery was not discharging all along: its power is not what the "
    "computer drew.",
    "less_than_its_parts": "The sensor of the host shows less than the devices inside of it: one "
    "of them is broken, or it does not hold them.",
    "scopes_overlap": "Several sensors of a kind whose devices may share parts, such as the rails "
    "of one board: their energies are never added up.",
    "permission_denied": "Only root may read this machine's energy counters (RAPL). Remedy: "
    "`sudo envs/workflow/readable-rapl.sh` gives them to a group with you in it, after every boot "
    "too (a udev rule); log in again, and add `--config remeasure=invalid` to the same command: "
    "it measures again what has no energy.",
    "rapl_unreadable": "The kernel's RAPL counter is missing, empty or cannot be read, as in a "
    "container, where its folder is masked. Remedy: run the workflow on the host itself.",
    "not_supported": "This device does not have the sensor.",
    "gpu_lost": "The GPU fell off the bus or the driver lost it. Remedy: see the kernel log.",
    "driver_reloaded": "The driver was unloaded or replaced while it was being read.",
    "timeout": "The driver, or the controller of the chassis, did not answer in time.",
    "bmc_unreachable": "The controller of the chassis (BMC) did not answer, or not with what "
    "can be read. Remedy: the target `preflight` says why.",
    "bmc_refused": "The controller of the chassis (BMC) refused access, or its certificate is not "
    "trusted. Remedy: the target `preflight` says why.",
    "bmc_no_power": "The controller (BMC) reports no power of the chassis. Remedy: the target "
    "`preflight` says why.",
    "bmc_elsewhere": "`host_power.redfish` is the address of one machine, and this was measured in "
    "an allocation of Slurm, on whichever node. Remedy: `host_power: ipmi`.",
    "few_updates": "The window is shorter than ten update periods of this slow sensor, or its "
    "value changed too rarely to show how long they are. Remedy: a longer "
    "`measurement.minimum_duration_s`.",
    "read_failed": "The sensor could not be read; the log of the job has the message.",
    "mig_enabled": "The GPU is split by MIG: its sensors see the whole board, so the energy of an "
    "instance is not known. Remedy: measure with MIG off.",
    "board_shared": "The driver shows this AMD board as several GPUs (two dies of an MI250, or "
    "partitions), and its sensors see the whole board, so the energy of one is not known. Remedy: "
    "measure without partitions (`amd-smi set --compute-partition SPX`).",
    "attached_gpus_unknown": "The server was attached, and the campaign does not name its GPUs. "
    "Remedy: `backends.NAME.server.gpus` with their UUIDs, if they are this host's.",
    "attached_elsewhere": "The server was attached on another host, whose sensors are not read.",
    "gpu_not_metered": "A GPU of this measurement has no power sensor that can be read.",
    "no_window": "There is no window: the measurement ended before it.",
    "no_load": "There is no time span of loading.",
    "no_idle": "There is no idle time span.",
    "no_warmup": "There is no warm-up.",
    "no_samples": "The sensor gave no value at all.",
    "no_sample_before": "No sample lies before the start of the interval.",
    "no_sample_after": "No sample lies after the end of the interval.",
    "late_reading": "The only readings before the start or after the end of the interval took so "
    "long that they were left out.",
    "shared_host": "Other sets of GPUs of this host were measured on at the same time "
    "(`parallel`): CPU, memory and wall energy belong to all of them.",
    SAMPLER_OFF: "Power was left unread in the window on purpose: a control of what reading costs.",
    "sampling_gap": "Samples are missing for so long that the integral may be wrong by more than "
    "the limit.",
    "too_few_samples": "Too few samples lie inside the window for a mean.",
    "non_positive_sample": "The wall meter reads 0 W or less inside the window.",
    "counter_reset": "The energy counter went backwards inside the interval, by more than a wrap "
    "explains.",
    "counter_jumped": "The energy counter rose by more than the device can draw.",
    "counter_of_module": "The energy counter of this superchip covers CPU and memory of the "
    "module too. The power of the GPU alone is integrated instead, where the device has it.",
    "counter_stuck": "The energy counter stood still during the interval or a part of it.",
    "power_stuck": "The power sensor read the same value in the idle phase and in the window, "
    "although utilisation rose or is not reported.",
    "sensors_disagree": "Energy counter and integrated instant power of the device differ by more "
    "than a factor of 10: one of them is broken, and nothing says which.",
    "no_power": "The power sensor read 0 W all along, which no device draws.",
    "mean_power_below_idle": "Mean power of the window lies below the loaded idle: not possible.",
    "mean_power_above_limit": "Mean power of the window lies above the enforced limit: not "
    "possible.",
    "mean_power_above_bound": "Mean power of the window is more than a device of this kind can "
    "draw: its sensor is broken.",
}
"""Reason for a missing energy -> what a reader must know, with the remedy where there is one."""

FAILURES = {
    "backend_broken": "it had failed too often in a row",
    "backend_lost": "the connection to it broke",
    "backend_refused": "its container, or what it needs, was refused",
    "backend_silent": "it did not answer in time",
    "backend_start_failed": "it did not start",
    "bad_request": "the engine does not take these settings",
    "code_changed": "the measuring code was changed while the campaign ran",
    "context_exceeded": "prompt and output do not fit into the context",
    "cuda_unusable": "its engine cannot use CUDA",
    "deadline_exceeded": "the engine did not end within its deadline",
    "device_occupied": "other processes held its device",
    "disk_full": "no space was left on the disk",
    "disk_refused": "the disk could not be written or read",
    "docker_refused": "the Docker engine refused what was requested of it",
    "docker_unreachable": "the Docker engine could not be reached",
    "engine_died": "the engine process ended by itself",
    "engine_error": "the engine reported an error",
    "engine_resident": "another engine on its device did not unload",
    "environment_missing": "its environment is not there",
    "gpu_lost": "a GPU of its set was lost",
    "gpu_not_set": "a GPU could not be set to its power limit or clocks",
    "input_error": "an input is not as it was declared",
    "internal_error": "this program has a defect",
    "no_engine": "no engine was loaded",
    "out_of_memory": "the memory of the device was not enough",
    "protocol_mismatch": "it runs other code than this run",
    "record_unusable": "the record of the failure cannot be read",
    "server_closed": "its server closed the connection too early",
    "server_ended": "its server ended by itself",
    "server_not_started": "its server ended by itself before it was ready",
    "server_failed": "its server failed",
    "server_invalid": "its server sent what is no answer",
    "server_miscounted": "its server counted other tokens than it sent or got",
    "server_overloaded": "its server refused more requests",
    "server_refused": "its server refused a request",
    "server_stalled": "its server sent nothing any more",
    "server_unfit": "its server cannot be measured as it is declared",
    "stopping": "it was being stopped",
    "unknown_runtime": "its runtime does not exist",
    "watchdog_failed": "the watchdog did not start",
}
"""Reason of a failed attempt -> the same as part of a sentence."""
