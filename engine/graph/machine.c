/* machine.c: the smaller of two numbers: what the kernel calls available (free memory and the file pages that it can drop), and
 * what the control group's limit leaves. */
#include "engine/graph/machine.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const size_t fallback = (size_t)1 << 30;

/* The number of a line of a file of /proc ("MemAvailable: %zu kB"), in bytes; 0 when it is not there. */
static size_t kilobytes_of(const char *path, const char *format)
{
    FILE *file = fopen(path, "re");
    size_t kilobytes = 0;
    char line[128];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, format, &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes < SIZE_MAX / 1024 ? kilobytes * 1024 : 0;
}

static size_t available(void)
{
    const size_t bytes = kilobytes_of("/proc/meminfo", "MemAvailable: %zu kB");
    return bytes ? bytes : fallback;
}

size_t machine_anonymous(void)
{
    return kilobytes_of("/proc/self/status", "RssAnon: %zu kB");
}

/* The number in a file of the control group; SIZE_MAX: none, or "max". */
static size_t group_number(const char *folder, const char *name)
{
    char path[4096];
    size_t number = SIZE_MAX;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return SIZE_MAX;
    FILE *file = fopen(path, "re");
    if (!file) return SIZE_MAX;
    if (fscanf(file, "%zu", &number) != 1) number = SIZE_MAX;
    fclose(file);
    return number;
}

static size_t left_of(const char *folder, const char *limit_name, const char *used_name)
{
    const size_t limit = group_number(folder, limit_name), used = group_number(folder, used_name);
    if (limit == SIZE_MAX || limit > SIZE_MAX / 2) return SIZE_MAX;     /* version 1 says "no limit" by a huge number */
    return used != SIZE_MAX && used < limit ? limit - used : limit / 2; /* what is used includes file pages: a careful guess */
}

/* The least that a group from this process's own up to the root leaves. Version 2, and the usual place of version 1. */
static size_t group_memory(void)
{
    size_t least = left_of("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes");
    char line[2048] = "", folder[4096];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file) && strncmp(line, "0::", 3)) line[0] = '\0';
    if (file) fclose(file);
    line[strcspn(line, "\n")] = '\0';
    snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", strncmp(line, "0::", 3) ? "" : line + 3);
    while (strlen(folder) >= strlen("/sys/fs/cgroup")) {
        const size_t left = left_of(folder, "memory.max", "memory.current");
        if (left < least) least = left;
        *strrchr(folder, '/') = '\0';
    }
    return least;
}

size_t machine_memory(void)
{
    const size_t machine = available(), group = group_memory();
    return group < machine ? group : machine;
}
