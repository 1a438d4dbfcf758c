/* A stand-in for libamd_smi.so of ROCm 7: its binary interface on the scenarios of the NVML
 * simulator, as far as the meter asks. Everything else that the binding looks up answers "not
 * supported" (a generated file of weak symbols). Layouts as in AMD's binding, amdsmi 7.0.2.
 */
#include "../nvml_simulator/simulator.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, INVAL = 1, NOT_SUPPORTED = 2, NOT_FOUND = 31, NOT_INIT = 32, NO_DRIVER = 34 };
enum { HOTSPOT = 1, CLOCK_MEMORY = 4, STRING = 256 };

typedef Gpu *Device;
typedef struct { uint32_t major, minor, release; const char *build; } Version;
typedef struct { uint64_t cap, default_cap, dpm_cap, least, most, reserved[3]; } Caps;
typedef struct {
    uint64_t socket;
    uint32_t current, average;
    uint64_t gfx_mv, soc_mv, memory_mv;
    uint32_t limit;
    uint64_t reserved[18];
} Power;
typedef struct {
    uint32_t clock, least, most;
    uint8_t locked, deep_sleep;
    uint32_t reserved[4];
} Clock;
typedef struct { uint32_t gfx, umc, mm, reserved[13]; } Activity;
typedef struct {
    char market_name[STRING];
    uint32_t vendor_id;
    char vendor_name[STRING];
    uint32_t subvendor_id;
    uint64_t device_id;
    uint32_t rev_id;
    char serial[STRING];
    uint32_t oam_id, compute_units;
    uint64_t graphics_version;
    uint32_t subsystem_id, reserved[21];
} Asic;
typedef struct { char version[STRING], date[STRING], name[STRING]; } Driver;
typedef struct {
    char name[STRING];
    uint32_t pid;
    uint64_t memory;
    struct { uint64_t gfx, enc; uint32_t reserved[12]; } engine;
    struct { uint64_t gtt, cpu, vram; uint32_t reserved[10]; } in;
    char container[STRING];
    uint32_t occupancy, reserved[11];
} ProcessInfo;

/* amdsmi_gpu_metrics_t: where the meter reads in it, and its size, both in bytes. */
enum { FORMAT_REVISION = 2, INDEP_THROTTLE = 112, PPT_RESIDENCY = 440, METRICS = 4544 };

_Static_assert(sizeof(Version) == 24 && sizeof(Caps) == 64 && sizeof(Power) == 192
                   && sizeof(Clock) == 32 && sizeof(Activity) == 64 && sizeof(Asic) == 896
                   && sizeof(Driver) == 768 && sizeof(ProcessInfo) == 704,
               "sizes as of the structures of the binding");

