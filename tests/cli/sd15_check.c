/* sd15_check.c: counts, end names and first numbers of what `nodus bench` builds its weights from; run_tests.py compares them with what
 * numerics.md §17 states. */
#include "engine/cli/sd15.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double number_of_half(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void print_tensor(const Sd15 *list, int index)
{
    uint16_t first[3];
    sd15_fill(&list->item[index], index, 0, 3, first);
    printf("%s\n", list->item[index].name);
    for (int i = 0; i < 3; i++) printf("%.9g%c", number_of_half(first[i]), i < 2 ? ' ' : '\n');
}

int main(void)
{
    static const char *const prefixes[] = {"model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."};
    int parts[3] = {0};
    int64_t numbers = 0;
    Sd15 list;
    sd15_list(&list);
    for (int i = 0; i < list.count; i++) {
        numbers += sd15_numbers(&list.item[i]);
        for (int p = 0; p < 3; p++) parts[p] += !strncmp(list.item[i].name, prefixes[p], strlen(prefixes[p]));
    }
    printf("%d %" PRId64 "\n%d %d %d\n", list.count, numbers, parts[0], parts[1], parts[2]);
    print_tensor(&list, 0);
    print_tensor(&list, list.count - 1);
    sd15_free(&list);
    return 0;
}
