/* The exported interface: each function takes the lock, looks for a fault, and answers. */
#include "simulator.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_LOST = 15,
};
enum { FIELD_SMOOTHING = 251, FIELD_EDPP = 274 };
enum { FIELD_ENERGY = 83, FIELD_AVERAGE = 185, FIELD_INSTANT = 186 };
enum { SCOPE_GPU = 0, SCOPE_MODULE = 1 };
enum { TYPE_UNSIGNED = 1, TYPE_UNSIGNED_LONG_LONG = 3 };

typedef Gpu *Device;
typedef union { double d; unsigned u; unsigned long ul; unsigned long long ull; } Value;
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency_us;
    int type, result;
    Value value;
} FieldValue;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned version, masks[3][8]; } Profiles; /* possible, requested, enforced */
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } ProcessInfo;
typedef struct { unsigned version; int sensor; int celsius; } Temperature;

static Scenario scenario;
static int users;
static double initialised_at;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now_s(void) { return monotonic_s() - scenario.epoch; }

/* What the library as a whole would answer now. */
static int state_at(double at) {
    if (!users) return UNINITIALIZED;
    if (at >= scenario.reload_from && at < scenario.reload_to) return DRIVER_NOT_LOADED;
    if (at >= scenario.reload_to && initialised_at < scenario.reload_to) return UNINITIALIZED;
    return SUCCESS;
}

static int listed_fault(const Gpu *gpu, const char *target, double at) {
    if (gpu->lost_file[0] && !access(gpu->lost_file, F_OK)) return GPU_LOST;
    for (int i = 0; i < gpu->fault_count; i++) {
        const Fault *fault = &gpu->faults[i];
        int meant = !strcmp(fault->target, "all") || !strcmp(fault->target, target);
        if (meant && at >= fault->from && at < fault->to) return fault->code;
    }
    return SUCCESS;
}

/* What a query answers; it is asked once by each, and takes the query's time too. */
static int fault_at(const Gpu *gpu, const char *target, double at) {
    int state = state_at(at);
    struct timespec rest = {(time_t)gpu->query_s, (long)(1e9 * fmod(gpu->query_s, 1))};
    if (gpu->query_s > 0) nanosleep(&rest, NULL);
    while (gpu->hangs_file[0] && !access(gpu->hangs_file, F_OK)) pause();
    return state == SUCCESS ? listed_fault(gpu, target, at) : state;
}

/* A function that fills `*out` with `expression`, in which `gpu` and `at` are known. */
#define QUERY(function, type, target, expression)                         \
    int function(Device gpu, type *out) {                                 \
        pthread_mutex_lock(&lock);                                        \
        double at = now_s();                                              \
        int result = fault_at(gpu, target, at);                           \
        if (result == SUCCESS) {                                          \
            read_load(gpu, scenario.epoch);                               \
            *out = (expression);                                          \
        }                                                                 \
        pthread_mutex_unlock(&lock);                                      \
        return result;                                                    \
    }

static double counted_since(double at) { return at >= scenario.reload_to ? scenario.reload_to : 0; }

static unsigned long long reasons(const Gpu *gpu, double at) {
    double watts = true_watts(gpu, at);
    return (watts >= gpu->throttle_watts || is_capped(gpu, at) ? 0x4 : 0) | (is_busy(gpu, at) ? 0 : 0x1);
}

QUERY(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "counter",
      counter_mj(gpu, at, counted_since(at)))
QUERY(nvmlDeviceGetPowerUsage, unsigned, "usage",
      (unsigned)lround(1e3 * (strcmp(gpu->usage, "instant") ? average_watts(gpu, at)
                                                           : instant_watts(gpu, at))))
QUERY(nvmlDeviceGetEnforcedPowerLimit, unsigned, "limit",
      (unsigned)lround(1e3 * (gpu->loaded_limit_watts && is_busy(gpu, at)
                                  ? gpu->loaded_limit_watts : setting_at(gpu, at).limit_watts)))
QUERY(nvmlDeviceGetPowerManagementLimit, unsigned, "limit",
      (unsigned)lround(1e3 * setting_at(gpu, at).limit_watts))
QUERY(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, "default_limit",
      (unsigned)(1e3 * gpu->default_limit_watts))
QUERY(nvmlDeviceGetPerformanceState, unsigned, "pstate", is_busy(gpu, at) ? 0 : 8)
QUERY(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, "reasons", reasons(gpu, at))
QUERY(nvmlDeviceGetArchitecture, unsigned, "architecture", gpu->architecture)
QUERY(nvmlDeviceGetPersistenceMode, unsigned, "persistence", gpu->persistence)
QUERY(nvmlDeviceGetUtilizationRates, Utilization, "utilisation",
      ((Utilization){is_busy(gpu, at) ? 100 : 0, 0}))
QUERY(nvmlDeviceGetMemoryInfo, Memory, "memory", ((Memory){80ull << 30, 64ull << 30, 16ull << 30}))

int nvmlDeviceGetPowerManagementLimitConstraints(Device gpu, unsigned *least, unsigned *greatest) {
    int result = fault_at(gpu, "constraints", now_s());
    *least = (unsigned)lround(1e3 * gpu->least_limit_watts);
    *greatest = (unsigned)lround(1e3 * gpu->greatest_limit_watts);
    return result;
}

