/* folders.c: the search for models and pictures.
 *
 * One idea: a table says which sub-folders a model folder has and which endings count; everything else is a walk over
 * (root, sub-folder) pairs in order of precedence. Nothing is cached: a stat finds a file, and lists are made only when
 * people see them. */
#include "engine/graph/folders.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEEPEST = 16 /* sub-folders */, MOST_FILES = 100000 };

static const char *const weights[] = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft", ".gguf", NULL};
static const char *const yaml[] = {".yaml", NULL};
static const char *const indexed[] = {".json", NULL}; /* of these folders those are listed and found that hold an INDEX */
static const char INDEX[] = "model_index.json";
static const char *const latents[] = {".latent", NULL};
static const char *const pictures[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp",  ".tga",  ".ppm",
                                       ".pgm", ".pnm", ".psd",  ".hdr",  ".tif", ".tiff", ".avif", NULL};

/* Model folders, their sub-folders below a root in search order, and endings (NULL: any file). */
typedef struct FolderKind {
    const char *name, *sub[3];
    const char *const *endings;
} FolderKind;
static const FolderKind kinds[] = {
    {"checkpoints", {"checkpoints"}, weights},
    {"loras", {"loras"}, weights},
    {"vae", {"vae"}, weights},
    {"clip_vision", {"clip_vision"}, weights},
    {"style_models", {"style_models"}, weights},
    {"ipadapter", {"ipadapter"}, weights},
    {"embeddings", {"embeddings"}, weights},
    {"vae_approx", {"vae_approx"}, weights},
    {"gligen", {"gligen"}, weights},
    {"upscale_models", {"upscale_models"}, weights},
    {"hypernetworks", {"hypernetworks"}, weights},
    {"photomaker", {"photomaker"}, weights},
    {"model_patches", {"model_patches"}, weights},
    {"audio_encoders", {"audio_encoders"}, weights},
    {"text_encoders", {"text_encoders", "clip"}, weights},
    {"clip", {"text_encoders", "clip"}, weights},
    {"diffusion_models", {"unet", "diffusion_models"}, weights},
    {"unet", {"unet", "diffusion_models"}, weights},
    {"controlnet", {"controlnet", "t2i_adapter"}, weights},
    {"configs", {"configs"}, yaml},
    {"diffusers", {"diffusers"}, indexed},
    {"classifiers", {"classifiers"}, NULL},
};

typedef struct Extra {
    char *folder, *name, *path;
} Extra; /* a file named by its path */

struct Folders {
    char *root[4];  /* of models: the user's first, the installation's last */
    int roots, own; /* own: roots that are the user's */
    char *input, *output, *temp, *plugins;
    pthread_mutex_t lock; /* of the extras */
    Extra *extra;
    size_t extras, extra_capacity;
};

/* ---- Setting up ---------------------------------------------------------------------------------------------------- */

/* ".", if it holds models; else $NODUS_HOME; else the data folder of the XDG rules. */
static char *default_base(void)
{
    if (file_is_folder("models")) return memory_text(".");
    const char *home = getenv("NODUS_HOME"), *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME");
    if (home && *home) return memory_text(home);
    if (data && *data) return file_join(data, "nodus");
    return user && *user ? file_join(user, ".local/share/nodus") : memory_text(".");
}

static bool set_path(char **to, const char *given, const char *base, const char *name)
{
    *to = given ? memory_text(given) : file_join(base, name);
    return *to;
}

static bool add_root(Folders *folders, const char *given, const char *base)
{
    if (!given && !base) return true;
    char *path = given ? memory_text(given) : file_join(base, "models");
    if (path) folders->root[folders->roots++] = path;
    return path;
}

NodusStatus folders_new(const NodusEngineOptions *options, Folders **out)
{
    Folders *folders = memory_alloc(sizeof *folders);
    char *base = options->base_directory ? memory_text(options->base_directory) : default_base();
    bool made = folders && base;
    if (folders) pthread_mutex_init(&folders->lock, NULL);
    made = made && add_root(folders, options->models, NULL) && add_root(folders, NULL, base);
    if (made) folders->own = folders->roots;
    made = made && add_root(folders, options->system_models, NULL) && set_path(&folders->input, options->input, base, "input") &&
           set_path(&folders->output, options->output, base, "output") && set_path(&folders->temp, options->temp, base, "temp") &&
           set_path(&folders->plugins, strcmp(base, ".") ? NULL : "plugins", base, "plugins");
    memory_free(base);
    if (made) *out = folders;
    else folders_free(folders);
    return made ? NULL : status_memory();
}

