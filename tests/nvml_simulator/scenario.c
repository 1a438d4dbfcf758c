/* Reads a scenario and the load files it names. */
#define _GNU_SOURCE
#include "simulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Gpu DEFAULT_GPU = {
    .name = "Simulated GPU",
    .idle_watts = 100,
    .limit_watts = 700,
    .default_limit_watts = 700,
    .least_limit_watts = 100,
    .greatest_limit_watts = 700,
    .persistence = 1,
    .sensor = "ideal",
    .sensor_period = 0.1,
    .sensor_width = 0.025,
    .usage = "average",
    .counter_gain = 1,
    .counter_update = 0.1,
    .ambient_celsius = 30,
    .celsius_per_watt = 0.05,
    .thermal_s = 10,
    .celsius = 30,
    .idle_mhz = 345,
    .load_mhz = 1980,
    .memory_mhz = 2619,
    .architecture = 9,
    .throttle_watts = INFINITY,
    .accumulator_bits = 64,
    .resolution_uj = 15.3,
    .graphics_version = 0x942,
    .format_revision = 1,
    .partition = "SPX",
};

static void add_knot(Gpu *gpu, double at, double watts) {
    int n = gpu->knot_count++;
    gpu->knots = realloc(gpu->knots, (n + 1) * sizeof(Knot));
    gpu->area = realloc(gpu->area, (n + 1) * sizeof(double));
    gpu->knots[n] = (Knot){at, watts};
    gpu->area[n] = 0;
    if (n > 0) {
        Knot before = gpu->knots[n - 1];
        gpu->area[n] = gpu->area[n - 1] + (at - before.at) * (watts + before.watts) / 2;
    }
}

static int gpu_line(Gpu *gpu, const char *key, const char *rest) {
    double a = 0, b = 0;
    Fault fault;
    Process process;
    if (!strcmp(key, "uuid")) return sscanf(rest, "%95s", gpu->uuid) == 1;
    if (!strcmp(key, "name")) return sscanf(rest, "%95[^\n]", gpu->name) == 1;
    if (!strcmp(key, "idle")) return sscanf(rest, "%lf", &gpu->idle_watts) == 1;
    if (!strcmp(key, "limit")) return sscanf(rest, "%lf", &gpu->limit_watts) == 1;
    if (!strcmp(key, "loaded_limit")) return sscanf(rest, "%lf", &gpu->loaded_limit_watts) == 1;
    if (!strcmp(key, "hangs_file")) return sscanf(rest, "%255[^\n]", gpu->hangs_file) == 1;
    if (!strcmp(key, "period")) return sscanf(rest, "%lf", &gpu->period) == 1;
    if (!strcmp(key, "default_limit")) return sscanf(rest, "%lf", &gpu->default_limit_watts) == 1;
    if (!strcmp(key, "persistence")) return sscanf(rest, "%u", &gpu->persistence) == 1;
    if (!strcmp(key, "accumulator"))
        return sscanf(rest, "%u %lu %lf", &gpu->accumulator_bits, &gpu->accumulator_start,
                      &gpu->resolution_uj) == 3;
    if (!strcmp(key, "amd"))
        return sscanf(rest, "%x %u %u %95s", &gpu->graphics_version, &gpu->format_revision,
                      &gpu->average_only, gpu->partition) == 4;
    if (!strcmp(key, "process_file")) return sscanf(rest, "%255[^\n]", gpu->process_file) == 1;
    if (!strcmp(key, "lost_file")) return sscanf(rest, "%255[^\n]", gpu->lost_file) == 1;
    if (!strcmp(key, "settings_file")) return sscanf(rest, "%255[^\n]", gpu->settings_file) == 1;
    if (!strcmp(key, "modes"))
        return sscanf(rest, "%u %u", &gpu->edpp_percent, &gpu->profiles) == 2;
    if (!strcmp(key, "limits"))
        return sscanf(rest, "%lf %lf", &gpu->least_limit_watts, &gpu->greatest_limit_watts) == 2;
    if (!strcmp(key, "load_file")) return sscanf(rest, "%255[^\n]", gpu->load_file) == 1;
    if (!strcmp(key, "usage")) return sscanf(rest, "%95s", gpu->usage) == 1;
    if (!strcmp(key, "mig")) return sscanf(rest, "%u", &gpu->mig) == 1;
    if (!strcmp(key, "architecture")) return sscanf(rest, "%u", &gpu->architecture) == 1;
    if (!strcmp(key, "throttle")) return sscanf(rest, "%lf", &gpu->throttle_watts) == 1;
    if (!strcmp(key, "module"))
        return sscanf(rest, "%lf %u", &gpu->module_watts, &gpu->module_counted) == 2;
    if (!strcmp(key, "cpus")) return sscanf(rest, "%lu", &gpu->cpus) == 1;
    if (!strcmp(key, "query")) return sscanf(rest, "%lf", &gpu->query_s) == 1;
    if (!strcmp(key, "sensor"))
        return sscanf(rest, "%95s %lf %lf", gpu->sensor, &gpu->sensor_period,
                      &gpu->sensor_width) == 3;
    if (!strcmp(key, "counter"))
        return sscanf(rest, "%lf %lf %lu", &gpu->counter_gain, &gpu->counter_update,
                      &gpu->counter_start_mj) == 3;
    if (!strcmp(key, "thermal")) {
        int n = sscanf(rest, "%lf %lf %lf", &gpu->ambient_celsius, &gpu->celsius_per_watt,
                       &gpu->thermal_s);
        gpu->celsius = gpu->ambient_celsius + gpu->celsius_per_watt * gpu->idle_watts;
        return n == 3;
    }
    if (!strcmp(key, "knot")) {
        if (sscanf(rest, "%lf %lf", &a, &b) != 2) return 0;
        add_knot(gpu, a, b);
        return 1;
    }
    if (!strcmp(key, "fault") && gpu->fault_count < MAX_FAULTS) {
        if (sscanf(rest, "%15s %d %lf %lf", fault.target, &fault.code, &fault.from, &fault.to) != 4)
            return 0;
        gpu->faults[gpu->fault_count++] = fault;
        return 1;
    }
    if (!strcmp(key, "process") && gpu->process_count < MAX_PROCESSES) {
        if (sscanf(rest, "%u %lf %lf", &process.pid, &process.from, &process.to) != 3) return 0;
        gpu->processes[gpu->process_count++] = process;
        return 1;
    }
    return 0;
}

