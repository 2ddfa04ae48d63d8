/* test_record.c: what was written is read back bit for bit; whatever is cut, altered or foreign is refused. */
#include "engine/base/memory.h"
#include "engine/graph/record.h"
#include "nodes/attention_maps.h"
#include "nodes/table.h"
#include "nodes/values.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

static SupportMath math;
static Registry *registry;
static const RecordKey key = {{1, 2}, {3, 4}};

static Result *empty_result(uint32_t slots)
{
    Result *result;
    if (result_new(slots, &result)) fail_msg("out of memory");
    return result;
}

static void add(Result *result, uint32_t slot, NodusStatus status, NodusValue *value)
{
    if (status || result_append(result, slot, value)) fail_msg("out of memory");
}

static NodusTensor *tensor_of(int rank, const int64_t *dim, const float *numbers)
{
    NodusTensor *tensor;
    if (nodus_tensor_from_f32(&math.math, &tensor, rank, dim, numbers)) fail_msg("tensor");
    return tensor;
}

/* A tensor of `count` numbers that zstd finds something in, or nothing. */
static NodusTensor *numbers_of(int64_t count, bool smooth)
{
    float *numbers = memory_array((size_t)count + 1, sizeof *numbers);
    uint64_t random = 5;
    for (int64_t i = 0; i < count; i++) {
        if (smooth) numbers[i] = (float)(i % 1000) / 256;
        else {
            const uint32_t bits = (uint32_t)support_random(&random);
            memcpy(&numbers[i], &bits, sizeof bits); /* NaNs among them */
        }
    }
    NodusTensor *tensor = tensor_of(1, &count, numbers);
    memory_free(numbers);
    return tensor;
}

static void add_tensor(Result *result, uint32_t slot, const char *type, NodusTensor *tensor)
{
    NodusValue *value;
    NodusStatus status = value_payload(registry_type(registry, type), nodus_tensor_ref(tensor), &value);
    add(result, slot, status, value);
}

static void add_latent(Result *result, uint32_t slot)
{
    static const float samples[8] = {0, -0.0f, 1, INFINITY, -1e-40f, 3, 4, 5};
    NodusValue *value;
    Latent *latent = memory_alloc(sizeof *latent);
    latent->samples = nodus_tensor_ref(tensor_of(4, (int64_t[]){2, 4, 1, 1}, samples));
    latent->noise_mask = nodus_tensor_ref(tensor_of(3, (int64_t[]){1, 2, 2}, samples));
    latent->batch = 2;
    latent->batch_index = memory_array(2, sizeof *latent->batch_index);
    latent->batch_index[0] = 7;
    latent->batch_index[1] = -1;
    NodusStatus status = value_payload(&type_latent, latent, &value);
    add(result, slot, status, value);
}

static void add_conditioning(Result *result, uint32_t slot)
{
    static const float text[6] = {1, 2, 3, 4, 5, 6};
    NodusValue *value;
    Conditioning *conditioning = conditioning_new(2);
    for (int i = 0; i < 2; i++) conditioning->cond[i] = cond_plain(tensor_of(3, (int64_t[]){1, 3, 2}, text), NULL);
    Cond *cond = &conditioning->cond[1];
    NodusTensor *picture = tensor_of(4, (int64_t[]){1, 1, 1, 2}, text);
    cond->pooled = nodus_tensor_ref(tensor_of(2, (int64_t[]){1, 2}, text + 1));
    cond->mask = nodus_tensor_ref(tensor_of(3, (int64_t[]){1, 2, 1}, text));
    cond->concat_latent = nodus_tensor_ref(picture);
    cond->concat_mask = nodus_tensor_ref(picture);
    cond->has = COND_AREA | COND_SIZE | COND_FILL;
    cond->area = (CondArea){0.5, 0.25, 0.125, 1, true};
    cond->size = (CondSize){1, 2, 3, 4, 5, 6, 7};
    cond->strength = 2, cond->mask_strength = 3, cond->start = 0.25, cond->end = 0.75;
    NodusStatus status = value_payload(&type_conditioning, conditioning, &value);
    add(result, slot, status, value);
}

/* One of everything. */
static Result *everything(void)
{
    Result *result = empty_result(4);
    NodusValue *value;
    NodusStatus status;
    status = value_integer(true, 1ull << 63, false, &value), add(result, 0, status, value);
    status = value_integer(false, UINT64_MAX, true, &value), add(result, 0, status, value);
    status = value_float(-0.0, &value), add(result, 0, status, value);
    status = value_boolean(true, &value), add(result, 0, status, value);
    status = value_text(VALUE_STRING, "ein W\xc3\xb6rtchen\n", &value), add(result, 0, status, value);
    status = value_text(VALUE_JSON, "[1, null]", &value), add(result, 0, status, value);
    add_latent(result, 1);
    add_conditioning(result, 2);
    add_tensor(result, 2, "IMAGE", numbers_of(100, true));
    result->ui = memory_text("{\"text\": [\"x\"]}");
    result->seconds = 1.5;
    return result;
}