void folders_free(Folders *folders)
{
    if (!folders) return;
    for (int i = 0; i < folders->roots; i++) memory_free(folders->root[i]);
    for (size_t i = 0; i < folders->extras; i++) {
        memory_free(folders->extra[i].folder);
        memory_free(folders->extra[i].name);
        memory_free(folders->extra[i].path);
    }
    memory_free(folders->extra);
    memory_free(folders->input);
    memory_free(folders->output);
    memory_free(folders->temp);
    memory_free(folders->plugins);
    pthread_mutex_destroy(&folders->lock);
    memory_free(folders);
}

const char *folders_plugins(const Folders *folders)
{
    return folders->plugins;
}

NodusStatus folders_directory(Folders *folders, const char *which, const char **path)
{
    *path = !strcmp(which, "input")    ? folders->input
            : !strcmp(which, "output") ? folders->output
            : !strcmp(which, "temp")   ? folders->temp
                                       : NULL;
    if (!*path) return nodus_error(NODUS_ERROR_INTERNAL, "there is no folder called \"%s\"", which);
    return file_make_folders(*path);
}

/* ---- The walk ------------------------------------------------------------------------------------------------------ */

static const FolderKind *kind_of(const char *folder)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, folder)) return &kinds[i];
    return NULL;
}

/* The folder number `at` (from 0) of a search below roots first … last−1, or NULL behind the last one. memory_free. */
static char *place(const Folders *folders, const FolderKind *kind, int first, int last, int at)
{
    int subs = 0;
    while (subs < 3 && kind->sub[subs]) subs++;
    if (at >= (last - first) * subs) return NULL;
    return file_join(folders->root[first + at / subs], kind->sub[at % subs]);
}

static int place_count(const FolderKind *kind, int roots)
{
    int subs = 0;
    while (subs < 3 && kind->sub[subs]) subs++;
    return subs * roots;
}

static bool has_ending(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    if (!endings) return true;
    for (; dot && *endings; endings++)
        if (!strcasecmp(dot, *endings)) return true;
    return false;
}

/* `name` with / for \, or NULL when it would leave its folder (or out of memory: *status). memory_free. */
static char *inside(const char *name, NodusStatus *status)
{
    char *copy = memory_text(name);
    if (!copy) *status = status_memory();
    for (char *c = copy; c && *c; c++)
        if (*c == '\\') *c = '/';
    if (copy && file_name_is_inside(copy)) return copy;
    memory_free(copy);
    return NULL;
}