static Scenario scenario;
static int users;
static uint64_t throttled_ms[MAX_GPUS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now_s(void) { return monotonic_s() - scenario.epoch; }

static int fault_at(const Gpu *gpu, const char *target, double at) {
    struct timespec rest = {(time_t)gpu->query_s, (long)(1e9 * fmod(gpu->query_s, 1))};
    if (!users) return NOT_INIT;
    if (gpu->query_s > 0) nanosleep(&rest, NULL);
    while (gpu->hangs_file[0] && !access(gpu->hangs_file, F_OK)) pause();
    if (gpu->lost_file[0] && !access(gpu->lost_file, F_OK)) return NOT_FOUND;
    for (int i = 0; i < gpu->fault_count; i++) {
        const Fault *fault = &gpu->faults[i];
        int meant = !strcmp(fault->target, "all") || !strcmp(fault->target, target);
        if (meant && at >= fault->from && at < fault->to) return fault->code;
    }
    return SUCCESS;
}

/* A function that fills in its answer by `statements`, in which `gpu` and `at` are known. */
#define QUERY(signature, target, ...)                                     \
    signature {                                                           \
        pthread_mutex_lock(&lock);                                        \
        double at = now_s();                                              \
        int result = fault_at(gpu, target, at);                           \
        if (result == SUCCESS) {                                          \
            read_load(gpu, scenario.epoch);                               \
            __VA_ARGS__;                                                  \
        }                                                                 \
        pthread_mutex_unlock(&lock);                                      \
        return result;                                                    \
    }

static uint64_t accumulator(const Gpu *gpu, double at) {
    double step = gpu->counter_update, update = step > 0 ? floor(at / step) * step : at;
    double joules = true_joules(gpu, update);
    uint64_t units = gpu->accumulator_start + (uint64_t)(joules > 0 ? joules * 65536 : 0);
    if (!gpu->accumulator_bits) return UINT32_MAX;
    return gpu->accumulator_bits == 32 ? units & UINT32_MAX : units;
}

static void fill_metrics(const Gpu *gpu, double at, unsigned char *out) {
    int throttled = true_watts(gpu, at) >= gpu->throttle_watts;
    uint64_t *lasted = &throttled_ms[gpu - scenario.gpus];
    memset(out, 0xff, METRICS);
    out[FORMAT_REVISION] = (unsigned char)gpu->format_revision;
    if (throttled) *lasted = (uint64_t)(1e3 * at);
    if (gpu->average_only) memcpy(out + INDEP_THROTTLE, &(uint64_t){throttled ? 1 : 0}, 8);
    else memcpy(out + PPT_RESIDENCY, lasted, 8);
}

QUERY(int amdsmi_get_energy_count(Device gpu, uint64_t *out, float *resolution, uint64_t *ns),
      "counter",
      *out = accumulator(gpu, at); *resolution = (float)gpu->resolution_uj;
      *ns = (uint64_t)(1e9 * monotonic_s()))
QUERY(int amdsmi_get_power_info(Device gpu, Power *out), "power",
      memset(out, 0xff, sizeof *out);
      uint32_t watts = (uint32_t)lround(gpu->average_only ? average_watts(gpu, at)
                                                          : instant_watts(gpu, at));
      out->socket = watts; *(gpu->average_only ? &out->average : &out->current) = watts)
QUERY(int amdsmi_get_power_cap_info(Device gpu, uint32_t sensor, Caps *out), "limit",
      (void)sensor; *out = (Caps){.cap = (uint64_t)(1e6 * gpu->limit_watts),
                                  .default_cap = (uint64_t)(1e6 * gpu->default_limit_watts)})
QUERY(int amdsmi_get_temp_metric(Device gpu, uint32_t place, uint32_t metric, int64_t *out),
      place == HOTSPOT ? "temperature" : "edge", (void)metric; *out = lround(celsius(gpu, at)))
QUERY(int amdsmi_get_clock_info(Device gpu, uint32_t kind, Clock *out), "clocks",
      memset(out, 0xff, sizeof *out);
      out->most = kind == CLOCK_MEMORY ? gpu->memory_mhz : gpu->load_mhz;
      out->clock = kind != CLOCK_MEMORY && !is_busy(gpu, at) ? gpu->idle_mhz : out->most)
QUERY(int amdsmi_get_gpu_activity(Device gpu, Activity *out), "utilisation",
      out->gfx = is_busy(gpu, at) ? 100 : 0; out->umc = out->mm = 0xffff)
QUERY(int amdsmi_get_gpu_memory_usage(Device gpu, uint32_t kind, uint64_t *out), "memory",
      (void)kind; *out = 16ull << 30)
QUERY(int amdsmi_get_gpu_memory_total(Device gpu, uint32_t kind, uint64_t *out), "memory",
      (void)kind; *out = 192ull << 30)
QUERY(int amdsmi_get_gpu_metrics_info(Device gpu, unsigned char *out), "metrics",
      fill_metrics(gpu, at, out))
QUERY(int amdsmi_get_gpu_asic_info(Device gpu, Asic *out), "name",
      memset(out, 0, sizeof *out); snprintf(out->market_name, STRING, "%s", gpu->name);
      snprintf(out->serial, STRING, "1"); out->graphics_version = gpu->graphics_version)
QUERY(int amdsmi_get_gpu_driver_info(Device gpu, Driver *out), "driver",
      memset(out, 0, sizeof *out); snprintf(out->version, STRING, "%s", scenario.driver);
      snprintf(out->name, STRING, "amdgpu"))
QUERY(int amdsmi_get_gpu_device_bdf(Device gpu, uint64_t *out), "bdf",
      *out = (uint64_t)(0x10 + (gpu - scenario.gpus)) << 8)
QUERY(int amdsmi_get_gpu_compute_partition(Device gpu, char *out, uint32_t size), "partition",
      snprintf(out, size, "%s", gpu->partition))
/* AMD's UUIDs do not begin with `GPU-`. */
QUERY(int amdsmi_get_gpu_device_uuid(Device gpu, uint32_t *size, char *out), "uuid",
      snprintf(out, *size, "%s", gpu->uuid + 4))

int amdsmi_get_gpu_process_list(Device gpu, uint32_t *count, ProcessInfo *out) {
    int result = fault_at(gpu, "processes", now_s());
    uint32_t room = *count;
    *count = 0;
    if (result != SUCCESS) return result;
    for (int i = 0; i < gpu->process_count && *count < room; i++)
        out[(*count)++].pid = gpu->processes[i].pid;
    FILE *file = gpu->process_file[0] ? fopen(gpu->process_file, "r") : NULL;
    for (unsigned pid; file && *count < room && fscanf(file, "%u", &pid) == 1;)
        if (!kill((pid_t)pid, 0) || errno != ESRCH) out[(*count)++].pid = pid;
    if (file) fclose(file);
    return SUCCESS;
}

int amdsmi_init(uint64_t flags) {
    (void)flags;
    if (users++) return SUCCESS;
    free_scenario(&scenario);
    if (!read_scenario(getenv("AMD_SMI_SIMULATOR_SCENARIO"), &scenario)) return SUCCESS;
    users = 0;
    return NO_DRIVER;
}

int amdsmi_shut_down(void) {
    if (!users) return NOT_INIT;
    users--;
    return SUCCESS;
}

int amdsmi_get_lib_version(Version *out) {
    const char *major = getenv("AMD_SMI_SIMULATOR_MAJOR");
    *out = (Version){major ? (uint32_t)atoi(major) : 26, 0, 2, "simulated"};
    return SUCCESS;
}

/* Each socket has one GPU; a first call without room asks how many there are. */
int amdsmi_get_socket_handles(uint32_t *count, void **out) {
    if (!users) return NOT_INIT;
    *count = (uint32_t)scenario.gpu_count;
    for (int i = 0; out && i < scenario.gpu_count; i++) out[i] = &scenario.gpus[i];
    return SUCCESS;
}

int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **out) {
    if (!socket) return INVAL;
    *count = 1;
    if (out) out[0] = socket;
    return SUCCESS;
}
