/* conds_entries.c: from conditionings to the evaluations of a sampling: each entry's rectangle, weights and part of the sampling
 * (numerics.md §5, "Preparation").
 *
 * One idea: a list must be asked in the rectangles of the other lists too, or guidance would compare a part of the picture with
 * the whole. So an entry with an area gets a twin in every list that has none there, told what that list says of the place. */
#include "engine/base/status.h"
#include "nodes/diffusion/concat.h"
#include "nodes/diffusion/conds_inside.h"
#include "nodes/diffusion/unclip.h"

static NodusStatus entry_add(Conds *conds, int list, const Cond *cond)
{
    const CondsSetup *setup = &conds->setup;
    const ModelSampling *sampling = &setup->model->sampling;
    Entry *entry = &conds->entry[conds->entries++];
    *entry = (Entry){
        .cond = cond,
        .source = cond,
        .control = cond->control,
        .boxes = cond->boxes,
        .edit = cond->edit,
        .list = list,
        .start = (float)model_sampling_percent(sampling, cond->start),
        .end = (float)model_sampling_percent(sampling, cond->end),
    };
    if (setup->model->family == FAMILY_SD2 && setup->model->unet.label_width)
        NODUS_TRY(unclip_vector(conds->math, setup->model, cond, setup->seed, &entry->pictures));
    if (cond->mask) NODUS_TRY(area_mask(conds->math, cond->mask, &conds->picture, &entry->mask));
    return area_of(conds->math, cond, entry->mask, &conds->picture, &entry->area, &entry->boxed);
}

/* ---- Twins --------------------------------------------------------------------------------------------------------- */

/* Of a list, the entry with the smallest area that holds all of `area`; NULL if there is none. */
static const Entry *smallest_around(const Conds *conds, int list, const Box *area)
{
    const Entry *best = NULL;
    for (int i = 0; i < conds->entries; i++) {
        const Entry *entry = &conds->entry[i];
        if (entry->list != list || (entry->boxed && !box_within(area, &entry->area))) continue;
        if (!best ||
            (entry->boxed && (!best->boxed || entry->area.height * entry->area.width < best->area.height * best->area.width)))
            best = entry;
    }
    return best;
}

static bool list_has_area(const Conds *conds, int list, const Box *area)
{
    for (int i = 0; i < conds->entries; i++)
        if (conds->entry[i].list == list && conds->entry[i].boxed && box_same(&conds->entry[i].area, area)) return true;
    return false;
}

/* What the other list says there; guided as the entry is, by its pictures and boxes. */
static void entry_twin(Conds *conds, const Entry *entry, int list)
{
    const Entry *told = list_has_area(conds, list, &entry->area) ? NULL : smallest_around(conds, list, &entry->area);
    if (!told) return;
    Entry *twin = &conds->entry[conds->entries++];
    *twin = *entry;
    twin->list = list;
    twin->source = told->source;
    twin->pictures = told->pictures;
    twin->edit = told->edit;
}

/* Twins have areas too, but by then every list has theirs. */
static void conds_twins(Conds *conds)
{
    for (int list = 0; list < conds->setup.lists; list++)
        for (int i = 0, count = conds->entries; i < count; i++) {
            if (conds->entry[i].list != list || !conds->entry[i].boxed) continue;
            for (int other = 0; other < conds->setup.lists; other++)
                if (other != list) entry_twin(conds, &conds->entry[i], other);
        }
}

/* ---- What is meant for both lists ---------------------------------------------------------------------------------------- */

static bool gives_control(const Entry *entry)
{
    return entry->control && entry->control->everywhere;
}

static bool has_control(const Entry *entry)
{
    return entry->control;
}

static void take_control(Entry *entry, const Entry *from)
{
    entry->control = from->control;
}

static bool has_boxes(const Entry *entry)
{
    return entry->boxes;
}

static void take_boxes(Entry *entry, const Entry *from)
{
    entry->boxes = from->boxes;
}

/* What guides entries of one list also guides those of the other that have none of their own: the n-th giver the n-th such entry. A list
 * with one of its own is left alone; areas are not looked at. */
static void conds_share(Conds *conds, int from, int to, bool (*gives)(const Entry *), bool (*has)(const Entry *),
                        void (*take)(Entry *, const Entry *))
{
    int next = 0;
    for (int i = 0; i < conds->entries; i++)
        if (conds->entry[i].list == to && !conds->entry[i].boxed && has(&conds->entry[i])) return;
    for (int i = 0; i < conds->entries; i++) {
        const Entry *giver = &conds->entry[i];
        if (giver->list != from || giver->boxed || !gives(giver)) continue;
        for (; next < conds->entries; next++) {
            Entry *taker = &conds->entry[next];
            if (taker->list != to || taker->boxed || has(taker)) continue;
            take(taker, giver);
            break;
        }
    }
}

static void conds_share_all(Conds *conds)
{
    for (int list = 1; list < conds->setup.lists; list++) {
        conds_share(conds, 0, list, gives_control, has_control, take_control);
        conds_share(conds, 0, list, has_boxes, has_boxes, take_boxes);
    }
    for (int i = 0; i < conds->entries; i++)
        if (conds->entry[i].boxes) conds->boxes_file = conds->entry[i].boxes;
}

/* ---- Weights ------------------------------------------------------------------------------------------------------- */

static NodusStatus entry_weigh(const Conds *conds, Entry *entry, NodusTensor *beside)
{
    const bool whole = box_same(&entry->box, &conds->picture);
    entry->plain = !entry->mask && !entry->boxed && entry->cond->strength == 1;
    NODUS_TRY(area_weight(conds->math, entry->cond, entry->mask, entry->boxed, &entry->box, &conds->picture, conds->batch,
                          &entry->weight));
    entry->spread = entry->weight;
    if (!whole) NODUS_TRY(area_paste(conds->math, entry->weight, &entry->box, &conds->picture, &entry->spread));
    entry->beside = beside;
    return whole || !beside ? NULL : area_crop(conds->math, beside, &entry->box, &entry->beside);
}

/* What lies beside the picture acts nowhere. */
static NodusStatus conds_weights(Conds *conds)
{
    const CondsSetup *setup = &conds->setup;
    int kept = 0;
    for (int i = 0; i < conds->entries; i++) {
        Entry *entry = &conds->entry[i];
        NodusTensor *beside = NULL;
        entry->box = entry->area;
        if (!area_clip(&entry->box, &conds->picture)) {
            nodus_warn(setup->call, "an area of \"%s\" lies outside the picture: it has no effect",
                       setup->list[entry->list].input);
            continue;
        }
        if (concat_channels(setup->model))
            NODUS_TRY(concat_input(setup->call, setup->model, entry->source, setup->latent, setup->mask, &beside));
        NODUS_TRY(entry_weigh(conds, entry, beside));
        conds->entry[kept++] = *entry;
    }
    conds->entries = kept;
    return NULL;
}

NodusStatus conds_entries(Conds *conds)
{
    const CondsSetup *setup = &conds->setup;
    size_t most = 0;
    for (int i = 0; i < setup->lists; i++) most += (size_t)setup->list[i].conditioning->count;
    conds->entry = nodus_alloc(setup->call, (most * (size_t)setup->lists + 1) * sizeof *conds->entry);
    if (!conds->entry) return status_memory();
    for (int list = 0; list < setup->lists; list++)
        for (int i = 0; i < setup->list[list].conditioning->count; i++)
            NODUS_TRY(entry_add(conds, list, &setup->list[list].conditioning->cond[i]));
    conds_twins(conds);
    conds_share_all(conds);
    return conds_weights(conds);
}