static void write_record(const Result *result, uint8_t **data, size_t *size)
{
    if (!record_storable(result)) fail_msg("not storable");
    NodusStatus status = record_write(result, &key, 1 << 30, data, size);
    if (status) fail_msg("write: %s", nodus_error_message(status));
}

static Result *read_back(const Result *result)
{
    uint8_t *data;
    size_t size;
    Result *back = NULL;
    write_record(result, &data, &size);
    NodusStatus status = record_read(data, size, &key, registry, math.device, &back);
    if (status) fail_msg("read: %s", nodus_error_message(status));
    memory_free(data);
    return back;
}

static void same_tensor(const NodusTensor *a, const NodusTensor *b)
{
    const float *x, *y;
    if (!a || !b) {
        assert_true(!a && !b);
        return;
    }
    assert_int_equal(nodus_tensor_rank(a), nodus_tensor_rank(b));
    for (int i = 0; i < nodus_tensor_rank(a); i++) assert_int_equal(nodus_tensor_dim(a, i), nodus_tensor_dim(b, i));
    if (nodus_tensor_map_f32(&math.math, a, &x) || nodus_tensor_map_f32(&math.math, b, &y)) fail_msg("map");
    assert_memory_equal(x, y, (size_t)nodus_tensor_count(a) * sizeof *x);
}

static void same_numbers(const Cond *a, const Cond *b)
{
    assert_int_equal(a->has, b->has);
    assert_int_equal(a->area.part, b->area.part);
    assert_memory_equal(&a->area, &b->area, 4 * sizeof(double));
    assert_memory_equal(&a->size, &b->size, sizeof a->size);
    assert_true(a->strength == b->strength && a->mask_strength == b->mask_strength && a->start == b->start && a->end == b->end);
}

static void *payload(const Result *result, uint32_t slot, uint32_t item)
{
    return result->slot[slot].item[item]->as.payload;
}

TEST(every_kind_of_value_comes_back_as_it_was)
{
    (void)state_;
    Result *result = everything(), *back = read_back(result);
    assert_int_equal(back->slots, 4);
    assert_string_equal(back->ui, result->ui);
    assert_true(back->seconds == 1.5);
    assert_int_equal(back->slot[0].count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        const NodusValue *was = result->slot[0].item[i], *is = back->slot[0].item[i];
        assert_int_equal(was->kind, is->kind);
        assert_ptr_equal(was->type, is->type);
        assert_int_equal(was->negative, is->negative);
        assert_int_equal(was->wide, is->wide);
        if (was->kind >= VALUE_STRING) assert_string_equal(was->as.text, is->as.text);
        else if (was->kind == VALUE_BOOLEAN) assert_true(is->as.truth);
        else assert_memory_equal(&was->as, &is->as, 8);
    }
    const Latent *was = payload(result, 1, 0), *is = payload(back, 1, 0);
    same_tensor(was->samples, is->samples);
    same_tensor(was->noise_mask, is->noise_mask);
    assert_int_equal(is->batch, 2);
    assert_int_equal(is->batch_index[0], 7);
    assert_int_equal(is->batch_index[1], -1);
    const Conditioning *before = payload(result, 2, 0), *after = payload(back, 2, 0);
    assert_int_equal(after->count, 2);
    for (int i = 0; i < 2; i++) {
        same_tensor(before->cond[i].text, after->cond[i].text);
        same_tensor(before->cond[i].pooled, after->cond[i].pooled);
        same_tensor(before->cond[i].mask, after->cond[i].mask);
        same_tensor(before->cond[i].concat_latent, after->cond[i].concat_latent);
        same_tensor(before->cond[i].concat_mask, after->cond[i].concat_mask);
        same_numbers(&before->cond[i], &after->cond[i]);
    }
    same_tensor(payload(result, 2, 1), payload(back, 2, 1));
    assert_int_equal(back->slot[3].count, 0);
    result_unref(result);
    result_unref(back);
}

TEST(a_table_comes_back_with_its_empty_cells)
{
    (void)state_;
    Table *table = table_new(2, 2);
    NodusValue *value;
    Text was = {0}, is = {0};
    table->name[0] = memory_text("a"), table->name[1] = memory_text("b");
    table->cell[1] = (Cell){memory_text("1.5"), true};
    table->cell[2] = (Cell){memory_text("x\n"), false};
    NodusStatus status = value_payload(&type_table, table, &value);
    Result *result = empty_result(1);
    add(result, 0, status, value);
    Result *back = read_back(result);
    const Table *read = payload(back, 0, 0);
    assert_int_equal(read->columns, 2);
    assert_int_equal(read->rows, 2);
    assert_null(table_cell(read, 0, 0)->text);
    assert_true(table_cell(read, 0, 1)->number && !table_cell(read, 1, 0)->number);
    value_print(value, &was), value_print(back->slot[0].item[0], &is);
    assert_string_equal(text_get(&was), text_get(&is));
    text_free(&was), text_free(&is);
    result_unref(result);
    result_unref(back);
}

