/* test_layout.c: what plug-ins were compiled against stays where it is.
 *
 * One idea: tests/golden/layout.txt records the size of every public struct and the place of every field, and this program writes
 * the same list from the headers. A field that is appended gets a line behind the others of its struct (and "size" its new number);
 * a line that changes breaks every plug-in there is: then NODUS_NODE_ABI rises. A failure shows the line that is missing. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "tests/test.h"
#include <nodus/diffusion.h>
#include <nodus/node.h>
#include <nodus/patch.h>
#include <stdio.h>

typedef struct Field {
    const char *name;
    size_t offset, size;
} Field;
typedef struct Layout {
    const char *name;
    size_t size;
    bool fixed; /* arrays of it cross the border, or it has no struct_size: it may never grow */
    const Field *field;
} Layout;

#define F(S_, f_) {#f_, offsetof(S_, f_), sizeof(((S_ *)NULL)->f_)}
// clang-format off
static const Field plugin_info[] = {
    F(NodusPluginInfo, struct_size), F(NodusPluginInfo, abi), F(NodusPluginInfo, name), F(NodusPluginInfo, version),
    F(NodusPluginInfo, about), {0}};
static const Field type[] = {
    F(NodusType, struct_size), F(NodusType, name), F(NodusType, free), F(NodusType, account), F(NodusType, print),
    F(NodusType, store), F(NodusType, load), F(NodusType, array), F(NodusType, version), {0}};
static const Field list[] = {
    F(NodusList, item), F(NodusList, count), {0}};
static const Field raw_link[] = {
    F(NodusRawLink, node), F(NodusRawLink, slot), F(NodusRawLink, child), F(NodusRawLink, list), F(NodusRawLink, name),
    F(NodusRawLink, json), {0}};
static const Field input[] = {
    F(NodusInput, name), F(NodusInput, type), F(NodusInput, tooltip), F(NodusInput, kind), F(NodusInput, flags),
    F(NodusInput, offset), F(NodusInput, as), {0}};
static const Field output[] = {
    F(NodusOutput, name), F(NodusOutput, type), F(NodusOutput, tooltip), F(NodusOutput, flags), {0}};
static const Field facts[] = {
    F(NodusFacts, struct_size), F(NodusFacts, rank), F(NodusFacts, dim), F(NodusFacts, family), F(NodusFacts, channels),
    F(NodusFacts, scale), F(NodusFacts, file), F(NodusFacts, reserved), {0}};
static const Field cost[] = {
    F(NodusCost, struct_size), F(NodusCost, weights), F(NodusCost, work), F(NodusCost, result), F(NodusCost, flop),
    F(NodusCost, network), {0}};
static const Field node[] = {
    F(NodusNode, struct_size), F(NodusNode, version), F(NodusNode, flags), F(NodusNode, name), F(NodusNode, title),
    F(NodusNode, category), F(NodusNode, help), F(NodusNode, example), F(NodusNode, inputs), F(NodusNode, input_count),
    F(NodusNode, outputs), F(NodusNode, output_count), F(NodusNode, args_size), F(NodusNode, run), F(NodusNode, check),
    F(NodusNode, fingerprint), F(NodusNode, wants), F(NodusNode, infer), F(NodusNode, cost),
    F(NodusNode, data), {0}};
static const Field sampling[] = {
    F(NodusSampling, struct_size), F(NodusSampling, math), F(NodusSampling, context), F(NodusSampling, seed),
    F(NodusSampling, sigmas), F(NodusSampling, steps), F(NodusSampling, flow), F(NodusSampling, denoise), F(NodusSampling, noise),
    F(NodusSampling, add_noise), F(NodusSampling, step_done), F(NodusSampling, percent_sigma), F(NodusSampling, draw), {0}};
static const Field sampler[] = {
    F(NodusSamplerDef, struct_size), F(NodusSamplerDef, flags), F(NodusSamplerDef, name), F(NodusSamplerDef, run),
    F(NodusSamplerDef, data), {0}};
static const Field guiding[] = {
    F(NodusGuiding, struct_size), F(NodusGuiding, math), F(NodusGuiding, x), F(NodusGuiding, sigma), F(NodusGuiding, prediction),
    F(NodusGuiding, predictions), {0}};
static const Field guider[] = {
    F(NodusGuiderDef, struct_size), F(NodusGuiderDef, flags), F(NodusGuiderDef, name), F(NodusGuiderDef, guide),
    F(NodusGuiderDef, free), {0}};
static const Field levels[] = {
    F(NodusNoiseLevels, struct_size), F(NodusNoiseLevels, table), F(NodusNoiseLevels, count), F(NodusNoiseLevels, sigma_min),
    F(NodusNoiseLevels, sigma_max), F(NodusNoiseLevels, context), F(NodusNoiseLevels, timestep), F(NodusNoiseLevels, sigma), {0}};
