/* A stand-in for NVIDIA's management library, for machines without a GPU.
 *
 * It exports the binary interface of libnvidia-ml.so.1 and answers from a scenario: a text file
 * named by the environment variable NVML_SIMULATOR_SCENARIO and read at every initialisation.
 * `scenario.py` writes that file and knows the same truth. All times in a scenario are seconds
 * since its epoch, a moment on CLOCK_MONOTONIC.
 */
#ifndef SIMULATOR_H
#define SIMULATOR_H

#include <stdint.h>

enum { MAX_GPUS = 16, MAX_FAULTS = 32, MAX_PROCESSES = 16, TEXT = 96 };

typedef struct { double at, watts; } Knot;
typedef struct { double at, level; } Event;

/* What was set from a moment on: the power limit, and the highest clocks, 0 where not locked; of
 * the multiprocessors the lowest too. */
typedef struct { double at, limit_watts; unsigned sm_mhz, memory_mhz, least_sm_mhz; } Setting;
typedef struct { char target[16]; int code; double from, to; } Fault;
typedef struct { unsigned pid; double from, to; } Process;

typedef struct {
    char uuid[TEXT], name[TEXT];
    double idle_watts, limit_watts, default_limit_watts;
    double loaded_limit_watts; /* the limit while it works; 0: the same */

    /* Power under load: linear between knots, again and again every `period` if that is not 0. */
    Knot *knots;
    double *area; /* joules from the first knot to each knot */
    int knot_count;
    double period;

    /* How the load goes: levels from 0 (idle) to 1, written by whoever works; none is always 1. */
    char load_file[256];
    Event *events;
    int event_count;
    long load_file_size;

    /* What others set, one line `monotonic-second mW SM-MHz memory-MHz least-SM-MHz` each, by
     * every process. */
    char settings_file[256];
    Setting *settings;
    int setting_count;
    long settings_file_size;
    unsigned edpp_percent, profiles; /* of newer drivers; 0: not known. Profiles: a bit mask */
    double least_limit_watts, greatest_limit_watts;

    char sensor[TEXT]; /* ideal, window, average */
    double sensor_period, sensor_width;
    char usage[TEXT]; /* what nvmlDeviceGetPowerUsage says: instant or average */
    double counter_gain, counter_update;
    double module_watts; /* what the rest of its module draws; 0: it is on no module */
    unsigned module_counted; /* whether the energy counter holds that too */
    uint64_t counter_start_mj;

    double ambient_celsius, celsius_per_watt, thermal_s;
    double celsius, celsius_at;
    unsigned idle_mhz, load_mhz, memory_mhz, mig, persistence, architecture;
    unsigned long cpus; /* bit mask of the CPUs near it; 0: not known */
    double throttle_watts;
    double query_s; /* how long each query takes */

    Fault faults[MAX_FAULTS];
    int fault_count;
    char lost_file[256]; /* the GPU is lost once this file is there */
    char hangs_file[256]; /* no query returns once this file is there */
    Process processes[MAX_PROCESSES];
    int process_count;
    char process_file[256]; /* more process ids, one a line, by whoever works */

    /* Of AMD's GPUs only (tests/amd_smi_simulator). */
    unsigned accumulator_bits; /* 0: its firmware has none any more */
    uint64_t accumulator_start;
    double resolution_uj; /* as the library reports it */
    unsigned graphics_version, format_revision, average_only;
    char partition[TEXT];
} Gpu;

typedef struct {
    char driver[TEXT];
    double epoch, reload_from, reload_to;
    Gpu gpus[MAX_GPUS];
    int gpu_count;
} Scenario;

/* scenario.c: 0 when read, otherwise it has said on stderr what is wrong */
int read_scenario(const char *path, Scenario *scenario);
void free_scenario(Scenario *scenario);
void read_load(Gpu *gpu, double epoch); /* and the settings */
int add_setting(Gpu *gpu, Setting setting, double epoch); /* 0 when written */

/* sensors.c: all times in seconds since the epoch */
double monotonic_s(void);
Setting setting_at(const Gpu *gpu, double at);
double clock_share(const Gpu *gpu, double at); /* of the highest SM clock, under load */
int is_capped(const Gpu *gpu, double at);
double true_watts(const Gpu *gpu, double at);
double true_joules(const Gpu *gpu, double until);
double instant_watts(const Gpu *gpu, double at);
double average_watts(const Gpu *gpu, double at);
uint64_t counter_mj(const Gpu *gpu, double at, double since);
double celsius(Gpu *gpu, double at);
int is_busy(const Gpu *gpu, double at);

#endif
