/* pool_cpus.c: how many CPUs this process may use.
 *
 * One idea: the smaller of two limits, the affinity mask and the cgroup's CPU quota (containers), for threads beyond either
 * only wait for each other. Version 2 and 1 of cgroups differ in where the quota stands; every level above counts too. */
#include "engine/base/memory.h"
#include "engine/base/pool.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int affinity_cpus(void)
{
    for (int room = 1024; room <= 1 << 20; room *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set) return 1;
        const size_t size = CPU_ALLOC_SIZE((size_t)room);
        const int fault = sched_getaffinity(0, size, set) ? errno : 0;
        const int count = fault ? 1 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (fault != EINVAL) return count > 1 ? count : 1; /* EINVAL: the machine has more CPUs than the mask has bits */
    }
    return 1;
}

/* The numbers of a small file, "max" as −1; how many there were. */
static int read_numbers(const char *folder, const char *name, long long *first, long long *second)
{
    char path[4096], line[64] = "";
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    if (!fgets(line, sizeof line, file)) line[0] = '\0';
    fclose(file);
    if (!strncmp(line, "max", 3)) {
        *first = -1;
        return 1;
    }
    return sscanf(line, "%lld %lld", first, second);
}

/* The quota of one cgroup folder in CPUs, rounded up; 0: none. */
static int folder_quota(const char *folder)
{
    long long quota = -1, period = 0, unused;
    if (read_numbers(folder, "cpu.max", &quota, &period) < 2 &&
        (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused) != 1 ||
         read_numbers(folder, "cpu.cfs_period_us", &period, &unused) != 1))
        return 0;
    if (quota <= 0 || period <= 0 || quota / period >= 1 << 20) return 0;
    return (int)((quota + period - 1) / period);
}

/* The least quota from the group up to the root. */
static int least_quota(const char *root, const char *group)
{
    char folder[4096];
    if (snprintf(folder, sizeof folder, "%s%s", root, group) >= (int)sizeof folder) return 0;
    int least = 0;
    while (strlen(folder) >= strlen(root)) {
        const int quota = folder_quota(folder);
        if (quota && (!least || quota < least)) least = quota;
        char *slash = strrchr(folder, '/');
        if (!slash) break;
        *slash = '\0';
    }
    return least;
}

/* /proc/self/cgroup has a line "0::/path" for version 2 and "4:cpu,cpuacct:/path" for each controller of version 1. */
static int cgroup_cpus(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return 0;
    int least = 0;
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        const char *root = NULL;
        if (!strcmp(controllers, ":")) root = "/sys/fs/cgroup";
        else if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset")) root = "/sys/fs/cgroup/cpu";
        const int quota = root ? least_quota(root, group) : 0;
        if (quota && (!least || quota < least)) least = quota;
    }
    fclose(file);
    return least;
}

int pool_cpus(void)
{
    const int affinity = affinity_cpus(), quota = cgroup_cpus();
    return quota && quota < affinity ? quota : affinity;
}