static bool is_file(const char *path, double *modified)
{
    struct stat info;
    if (stat(path, &info) || !S_ISREG(info.st_mode)) return false;
    if (modified) *modified = (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
    return true;
}

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

static NodusStatus find_extra(Folders *folders, const char *folder, const char *name, char **path)
{
    NodusStatus status = NULL;
    pthread_mutex_lock(&folders->lock);
    for (size_t i = 0; i < folders->extras && !*path && !status; i++)
        if (!strcmp(folders->extra[i].folder, folder) && !strcmp(folders->extra[i].name, name))
            if (!(*path = memory_text(folders->extra[i].path))) status = status_memory();
    pthread_mutex_unlock(&folders->lock);
    return status;
}

static bool cut_suffix(char *name, const char *suffix)
{
    const size_t length = strlen(name), cut = strlen(suffix);
    if (length < cut || strcmp(name + length - cut, suffix)) return false;
    name[length - cut - (length > cut)] = '\0'; /* and the character before it */
    return true;
}

/* Where the files of such a folder lie: "input", "latents", "output". NULL: it is a model folder, or none. */
static const char *files_of(const Folders *folders, const char *folder)
{
    if (!strcmp(folder, "output")) return folders->output;
    return !strcmp(folder, "input") || !strcmp(folder, "latents") ? folders->input : NULL;
}

static const char *const *files_endings(const char *folder)
{
    return *folder == 'l' ? latents : pictures;
}

/* In `base`, unless the name says where. */
static NodusStatus find_picture(const Folders *folders, const char *base, char *name, char **path)
{
    const char *folder = cut_suffix(name, "[output]")  ? folders->output
                         : cut_suffix(name, "[temp]")  ? folders->temp
                         : cut_suffix(name, "[input]") ? folders->input
                                                       : base;
    if (!file_name_is_inside(name)) return NULL; /* without its suffix it may be ".." */
    if (!(*path = file_join(folder, name))) return status_memory();
    if (is_file(*path, NULL)) return NULL;
    memory_free(*path);
    *path = NULL;
    return NULL;
}

/* A folder stands for the index in it. Takes `name`; NULL when out of memory. */
static char *name_index(const FolderKind *kind, char *name)
{
    if (!kind || kind->endings != indexed) return name;
    char *index = file_join(name, INDEX);
    memory_free(name);
    return index;
}

/* Tiny autoencoders are pairs of files of "vae_approx", and are named as if each were one file of "vae". */
static const char *const pairs[] = {"taesd", "taesdxl", "taesd3", "taef1", NULL};

static NodusStatus find_half(Folders *folders, const char *pair, const char *half, char **path)
{
    char name[64];
    NodusStatus status = NULL;
    *path = NULL;
    for (const char *const *ending = weights; *ending && !*path && !status; ending++) {
        snprintf(name, sizeof name, "%s_%s%s", pair, half, *ending);
        status = folders_find(folders, "vae_approx", name, path);
    }
    return status;
}

/* The decoder's path; "taesd encoder" names the other half. Nothing unless both are there. */
static NodusStatus find_pair(Folders *folders, const char *name, char **path)
{
    char *other = NULL;
    const char *space = strchr(name, ' ');
    char pair[16];
    if (strlen(name) >= 32 || snprintf(pair, sizeof pair, "%.*s", space ? (int)(space - name) : 15, name) >= (int)sizeof pair) return NULL;
    for (const char *const *known = pairs; *known; known++) {
        if (strcmp(*known, pair) != 0) continue;
        NODUS_TRY(find_half(folders, pair, "decoder", path));
        NodusStatus status = *path ? find_half(folders, pair, "encoder", &other) : NULL;
        if (!other || space) {
            memory_free(*path);
            *path = other;
        } else {
            memory_free(other);
        }
        return status;
    }
    return NULL;
}

NodusStatus folders_find(Folders *folders, const char *folder, const char *name, char **path)
{
    *path = NULL;
    NodusStatus status = NULL;
    if (!strcmp(folder, "vae")) NODUS_TRY(find_pair(folders, name, path));
    if (*path) return NULL;
    char *clean = inside(name, &status);
    if (!clean) return status;
    const FolderKind *kind = kind_of(folder);
    if (!(clean = name_index(kind, clean))) return status_memory();
    const char *base = files_of(folders, folder);
    if (base) status = *folder != 'l' || has_ending(clean, latents) ? find_picture(folders, base, clean, path) : NULL;
    else status = find_extra(folders, folder, clean, path);
    for (int at = 0; kind && !*path && !status && at < place_count(kind, folders->roots) && has_ending(clean, kind->endings);
         at++) {
        char *where = place(folders, kind, 0, folders->roots, at);
        *path = where ? file_join(where, clean) : NULL;
        if (!*path) status = status_memory();
        else if (!is_file(*path, NULL)) {
            memory_free(*path);
            *path = NULL;
        }
        memory_free(where);
    }
    memory_free(clean);
    return status;
}

/* ---- Listing ------------------------------------------------------------------------------------------------------- */

static bool list_add(FolderList *list, char *name)
{
    void *items = list->name;
    if (!name || list->count >= MOST_FILES || !memory_reserve(&items, &list->capacity, list->count, sizeof *list->name)) {
        list->failed |= list->count < MOST_FILES;
        memory_free(name);
        return false;
    }
    list->name = items;
    list->name[list->count++] = name;
    return true;
}

typedef struct Walk {
    const struct Walk *parent; /* the folders that enclose this one: a link to one of them would never end */
    dev_t device;
    ino_t inode;
    int depth;
} Walk;

static bool is_loop(const Walk *walk, const struct stat *info)
{
    for (; walk; walk = walk->parent)
        if (walk->device == info->st_dev && walk->inode == info->st_ino) return true;
    return false;
}

/* Adds the files below folder/prefix, under names that begin with `prefix`. Unreadable folders count as empty. */
static void list_below(const char *folder, const char *prefix, const char *const *endings, const Walk *parent, int deepest,
                       FolderList *list)
{
    char *path = *prefix ? file_join(folder, prefix) : memory_text(folder);
    struct stat info;
    errno = 0;
    DIR *open = path && !stat(path, &info) && !is_loop(parent, &info) ? opendir(path) : NULL;
    list->failed |= !path || (!open && errno == ENOMEM);
    const Walk here = {parent, open ? info.st_dev : 0, open ? info.st_ino : 0, parent ? parent->depth + 1 : 0};
    for (struct dirent *entry; open && (entry = readdir(open));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(entry->d_name, ".git")) continue;
        char *name = *prefix ? file_join(prefix, entry->d_name) : memory_text(entry->d_name);
        char *full = name ? file_join(folder, name) : NULL;
        list->failed |= !full;
        if (full && is_file(full, NULL) && has_ending(name, endings)) {
            list_add(list, name);
            name = NULL;
        } else if (full && here.depth < deepest && file_is_folder(full)) {
            list_below(folder, name, endings, &here, deepest, list);
        }
        memory_free(full);
        memory_free(name);
    }
    if (open) closedir(open);
    memory_free(path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b); /* bytes of UTF-8 sort as code points */
}