static int line_of(Scenario *scenario, const char *key, const char *rest) {
    if (!strcmp(key, "gpu") && scenario->gpu_count < MAX_GPUS) {
        scenario->gpus[scenario->gpu_count++] = DEFAULT_GPU;
        return 1;
    }
    if (scenario->gpu_count) return gpu_line(&scenario->gpus[scenario->gpu_count - 1], key, rest);
    if (!strcmp(key, "epoch")) return sscanf(rest, "%lf", &scenario->epoch) == 1;
    if (!strcmp(key, "driver")) return sscanf(rest, "%95[^\n]", scenario->driver) == 1;
    if (!strcmp(key, "reload"))
        return sscanf(rest, "%lf %lf", &scenario->reload_from, &scenario->reload_to) == 2;
    return 0;
}

int read_scenario(const char *path, Scenario *scenario) {
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512], key[32];
    int number = 0, wrong = 0, offset;
    if (!file) return -1;
    *scenario = (Scenario){.reload_from = INFINITY, .reload_to = INFINITY};
    while (!wrong && fgets(line, sizeof line, file)) {
        number++;
        offset = 0;
        if (sscanf(line, "%31s %n", key, &offset) < 1) continue;
        wrong = !line_of(scenario, key, line + offset);
    }
    fclose(file);
    for (int i = 0; i < scenario->gpu_count; i++)
        if (!scenario->gpus[i].knot_count)
            add_knot(&scenario->gpus[i], 0, scenario->gpus[i].idle_watts);
    if (wrong) fprintf(stderr, "NVML simulator: %s:%d: %s", path, number, line);
    return wrong ? -1 : 0;
}

void free_scenario(Scenario *scenario) {
    for (int i = 0; i < scenario->gpu_count; i++) {
        free(scenario->gpus[i].knots);
        free(scenario->gpus[i].area);
        free(scenario->gpus[i].events);
        free(scenario->gpus[i].settings);
    }
    scenario->gpu_count = 0;
}

/* Lines `monotonic-second level`, only ever appended; an unfinished last line waits. A line
 * replaces what earlier ones said about later times. */
static void read_settings(Gpu *gpu, double epoch) {
    FILE *file = gpu->settings_file[0] ? fopen(gpu->settings_file, "r") : NULL;
    char line[128];
    double at, milliwatts;
    Setting set = {0};
    if (!file) return;
    fseek(file, gpu->settings_file_size, SEEK_SET);
    while (fgets(line, sizeof line, file) && strchr(line, '\n')) {
        gpu->settings_file_size += strlen(line);
        if (sscanf(line, "%lf %lf %u %u %u", &at, &milliwatts, &set.sm_mhz, &set.memory_mhz,
                   &set.least_sm_mhz) != 5)
            continue;
        set.at = at - epoch;
        set.limit_watts = milliwatts / 1e3;
        gpu->settings = realloc(gpu->settings, (gpu->setting_count + 1) * sizeof(Setting));
        gpu->settings[gpu->setting_count++] = set;
    }
    fclose(file);
}

int add_setting(Gpu *gpu, Setting set, double epoch) {
    FILE *file = fopen(gpu->settings_file, "a");
    if (!file) return -1;
    fprintf(file, "%.6f %.0f %u %u %u\n", set.at + epoch, 1e3 * set.limit_watts, set.sm_mhz,
            set.memory_mhz, set.least_sm_mhz);
    return fclose(file);
}

void read_load(Gpu *gpu, double epoch) {
    read_settings(gpu, epoch);
    FILE *file = gpu->load_file[0] ? fopen(gpu->load_file, "r") : NULL;
    char line[128];
    double at, level;
    if (!file) return;
    fseek(file, gpu->load_file_size, SEEK_SET);
    while (fgets(line, sizeof line, file) && strchr(line, '\n')) {
        gpu->load_file_size += strlen(line);
        if (sscanf(line, "%lf %lf", &at, &level) != 2) continue;
        while (gpu->event_count && gpu->events[gpu->event_count - 1].at > at - epoch)
            gpu->event_count--;
        gpu->events = realloc(gpu->events, (gpu->event_count + 1) * sizeof(Event));
        gpu->events[gpu->event_count++] = (Event){at - epoch, level};
    }
    fclose(file);
}