/* What is set is seen by every process; without a file for it, this board takes no settings. */
static int set(Device gpu, const char *target, Setting wanted) {
    double at = now_s();
    int result = fault_at(gpu, target, at);
    if (result != SUCCESS) return result;
    if (!gpu->settings_file[0]) return NOT_SUPPORTED;
    if (listed_fault(gpu, "honour", at) != SUCCESS) return SUCCESS; /* it does nothing */
    wanted.at = at;
    return add_setting(gpu, wanted, scenario.epoch) ? NO_PERMISSION : SUCCESS;
}

#define SETTER(parameters, target, valid, change)                         \
    parameters {                                                          \
        pthread_mutex_lock(&lock);                                        \
        read_load(gpu, scenario.epoch);                                   \
        Setting wanted = setting_at(gpu, now_s());                        \
        change;                                                           \
        int result = (valid) ? set(gpu, target, wanted) : INVALID_ARGUMENT; \
        pthread_mutex_unlock(&lock);                                      \
        return result;                                                    \
    }

SETTER(int nvmlDeviceSetPowerManagementLimit(Device gpu, unsigned milliwatts), "set_limit",
       milliwatts >= 1e3 * gpu->least_limit_watts && milliwatts <= 1e3 * gpu->greatest_limit_watts,
       wanted.limit_watts = milliwatts / 1e3)
SETTER(int nvmlDeviceSetGpuLockedClocks(Device gpu, unsigned least, unsigned greatest),
       "set_clocks", least <= greatest, (wanted.sm_mhz = greatest, wanted.least_sm_mhz = least))
SETTER(int nvmlDeviceResetGpuLockedClocks(Device gpu), "set_clocks", 1,
       (wanted.sm_mhz = 0, wanted.least_sm_mhz = 0))
SETTER(int nvmlDeviceSetMemoryLockedClocks(Device gpu, unsigned least, unsigned greatest),
       "set_clocks", least <= greatest, wanted.memory_mhz = greatest)
SETTER(int nvmlDeviceResetMemoryLockedClocks(Device gpu), "set_clocks", 1, wanted.memory_mhz = 0)

static int pair(Device gpu, const char *target, unsigned value, unsigned *current,
                unsigned *pending) {
    int result = fault_at(gpu, target, now_s());
    *current = *pending = value;
    return result;
}

int nvmlDeviceGetMigMode(Device gpu, unsigned *current, unsigned *pending) {
    return pair(gpu, "mig", gpu->mig, current, pending);
}

int nvmlDeviceGetEccMode(Device gpu, unsigned *current, unsigned *pending) {
    return pair(gpu, "ecc", 1, current, pending);
}

int nvmlDeviceGetTemperatureV(Device gpu, Temperature *out) {
    pthread_mutex_lock(&lock);
    double at = now_s();
    int result = fault_at(gpu, "temperature", at);
    read_load(gpu, scenario.epoch);
    if (result == SUCCESS) out->celsius = (int)lround(celsius(gpu, at));
    pthread_mutex_unlock(&lock);
    return result;
}

int nvmlDeviceGetTemperature(Device gpu, int sensor, unsigned *out) {
    Temperature temperature = {0, sensor, 0};
    int result = nvmlDeviceGetTemperatureV(gpu, &temperature);
    *out = (unsigned)temperature.celsius;
    return result;
}

int nvmlDeviceGetMaxClockInfo(Device gpu, int clock, unsigned *out) {
    *out = clock == 2 ? gpu->memory_mhz : gpu->load_mhz;
    return fault_at(gpu, "clocks", now_s());
}

int nvmlDeviceGetClockInfo(Device gpu, int clock, unsigned *out) {
    pthread_mutex_lock(&lock);
    double at = now_s();
    int result = fault_at(gpu, "clocks", at);
    read_load(gpu, scenario.epoch);
    unsigned locked = setting_at(gpu, at).memory_mhz;
    *out = clock == 2 ? (locked && locked < gpu->memory_mhz ? locked : gpu->memory_mhz)
        : is_busy(gpu, at) ? (unsigned)lround(gpu->load_mhz * clock_share(gpu, at)) : gpu->idle_mhz;
    pthread_mutex_unlock(&lock);
    return result;
}