static const Field scheduler[] = {
    F(NodusSchedulerDef, struct_size), F(NodusSchedulerDef, flags), F(NodusSchedulerDef, name), F(NodusSchedulerDef, run), {0}};
static const Field op_ref[] = {
    F(NodusOpRef, index), F(NodusOpRef, stamp), {0}};
static const Field op_def[] = {
    F(NodusOpDef, struct_size), F(NodusOpDef, version), F(NodusOpDef, name), F(NodusOpDef, about), F(NodusOpDef, inputs),
    F(NodusOpDef, outputs), F(NodusOpDef, parameters), F(NodusOpDef, flags), F(NodusOpDef, build), {0}};
static const Field patch_class[] = {
    F(NodusPatchClass, struct_size), F(NodusPatchClass, version), F(NodusPatchClass, name), F(NodusPatchClass, structure),
    F(NodusPatchClass, identity), F(NodusPatchClass, active), F(NodusPatchClass, build), F(NodusPatchClass, begin),
    F(NodusPatchClass, end), F(NodusPatchClass, bind), F(NodusPatchClass, guide), F(NodusPatchClass, mask),
    F(NodusPatchClass, conditioning), F(NodusPatchClass, flags), F(NodusPatchClass, answer), {0}};
// clang-format on
#define S(type_, fixed_, fields_) {#type_, sizeof(type_), fixed_, fields_}
static const Layout layouts[] = {S(NodusPluginInfo, false, plugin_info),
                                 S(NodusType, false, type),
                                 S(NodusList, true, list),
                                 S(NodusRawLink, true, raw_link),
                                 S(NodusInput, true, input),
                                 S(NodusOutput, true, output),
                                 S(NodusFacts, true, facts),
                                 S(NodusCost, false, cost),
                                 S(NodusNode, false, node),
                                 S(NodusSampling, false, sampling),
                                 S(NodusSamplerDef, false, sampler),
                                 S(NodusGuiding, false, guiding),
                                 S(NodusGuiderDef, false, guider),
                                 S(NodusNoiseLevels, false, levels),
                                 S(NodusSchedulerDef, false, scheduler),
                                 S(NodusOpRef, true, op_ref),
                                 S(NodusOpDef, false, op_def),
                                 S(NodusPatchClass, false, patch_class)};
#define LAYOUTS (sizeof layouts / sizeof *layouts)

/* Numbers that stand in the tables. */
typedef struct Constant {
    const char *name;
    size_t value;
} Constant;
// clang-format off
#define C(name_) {#name_ " ", name_}
static const Constant constants[] = {
    C(NODUS_NODE_ABI), C(NODUS_MAX_RANK), C(NODUS_INT), C(NODUS_SEED), C(NODUS_FLOAT), C(NODUS_BOOLEAN), C(NODUS_STRING),
    C(NODUS_COMBO), C(NODUS_LINK), C(NODUS_ANY), C(NODUS_HIDDEN), C(NODUS_OPTIONAL), C(NODUS_LAZY), C(NODUS_FORCE_INPUT),
    C(NODUS_WHOLE_LIST), C(NODUS_RAW_LINK), C(NODUS_CONTROL), C(NODUS_UPLOAD), C(NODUS_OUT_LIST), C(NODUS_OUTPUT),
    C(NODUS_TAKES_LISTS), C(NODUS_VARIADIC), C(NODUS_NOT_IDEMPOTENT), C(NODUS_IO), C(NODUS_EXPERIMENTAL), C(NODUS_DEPRECATED),
    C(NODUS_SAMPLER_DROPS_SIGMA), C(NODUS_SAMPLER_NEEDS_UNCOND), C(NODUS_SAMPLER_TWO_CALLS), C(NODUS_SAMPLER_BROWNIAN), C(NODUS_F32),
    C(NODUS_F16), C(NODUS_BF16), C(NODUS_F64), C(NODUS_I8), C(NODUS_U8), C(NODUS_I16), C(NODUS_I32), C(NODUS_I64), C(NODUS_F8_E4M3),
    C(NODUS_F8_E5M2), C(NODUS_ERROR_MEMORY), C(NODUS_ERROR_INPUT), C(NODUS_ERROR_FILE), C(NODUS_ERROR_CANCELLED),
    C(NODUS_ERROR_MISSING), C(NODUS_ERROR_DEVICE), C(NODUS_ERROR_INTERNAL), C(NODUS_NEAREST_EXACT), C(NODUS_NEAREST),
    C(NODUS_BILINEAR), C(NODUS_BICUBIC), C(NODUS_AREA),
    C(NODUS_OP_MOST), C(NODUS_OP_PARAMETERS), C(NODUS_PATCH_NEEDS_UNCOND), C(NODUS_AT_INPUT_BLOCK),
    C(NODUS_AT_INPUT_AFTER_SKIP), C(NODUS_AT_MIDDLE_BLOCK), C(NODUS_AT_OUTPUT_BLOCK), C(NODUS_AT_ATTENTION),
    C(NODUS_AT_ATTENTION_OUTPUT), C(NODUS_AT_MIDDLE_PATCH), C(NODUS_AT_EMB), C(NODUS_AT_ATTENTION_RESULT),
    C(NODUS_STAGE_INPUT), C(NODUS_STAGE_MIDDLE), C(NODUS_STAGE_OUTPUT), C(NODUS_SITE_KIND), C(NODUS_SITE_STAGE),
    C(NODUS_SITE_BLOCK), C(NODUS_SITE_INDEX), C(NODUS_SITE_HEADS), C(NODUS_SITE_HEIGHT), C(NODUS_SITE_WIDTH),
    C(NODUS_SITE_LATENT_HEIGHT), C(NODUS_SITE_LATENT_WIDTH), C(NODUS_SITE_H), C(NODUS_SITE_SKIP), C(NODUS_SITE_EMB),
    C(NODUS_SITE_Q), C(NODUS_SITE_K), C(NODUS_SITE_V), C(NODUS_SITE_CONTEXT), C(NODUS_SITE_OUT), C(NODUS_GUIDANCE_BEFORE),
    C(NODUS_GUIDANCE_RULE), C(NODUS_GUIDANCE_AFTER), C(NODUS_GUIDANCE_X), C(NODUS_GUIDANCE_COND), C(NODUS_GUIDANCE_UNCOND),
    C(NODUS_GUIDANCE_DENOISED),
};
// clang-format on
#define CONSTANTS (sizeof constants / sizeof *constants)

