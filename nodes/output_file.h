/* output_file.h: names and metadata of the files that nodes write (engine-and-api.md §6.3, §6.4). */
#ifndef NODES_OUTPUT_FILE_H
#define NODES_OUTPUT_FILE_H
#include <nodus/node.h>

/* A series of files "base_00001_.png" … in one folder. All texts live until the call returns. */
typedef struct OutputSeries {
    NodusCall *call;
    const char *type;      /* "output" or "temp" */
    const char *folder;    /* where the files go; exists */
    const char *subfolder; /* the same as clients see it: relative, "" for the folder itself */
    const char *base;      /* may hold %batch_num% */
    int64_t number;        /* the next one to try */
} OutputSeries;

/* Starts the series of a prefix: tokens replaced, sub-folders made, the next free number found. A prefix that leaves the folder is an
 * error of the input "filename_prefix". */
NodusStatus output_series(NodusCall *call, const char *type, const char *prefix, int64_t width, int64_t height, OutputSeries *out);
/* The name of the series' next file, for item `batch` of a batch, and its path. `suffix`: ".png". */
NodusStatus output_name(const OutputSeries *series, int64_t batch, const char *suffix, const char **name, const char **path);
/* Writes a file under the first number that nobody has taken, and tells clients of it (output_done). */
NodusStatus output_write(OutputSeries *series, int64_t batch, const char *suffix, const void *data, size_t size, const char *key);
/* Tells clients of a written file and goes on to the next number. `key`: "images". */
NodusStatus output_done(OutputSeries *series, const char *key, const char *name);

/* What is written into a file about its making: "prompt", each member of extra_pnginfo, and "nodus": the manifest (nodus_manifest), with
 * the size in pixels where there is one. Nothing with --disable-metadata. */
typedef struct OutputText { const char *key, *value; } OutputText;
NodusStatus output_metadata(NodusCall *call, const char *prompt, const char *extra_pnginfo, OutputText **texts, int *count);
NodusStatus output_metadata_sized(NodusCall *call, const char *prompt, const char *extra_pnginfo, int64_t width, int64_t height,
                                  OutputText **texts, int *count);
#endif
