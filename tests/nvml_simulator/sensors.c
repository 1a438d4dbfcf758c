/* The truth of a scenario, and what its sensors make of it. */
#include "simulator.h"

#include <math.h>
#include <string.h>
#include <time.h>

double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* The last knot at or before `at`, or -1. */
static int knot_before(const Gpu *gpu, double at) {
    int low = 0, high = gpu->knot_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (gpu->knots[middle].at <= at) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}

static double watts_at_knots(const Gpu *gpu, double at) {
    int n = knot_before(gpu, at);
    if (n < 0) return gpu->knots[0].watts;
    if (n == gpu->knot_count - 1) return gpu->knots[n].watts;
    Knot a = gpu->knots[n], b = gpu->knots[n + 1];
    return a.watts + (b.watts - a.watts) * (at - a.at) / (b.at - a.at);
}

static double joules_at_knots(const Gpu *gpu, double at) {
    int n = knot_before(gpu, at);
    if (n < 0) return (at - gpu->knots[0].at) * gpu->knots[0].watts;
    return gpu->area[n] + (at - gpu->knots[n].at) * (gpu->knots[n].watts + watts_at_knots(gpu, at)) / 2;
}

static double loaded_joules(const Gpu *gpu, double at) {
    if (gpu->period == 0) return joules_at_knots(gpu, at);
    double turns = floor(at / gpu->period);
    return turns * joules_at_knots(gpu, gpu->period)
        + joules_at_knots(gpu, at - turns * gpu->period);
}

static double loaded_watts(const Gpu *gpu, double at) {
    return watts_at_knots(gpu, gpu->period == 0 ? at : at - floor(at / gpu->period) * gpu->period);
}

static double level_at(const Gpu *gpu, double at) {
    double level = gpu->load_file[0] ? 0 : 1;
    for (int i = 0; i < gpu->event_count && gpu->events[i].at <= at; i++)
        level = gpu->events[i].level;
    return level;
}

/* The last setting before a moment. */
Setting setting_at(const Gpu *gpu, double at) {
    Setting set = {.limit_watts = gpu->limit_watts};
    for (int i = 0; i < gpu->setting_count && gpu->settings[i].at <= at; i++)
        set = gpu->settings[i];
    return set;
}

/* Power above idle goes with the square of the clock, which falls until the limit holds. */
static double above_idle(const Gpu *gpu, double loaded, double at) {
    double full = loaded - gpu->idle_watts;
    Setting set = setting_at(gpu, at);
    double locked = set.sm_mhz ? fmin(1, set.sm_mhz / (double)gpu->load_mhz) : 1;
    if (!gpu->settings_file[0]) return full;
    return fmin(full * locked * locked, fmax(0, set.limit_watts - gpu->idle_watts));
}

int is_capped(const Gpu *gpu, double at) {
    Setting set = setting_at(gpu, at);
    double locked = set.sm_mhz ? fmin(1, set.sm_mhz / (double)gpu->load_mhz) : 1;
    double wanted = (loaded_watts(gpu, at) - gpu->idle_watts) * locked * locked;
    return gpu->settings_file[0] && is_busy(gpu, at) && wanted > set.limit_watts - gpu->idle_watts;
}

double clock_share(const Gpu *gpu, double at) {
    double full = loaded_watts(gpu, at) - gpu->idle_watts;
    return full > 0 ? sqrt(above_idle(gpu, loaded_watts(gpu, at), at) / full) : 1;
}

double true_watts(const Gpu *gpu, double at) {
    return gpu->idle_watts + level_at(gpu, at) * above_idle(gpu, loaded_watts(gpu, at), at);
}

/* Joules above idle at level 1 while one setting holds: in steps where that depends on power. */
static double stretch_joules(const Gpu *gpu, double from, double to) {
    const double step = 0.005;
    double total = 0;
    if (!gpu->settings_file[0])
        return loaded_joules(gpu, to) - loaded_joules(gpu, from) - gpu->idle_watts * (to - from);
    if (gpu->knot_count == 1) return (to - from) * above_idle(gpu, gpu->knots[0].watts, from);
    for (double at = from; at < to; at += step) {
        double until = fmin(at + step, to);
        total += (until - at) * above_idle(gpu, loaded_watts(gpu, (at + until) / 2), from);
    }
    return total;
}

static double set_joules(const Gpu *gpu, double from, double to) {
    double total = 0, at = from;
    for (int i = 0; i < gpu->setting_count; i++) {
        double cut = gpu->settings[i].at;
        if (cut <= at || cut >= to) continue;
        total += stretch_joules(gpu, at, cut);
        at = cut;
    }
    return total + stretch_joules(gpu, at, to);
}

/* Joules from the epoch on, negative before it. */
double true_joules(const Gpu *gpu, double until) {
    double level = gpu->load_file[0] ? 0 : 1, from = fmin(0, until), total = 0;
    for (int i = 0; i <= gpu->event_count; i++) {
        double to = i < gpu->event_count ? fmin(gpu->events[i].at, until) : until;
        if (to > from) {
            total += level * set_joules(gpu, from, to) + gpu->idle_watts * (to - from);
            from = to;
        }
        if (i < gpu->event_count) level = gpu->events[i].level;
    }
    return total;
}

static double mean_watts(const Gpu *gpu, double from, double to) {
    return (true_joules(gpu, to) - true_joules(gpu, from)) / (to - from);
}

double average_watts(const Gpu *gpu, double at) {
    double update = floor(at / gpu->sensor_period) * gpu->sensor_period;
    return mean_watts(gpu, update - 1, update);
}

double instant_watts(const Gpu *gpu, double at) {
    if (!strcmp(gpu->sensor, "average")) return average_watts(gpu, at);
    if (!strcmp(gpu->sensor, "ideal")) return true_watts(gpu, at);
    /* It looks at the first `width` of each period and says so when that is over. */
    double look = floor((at - gpu->sensor_width) / gpu->sensor_period) * gpu->sensor_period;
    return mean_watts(gpu, look, look + gpu->sensor_width);
}

uint64_t counter_mj(const Gpu *gpu, double at, double since) {
    double update = gpu->counter_update > 0 ? floor(at / gpu->counter_update) * gpu->counter_update
                                            : at;
    double joules = true_joules(gpu, update) - true_joules(gpu, since)
        + (gpu->module_counted ? gpu->module_watts * (update - since) : 0);
    return (since > 0 ? 0 : gpu->counter_start_mj)
        + (uint64_t)(joules > 0 ? 1e3 * gpu->counter_gain * joules : 0);
}

/* First-order towards ambient + resistance × power, in steps that are exact for steady power. */
double celsius(Gpu *gpu, double at) {
    const double step = 0.1;
    while (gpu->celsius_at + step <= at) {
        double watts = mean_watts(gpu, gpu->celsius_at, gpu->celsius_at + step);
        double target = gpu->ambient_celsius + gpu->celsius_per_watt * watts;
        gpu->celsius += (target - gpu->celsius) * (1 - exp(-step / gpu->thermal_s));
        gpu->celsius_at += step;
    }
    return gpu->celsius;
}

int is_busy(const Gpu *gpu, double at) {
    return true_watts(gpu, at) > 1.1 * gpu->idle_watts;
}
