/* say.c: messages, memory and text of the command line; see say.h. */
#include "engine/cli/say.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int worst_exit(int a, int b)
{
    static const int order[] = {EXIT_CANCELLED, EXIT_NODE_FAILED, EXIT_REFUSED};
    for (int i = 0; i < 3; i++)
        if (a == order[i] || b == order[i]) return order[i];
    return EXIT_GOOD;
}

void put_plain(const char *text, size_t length, char instead, bool lines, FILE *to)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool c1 = c == 0xc2 && i + 1 < length && (unsigned char)text[i + 1] >= 0x80 && (unsigned char)text[i + 1] < 0xa0;
        const bool control = (c < ' ' && !(lines && (c == '\n' || c == '\t'))) || c == 127 || c1; /* c1: U+0080 … U+009F */
        putc(control ? instead : c, to);
        i += c1;
    }
}

static void put_message(const char *before, const char *format, va_list args)
{
    char *text;
    const int length = vasprintf(&text, format, args);
    fputs(before, stderr);
    if (length >= 0) put_plain(text, (size_t)length, '?', true, stderr);
    fputs(length < 0 ? "out of memory\n" : "\n", stderr);
    if (length >= 0) free(text);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_message("", format, args);
    va_end(args);
}

int refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_message("nodus: ", format, args);
    va_end(args);
    return EXIT_REFUSED;
}

int refuse_status(NodusStatus status)
{
    refuse("%s", nodus_error_message(status));
    nodus_error_free(status);
    return EXIT_REFUSED;
}

void *need(void *memory)
{
    if (memory) return memory;
    refuse("out of memory");
    exit(EXIT_NODE_FAILED);
}

char *format_text(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&text, format, args);
    va_end(args);
    return need(length < 0 ? NULL : text);
}

char *copy_text(const char *text)
{
    return need(strdup(text));
}

void text_begin(Growing *text)
{
    *text = (Growing){0};
    text->file = need(open_memstream(&text->data, &text->size));
}

char *text_end(Growing *text)
{
    const bool failed = ferror(text->file) | fclose(text->file);
    return need(failed ? NULL : text->data);
}

/* Edit distance of short words, in which two letters that changed places count once; long words are like nothing. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    int d[LONGEST + 1][LONGEST + 1];
    const int m = (int)strnlen(a, LONGEST + 1), n = (int)strnlen(b, LONGEST + 1);
    if (m > LONGEST || n > LONGEST) return LONGEST;
    for (int i = 0; i <= m; i++) d[i][0] = i;
    for (int j = 0; j <= n; j++) d[0][j] = j;
    for (int i = 1; i <= m; i++) {
        for (int j = 1; j <= n; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[m][n];
}

const char *most_like(const char *word, const char *const *names)
{
    const size_t length = strnlen(word, 40);
    int best = (int)length / 3 + 1; /* a third of the letters may be wrong */
    const char *found = NULL;
    for (; *names; names++) {
        const bool begins = length > 1 && !strncmp(word, *names, length);
        const int d = begins ? 0 : distance(word, *names);
        if (d >= best) continue;
        best = d;
        found = *names;
    }
    return found;
}

const char *text_of_seconds(double seconds, char out[32])
{
    if (!(seconds < 1e7)) return "very long";
    const int whole = (int)(seconds + 0.5);
    if (seconds < 0.0995) snprintf(out, 32, "%.0f ms", seconds * 1000);
    else if (seconds < 9.95) snprintf(out, 32, "%.2f s", seconds);
    else if (seconds < 99.95) snprintf(out, 32, "%.1f s", seconds);
    else if (whole < 3600) snprintf(out, 32, "%d min %02d s", whole / 60, whole % 60);
    else snprintf(out, 32, "%d h %02d min", whole / 3600, whole / 60 % 60);
    return out;
}