int nvmlDeviceGetFieldValues(Device gpu, int count, FieldValue *values) {
    pthread_mutex_lock(&lock);
    double at = now_s();
    int result = fault_at(gpu, "fields", at);
    read_load(gpu, scenario.epoch);
    for (int i = 0; result == SUCCESS && i < count; i++) {
        FieldValue *v = &values[i];
        const char *target = v->field == FIELD_INSTANT ? "instant"
            : v->field == FIELD_AVERAGE ? "average" : v->field == FIELD_ENERGY ? "counter"
            : v->field == FIELD_EDPP && gpu->edpp_percent ? "edpp"
            : v->field == FIELD_SMOOTHING && gpu->edpp_percent ? "smoothing" : NULL;
        int of_module = v->scope == SCOPE_MODULE && v->field != FIELD_ENERGY;
        int there = target && (v->scope == SCOPE_GPU || (of_module && gpu->module_watts > 0));
        v->result = there ? listed_fault(gpu, of_module ? "module" : target, at) : NOT_SUPPORTED;
        v->type = TYPE_UNSIGNED;
        double rest = of_module ? gpu->module_watts : 0;
        if (v->result != SUCCESS) continue;
        if (v->field == FIELD_ENERGY) {
            v->type = TYPE_UNSIGNED_LONG_LONG;
            v->value.ull = counter_mj(gpu, at, counted_since(at));
        } else if (v->field == FIELD_EDPP || v->field == FIELD_SMOOTHING) {
            v->value.u = v->field == FIELD_EDPP ? gpu->edpp_percent : 0;
        } else if (v->field == FIELD_INSTANT) {
            v->value.u = (unsigned)lround(1e3 * (instant_watts(gpu, at) + rest));
        } else {
            v->value.u = (unsigned)lround(1e3 * (average_watts(gpu, at) + rest));
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* A driver with an EDPp multiplier has workload power profiles too. */
int nvmlDeviceWorkloadPowerProfileGetCurrentProfiles(Device gpu, Profiles *out) {
    int result = fault_at(gpu, "profiles", now_s());
    if (result != SUCCESS) return result;
    if (!gpu->edpp_percent) return NOT_SUPPORTED;
    memset(out->masks, 0, sizeof out->masks);
    out->masks[2][0] = gpu->profiles;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device gpu, unsigned *count, ProcessInfo *out) {
    double at = now_s();
    int result = fault_at(gpu, "processes", at), found = 0;
    if (result != SUCCESS) return result;
    for (int i = 0; i < gpu->process_count; i++) {
        if (at < gpu->processes[i].from || at >= gpu->processes[i].to) continue;
        if (out && found < (int)*count)
            out[found] = (ProcessInfo){gpu->processes[i].pid, 1ull << 30, -1, -1};
        found++;
    }
    FILE *file = gpu->process_file[0] ? fopen(gpu->process_file, "r") : NULL;
    for (unsigned pid; file && fscanf(file, "%u", &pid) == 1;) {
        if (kill((pid_t)pid, 0) && errno == ESRCH) continue; /* it has ended */
        if (out && found < (int)*count) out[found] = (ProcessInfo){pid, 1ull << 30, -1, -1};
        found++;
    }
    if (file) fclose(file);
    result = found > (int)*count ? INSUFFICIENT_SIZE : SUCCESS;
    *count = found;
    return result;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    int result = SUCCESS;
    if (!users) {
        free_scenario(&scenario);
        if (read_scenario(getenv("NVML_SIMULATOR_SCENARIO"), &scenario)) result = DRIVER_NOT_LOADED;
    }
    double at = now_s();
    if (at >= scenario.reload_from && at < scenario.reload_to) result = DRIVER_NOT_LOADED;
    if (result == SUCCESS) {
        users++;
        initialised_at = at;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    if (!users) return UNINITIALIZED;
    users--;
    return SUCCESS;
}

const char *nvmlErrorString(int result) { (void)result; return "simulated error"; }

static int text(const char *from, char *to, unsigned size) {
    return snprintf(to, size, "%s", from) < (int)size ? SUCCESS : INSUFFICIENT_SIZE;
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    return users ? text(scenario.driver, out, size) : UNINITIALIZED;
}

int nvmlDeviceGetCount_v2(unsigned *out) {
    *out = scenario.gpu_count;
    return state_at(now_s());
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *out) {
    if (index >= (unsigned)scenario.gpu_count) return INVALID_ARGUMENT;
    *out = &scenario.gpus[index];
    return fault_at(*out, "handle", now_s());
}

/* Asks no other GPU. */
int nvmlDeviceGetHandleByUUID(const char *uuid, Device *out) {
    for (int i = 0; i < scenario.gpu_count; i++) {
        if (strcmp(scenario.gpus[i].uuid, uuid)) continue;
        *out = &scenario.gpus[i];
        return fault_at(*out, "handle", now_s());
    }
    return state_at(now_s()) ? state_at(now_s()) : NOT_FOUND;
}

int nvmlDeviceGetCpuAffinity(Device gpu, unsigned words, unsigned long *out) {
    int result = fault_at(gpu, "cpus", now_s());
    if (result == SUCCESS && !gpu->cpus) return NOT_SUPPORTED;
    for (unsigned i = 0; result == SUCCESS && i < words; i++) out[i] = i ? 0 : gpu->cpus;
    return result;
}

int nvmlDeviceGetUUID(Device gpu, char *out, unsigned size) {
    int result = fault_at(gpu, "uuid", now_s());
    return result == SUCCESS ? text(gpu->uuid, out, size) : result;
}

int nvmlDeviceGetName(Device gpu, char *out, unsigned size) {
    int result = fault_at(gpu, "name", now_s());
    return result == SUCCESS ? text(gpu->name, out, size) : result;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Device gpu, unsigned long long *out) {
    return nvmlDeviceGetCurrentClocksEventReasons(gpu, out);
}