static char *read_record(void)
{
    uint8_t *data = NULL;
    size_t size;
    assert_null(file_read("tests/golden/layout.txt", 1 << 20, &data, &size));
    return (char *)data;
}

/* The line that begins with these words; NULL when there is none. */
static const char *find_line(const char *record, const char *words)
{
    const size_t length = strlen(words);
    for (const char *at = record; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (!strncmp(at, words, length)) return at + length;
    return NULL;
}

static void expect(const char *record, const char *words, size_t value)
{
    const char *found = find_line(record, words);
    unsigned long recorded = 0;
    if (!found) fail_msg("tests/golden/layout.txt lacks the line \"%s%zu\"", words, value);
    else if (sscanf(found, "%lu", &recorded) != 1 || recorded != value)
        fail_msg("%sis %zu now and was %lu in the record: plug-ins that exist would break", words, value, recorded);
}

TEST(no_recorded_field_has_moved)
{
    char *record = read_record(), words[128];
    for (size_t s = 0; s < LAYOUTS; s++)
        for (const Field *field = layouts[s].field; field->name; field++) {
            snprintf(words, sizeof words, "%s.%s ", layouts[s].name, field->name);
            expect(record, words, field->offset);
        }
    memory_free(record);
}

/* A struct that may grow has its first size in the record too: that many bytes every plug-in has. */
TEST(sizes_and_numbers_are_those_of_the_record)
{
    char *record = read_record(), words[128];
    for (size_t i = 0; i < CONSTANTS; i++) expect(record, constants[i].name, constants[i].value);
    for (size_t s = 0; s < LAYOUTS; s++) {
        snprintf(words, sizeof words, "%s %s ", layouts[s].fixed ? "fixed" : "size", layouts[s].name);
        expect(record, words, layouts[s].size);
    }
    memory_free(record);
}

TEST(every_field_is_in_the_list)
{
    for (size_t s = 0; s < LAYOUTS; s++) {
        size_t end = 0;
        for (const Field *field = layouts[s].field; field->name; field++) {
            if (field->offset < end || field->offset - end >= 8)
                fail_msg("%s: before %s there is a field that the list lacks", layouts[s].name, field->name);
            end = field->offset + field->size;
        }
        if (layouts[s].size - end >= 8) fail_msg("%s: behind %zu there is a field that the list lacks", layouts[s].name, end);
    }
}

/* A struct that the record knows and the list lost would no longer be looked after. */
TEST(the_record_has_nothing_else)
{
    char *record = read_record();
    size_t lines = 0, wanted = CONSTANTS;
    for (const char *at = record; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) lines += *at != '#';
    for (size_t s = 0; s < LAYOUTS; s++) {
        wanted++;
        for (const Field *field = layouts[s].field; field->name; field++) wanted++;
    }
    assert_int_equal(lines, wanted);
    memory_free(record);
}

TEST_MAIN(CASE(no_recorded_field_has_moved), CASE(sizes_and_numbers_are_those_of_the_record), CASE(every_field_is_in_the_list),
          CASE(the_record_has_nothing_else))