static NodusStatus try_read(const uint8_t *data, size_t size, const RecordKey *as)
{
    Result *result;
    NodusStatus status = record_read(data, size, as, registry, math.device, &result);
    if (!status) result_unref(result);
    return status;
}

static void expect_refusal(const uint8_t *data, size_t size, const RecordKey *as, const char *what, size_t at)
{
    NodusStatus status = try_read(data, size, as);
    if (!status) fail_msg("%s %zu of %zu is accepted", what, at, size);
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_FILE);
    nodus_error_free(status);
}

/* A layer [steps, 1, 1, 2, tokens]. */
static Result *maps_of(int64_t steps, int64_t tokens)
{
    static const float numbers[24] = {0.5f, 0.25f, 1};
    AttentionMaps *maps = memory_alloc(sizeof *maps);
    NodusValue *value;
    maps->layers = 2;
    strcpy(maps->name[0], "in1.0"), strcpy(maps->name[1], "out11.0");
    maps->map[0] = nodus_tensor_ref(tensor_of(5, (int64_t[]){2, 1, 1, 2, 3}, numbers));
    maps->map[1] = nodus_tensor_ref(tensor_of(5, (int64_t[]){steps, 1, 1, 2, tokens}, numbers));
    NodusStatus status = value_payload(&type_attention_maps, maps, &value);
    Result *result = empty_result(1);
    add(result, 0, status, value);
    return result;
}

TEST(attention_maps_come_back_and_all_layers_are_alike)
{
    (void)state_;
    Result *result = maps_of(2, 3), *back = read_back(result);
    const AttentionMaps *was = payload(result, 0, 0), *is = payload(back, 0, 0);
    assert_int_equal(is->layers, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(is->name[i], was->name[i]);
        same_tensor(is->map[i], was->map[i]);
    }
    result_unref(result);
    result_unref(back);
    for (int i = 0; i < 3; i++) {
        uint8_t *data;
        size_t size;
        result = maps_of(i == 1 ? 1 : 2, i == 2 ? 0 : 3);
        if (!i) strcpy(((AttentionMaps *)payload(result, 0, 0))->name[1], "");
        write_record(result, &data, &size);
        expect_refusal(data, size, &key, "maps", (size_t)i);
        memory_free(data);
        result_unref(result);
    }
}

/* Block borders, sizes that leave a rest, and numbers that gain nothing. */
TEST(tensors_of_any_size_come_back_bit_for_bit)
{
    (void)state_;
    static const int64_t counts[] = {0, 1, 2, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int smooth = 0; smooth < 2; smooth++) {
            Result *result = empty_result(1);
            add_tensor(result, 0, "MASK", numbers_of(counts[i], smooth));
            Result *back = read_back(result);
            same_tensor(payload(result, 0, 0), payload(back, 0, 0));
            result_unref(result);
            result_unref(back);
        }
}

TEST(a_view_is_stored_as_its_own_numbers)
{
    (void)state_;
    const float numbers[6] = {1, 2, 3, 4, 5, 6};
    NodusTensor *turned, *cut;
    NodusTensor *tensor = tensor_of(2, (int64_t[]){2, 3}, numbers);
    assert_ok(nodus_tensor_permute(&math.math, &turned, tensor, (int[]){1, 0}));
    assert_ok(nodus_tensor_slice(&math.math, &cut, turned, 0, 1, 2));
    Result *result = empty_result(1);
    add_tensor(result, 0, "MASK", cut);
    Result *back = read_back(result);
    same_tensor(cut, payload(back, 0, 0));
    result_unref(result);
    result_unref(back);
}

TEST(smooth_numbers_are_packed_and_noise_is_not)
{
    (void)state_;
    for (int smooth = 0; smooth < 2; smooth++) {
        uint8_t *data;
        size_t size;
        Result *result = empty_result(1);
        add_tensor(result, 0, "MASK", numbers_of(100000, smooth));
        write_record(result, &data, &size);
        if (smooth) assert_true(size < 360000);
        else assert_in_range(size, 400000, 400300);
        memory_free(data);
        result_unref(result);
    }
}