static void sort_once(FolderList *list)
{
    if (!list->count) return;
    qsort(list->name, list->count, sizeof *list->name, compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->name[i], list->name[kept - 1])) list->name[kept++] = list->name[i];
        else memory_free(list->name[i]);
    }
    list->count = kept;
}

static NodusStatus list_places(const Folders *folders, const FolderKind *kind, int first, int last, FolderList *list)
{
    for (int at = 0; at < place_count(kind, last - first); at++) {
        char *where = place(folders, kind, first, last, at);
        if (!where) return status_memory();
        list_below(where, "", kind->endings, NULL, DEEPEST, list);
        memory_free(where);
    }
    return NULL;
}

/* Of the files, the folders of those that are an index. */
static void keep_indexed(FolderList *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        char *name = list->name[i], *last = strrchr(name, '/');
        if (last && !strcmp(last + 1, INDEX)) {
            *last = '\0';
            list->name[kept++] = name;
        } else {
            memory_free(name);
        }
    }
    list->count = kept;
}

NodusStatus folders_list(Folders *folders, const char *folder, FolderList *out)
{
    *out = (FolderList){0};
    const FolderKind *kind = kind_of(folder);
    NodusStatus status = NULL;
    const char *base = files_of(folders, folder);
    if (base) list_below(base, "", files_endings(folder), NULL, 0, out);
    if (kind) status = list_places(folders, kind, 0, folders->roots, out);
    if (kind && kind->endings == indexed) keep_indexed(out);
    for (const char *const *pair = pairs; *pair && !status && !strcmp(folder, "vae"); pair++) {
        char *path = NULL;
        status = find_pair(folders, *pair, &path);
        if (path && !list_add(out, memory_text(*pair))) status = status_memory();
        memory_free(path);
    }
    pthread_mutex_lock(&folders->lock);
    for (size_t i = 0; i < folders->extras && !status; i++)
        if (!strcmp(folders->extra[i].folder, folder) && !list_add(out, memory_text(folders->extra[i].name)))
            status = status_memory();
    pthread_mutex_unlock(&folders->lock);
    if (!status && out->failed) status = status_memory();
    if (status) folders_list_free(out);
    else sort_once(out);
    return status;
}

void folders_list_free(FolderList *list)
{
    for (size_t i = 0; i < list->count; i++) memory_free(list->name[i]);
    memory_free(list->name);
    *list = (FolderList){0};
}

/* ---- Choosing ------------------------------------------------------------------------------------------------------ */

/* The most recently modified file below roots first … last−1; *listed stays NULL when there is none. */
static NodusStatus choose_newest(Folders *folders, const FolderKind *kind, int first, int last, char **path, char **listed)
{
    FolderList list = {0};
    double newest = -1, modified = 0;
    NodusStatus status = list_places(folders, kind, first, last, &list);
    sort_once(&list);
    for (size_t i = 0; i < list.count && !status; i++) {
        char *found = NULL;
        status = folders_find(folders, kind->name, list.name[i], &found);
        if (!status && found && is_file(found, &modified) && modified > newest) {
            newest = modified;
            memory_free(*path);
            memory_free(*listed);
            *path = found;
            found = NULL;
            *listed = memory_text(list.name[i]);
            if (!*listed) status = status_memory();
        }
        memory_free(found);
    }
    folders_list_free(&list);
    return status;
}

