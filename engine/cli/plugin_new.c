/* plugin_new.c: `nodus plugin new NAME`: a small project that builds as it is.
 *
 * One idea: the project is the example docs/plugins/sepia, which the tests build and run, with its name replaced; so it cannot rot. */
#include "engine/cli/plugin.h"
#include "engine/cli/say.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_NAME = 40 };

/* The content of a file, as `name_` … `name_##_end`. */
#define EMBED(name_, path_)                                                                                               \
    __asm__(".pushsection .rodata\n" #name_ ": .incbin \"" path_ "\"\n" #name_ "_end: .byte 0\n.popsection\n"); \
    extern const char name_[], name_##_end[] __attribute__((visibility("hidden")))
EMBED(sepia_source, "docs/plugins/sepia/sepia.c");
EMBED(sepia_makefile, "docs/plugins/sepia/Makefile");
EMBED(sepia_workflow, "docs/plugins/sepia/workflow.json");
EMBED(sepia_test, "docs/plugins/sepia/test");
EMBED(sepia_readme, "docs/plugins/sepia/README.md");

static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    return length && length <= LONGEST_NAME && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

/* "old_film" → "OldFilm" */
static void make_class(const char *name, char *out)
{
    bool start = true;
    for (; *name; name++) {
        if (*name != '_') *out++ = start && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        start = *name == '_';
    }
    *out = '\0';
}

/* `text` with the example's names replaced. */
static void put_renamed(FILE *file, const char *text, const char *end, const char *name, const char *class)
{
    while (text < end) {
        const bool lower = !strncmp(text, "sepia", 5), upper = !strncmp(text, "Sepia", 5);
        if (lower || upper) fputs(lower ? name : class, file);
        else fputc(*text, file);
        text += lower || upper ? 5 : 1;
    }
}

typedef struct Part {
    const char *name, *text, *end;
    int mode;
} Part;

static int write_part(const Part *part, const char *where, const char *name, const char *class)
{
    char *path = part->name[0] == '.' ? format_text("%s/%s%s", where, name, part->name) : format_text("%s/%s", where, part->name);
    int code = EXIT_GOOD;
    FILE *file = fopen(path, "wx");
    if (file) put_renamed(file, part->text, part->end, name, class);
    if (!file || fclose(file) || chmod(path, (mode_t)part->mode)) code = refuse("%s cannot be written: %s", path, strerror(errno));
    free(path);
    return code;
}

int plugin_new(const char *name, const char *where)
{
    const Part parts[] = {{".c", sepia_source, sepia_source_end, 0644},
                          {"Makefile", sepia_makefile, sepia_makefile_end, 0644},
                          {"workflow.json", sepia_workflow, sepia_workflow_end, 0644},
                          {"test", sepia_test, sepia_test_end, 0755},
                          {"README.md", sepia_readme, sepia_readme_end, 0644}};
    char class[LONGEST_NAME + 1];
    if (!is_name(name))
        return refuse("a plug-in's name has small letters, digits and _, a letter first, at most %d of them: not \"%s\"", LONGEST_NAME,
                      name);
    if (!where) where = name;
    if (mkdir(where, 0777)) return refuse("%s cannot be made: %s", where, strerror(errno));
    make_class(name, class);
    int code = EXIT_GOOD;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !code; i++) code = write_part(&parts[i], where, name, class);
    if (code) return code;
    printf("%s: the plug-in %s with the node %s\n", where, name, class);
    printf("  make -C %s         builds it\n  make -C %s test    tries it\n", where, where);
    return code;
}