TEST(every_cut_and_every_flipped_bit_is_refused)
{
    (void)state_;
    uint8_t *data;
    size_t size;
    Result *result = everything();
    write_record(result, &data, &size);
    for (size_t cut = 0; cut < size; cut++) expect_refusal(data, cut, &key, "cut at", cut);
    for (size_t bit = 0; bit < size * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_refusal(data, size, &key, "bit", bit);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_null(try_read(data, size, &key));
    memory_free(data);
    result_unref(result);
}

/* The hash is right here: sizes, kinds and letters are checked for themselves. */
TEST(a_sealed_record_with_any_byte_changed_reads_safely)
{
    (void)state_;
    uint8_t *data;
    size_t size;
    Result *result = everything();
    write_record(result, &data, &size);
    for (size_t at = RECORD_HEAD; at < size; at++) {
        const uint8_t was = data[at];
        for (int change = 0; change < 3; change++) {
            data[at] = (uint8_t)(change == 0 ? 0xff : change == 1 ? 0 : was + 1);
            record_seal(data, size);
            nodus_error_free(try_read(data, size, &key));
        }
        data[at] = was;
    }
    for (size_t cut = RECORD_HEAD; cut < size; cut++) {
        uint8_t *part = memory_alloc(cut);
        memcpy(part, data, cut);
        record_seal(part, cut);
        expect_refusal(part, cut, &key, "sealed at", cut);
        memory_free(part);
    }
    memory_free(data);
    result_unref(result);
}

TEST(a_record_of_another_engine_node_or_type_is_refused)
{
    (void)state_;
    static NodusType old = {.struct_size = offsetof(NodusType, version)}, changed;
    uint8_t *data;
    size_t size;
    Result *result = empty_result(1);
    add_tensor(result, 0, "IMAGE", numbers_of(3, true));
    write_record(result, &data, &size);
    expect_refusal(data, size, &(RecordKey){{1, 3}, {3, 4}}, "engine", 0);
    expect_refusal(data, size, &(RecordKey){{1, 2}, {3, 5}}, "signature", 0);
    memory_free(data);
    changed = *registry_type(registry, "IMAGE"); /* the same type, of the next version */
    changed.version++;
    result->slot[0].item[0]->type = &changed;
    write_record(result, &data, &size);
    expect_refusal(data, size, &key, "version", 0);
    memory_free(data);
    old.name = "NOBODY'S"; /* a table from before the version, with a type that this engine does not know */
    old.free = changed.free;
    old.store = changed.store;
    old.load = changed.load;
    result->slot[0].item[0]->type = &old;
    write_record(result, &data, &size);
    expect_refusal(data, size, &key, "type", 0);
    memory_free(data);
    result_unref(result);
}

TEST(models_and_blockers_are_not_stored)
{
    (void)state_;
    NodusValue *value;
    Result *result = empty_result(2);
    NodusStatus status = value_float(1, &value);
    add(result, 0, status, value);
    assert_true(record_storable(result));
    status = value_text(VALUE_BLOCKER, NULL, &value);
    add(result, 1, status, value);
    assert_false(record_storable(result));
    result_unref(result);
    result = empty_result(1);
    Vae *vae = memory_alloc(sizeof *vae);
    status = value_payload(&type_vae, vae, &value);
    add(result, 0, status, value);
    assert_false(record_storable(result));
    result_unref(result);
}

TEST(a_result_beyond_the_limit_is_refused)
{
    (void)state_;
    uint8_t *data;
    size_t size;
    Result *result = everything();
    write_record(result, &data, &size);
    memory_free(data);
    for (size_t limit = 0; limit < size; limit += 7) {
        NodusStatus status = record_write(result, &key, limit, &data, &(size_t){0});
        assert_non_null(status);
        assert_int_equal(nodus_error_kind(status), NODUS_ERROR_INPUT);
        nodus_error_free(status);
    }
    result_unref(result);
}

static int set_up(void **state)
{
    (void)state;
    return support_math_open("ref", NULL, 1, &math) || registry_new(&registry) || registry_add_type(registry, &type_latent) ||
           registry_add_type(registry, &type_conditioning) || registry_add_type(registry, &type_vae) ||
           registry_add_type(registry, &type_table) ||
           registry_add_type(registry, &type_attention_maps);
}

static int tear_down(void **state)
{
    (void)state;
    registry_free(registry);
    support_math_close(&math);
    return 0;
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(every_kind_of_value_comes_back_as_it_was), CASE(a_table_comes_back_with_its_empty_cells),
                                       CASE(attention_maps_come_back_and_all_layers_are_alike),
                                       CASE(tensors_of_any_size_come_back_bit_for_bit),
                                       CASE(a_view_is_stored_as_its_own_numbers),
                                       CASE(smooth_numbers_are_packed_and_noise_is_not),
                                       CASE(every_cut_and_every_flipped_bit_is_refused),
                                       CASE(a_sealed_record_with_any_byte_changed_reads_safely),
                                       CASE(a_record_of_another_engine_node_or_type_is_refused),
                                       CASE(models_and_blockers_are_not_stored),
                                       CASE(a_result_beyond_the_limit_is_refused)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