static NodusStatus add_extra(Folders *folders, const char *folder, const char *name, const char *path)
{
    Extra extra = {memory_text(folder), memory_text(name), memory_text(path)};
    pthread_mutex_lock(&folders->lock);
    void *items = folders->extra;
    const bool added = extra.folder && extra.name && extra.path &&
                       memory_reserve(&items, &folders->extra_capacity, folders->extras, sizeof extra);
    if (added) {
        folders->extra = items;
        folders->extra[folders->extras++] = extra;
    }
    pthread_mutex_unlock(&folders->lock);
    if (added) return NULL;
    memory_free(extra.folder);
    memory_free(extra.name);
    memory_free(extra.path);
    return status_memory();
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return !stat(a, &of_a) && !stat(b, &of_b) && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* The shortest end of an absolute path that names the file or nothing: its name, else with the names of the folders around it. */
static NodusStatus free_name(Folders *folders, const char *folder, const char *real, const char **name, bool *known)
{
    *name = strrchr(real, '/') + 1;
    for (;;) {
        char *taken;
        NODUS_TRY(folders_find(folders, folder, *name, &taken));
        *known = taken && is_same_file(taken, real);
        const bool other = taken && !*known;
        memory_free(taken);
        if (!other || *name == real + 1) return NULL;
        for (--*name; *name > real + 1 && (*name)[-1] != '/';) --*name; /* one folder more */
    }
}

/* A file given by its path is found by name from now on. */
static NodusStatus choose_path(Folders *folders, const FolderKind *kind, const char *given, char **path, char **listed)
{
    char *real = realpath(given, NULL);
    if (!real) return nodus_error(NODUS_ERROR_FILE, "cannot read '%s'", given);
    const char *name;
    bool known;
    NodusStatus status = free_name(folders, kind->name, real, &name, &known);
    if (!status && !known) status = add_extra(folders, kind->name, name, real);
    if (!status && (!(*listed = memory_text(name)) || !(*path = memory_text(real)))) status = status_memory();
    free(real);
    return status;
}

static NodusStatus not_found(Folders *folders, const char *folder, const char *name)
{
    Text searched = {0};
    folders_searched(folders, folder, &searched);
    NodusStatus status =
        name ? nodus_error(NODUS_ERROR_FILE, "no file '%s' in %s; searched %s", name, folder, text_get(&searched))
             : nodus_error(NODUS_ERROR_FILE, "there is no file in %s yet: put one into %s", folder, text_get(&searched));
    text_free(&searched);
    return status;
}

NodusStatus folders_choose(Folders *folders, const char *folder, const char *name, char **path, char **listed)
{
    const FolderKind *kind = kind_of(folder);
    *path = *listed = NULL;
    if (!kind) return nodus_error(NODUS_ERROR_INPUT, "there is no model folder called \"%s\"", folder);
    NodusStatus status = NULL;
    if (!name || !*name) {
        status = choose_newest(folders, kind, 0, folders->own, path, listed);
        if (!status && !*listed) status = choose_newest(folders, kind, folders->own, folders->roots, path, listed);
        if (!status && !*listed) status = not_found(folders, folder, NULL);
    } else {
        status = folders_find(folders, folder, name, path);
        if (!status && *path && !(*listed = memory_text(name))) status = status_memory();
        if (!status && !*path) {
            const bool given = is_file(name, NULL) && has_ending(name, kind->endings);
            status = given ? choose_path(folders, kind, name, path, listed) : not_found(folders, folder, name);
        }
    }
    if (status) {
        memory_free(*path);
        memory_free(*listed);
        *path = *listed = NULL;
    }
    return status;
}

void folders_searched(Folders *folders, const char *folder, Text *out)
{
    const FolderKind *kind = kind_of(folder);
    const char *base = files_of(folders, folder);
    if (base) text_add(out, base);
    for (int at = 0; kind && at < place_count(kind, folders->roots); at++) {
        char *where = place(folders, kind, 0, folders->roots, at);
        text_format(out, "%s%s", at ? ", " : "", where ? where : "");
        if (!where) out->failed = true;
        memory_free(where);
    }
}
