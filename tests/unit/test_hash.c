/* Framed XXH3-128. */
#include "tests/test.h"
#include "engine/base/hash.h"

static Hash128 hash_two(const char *a, const char *b)
{
    NodusHash *hash = hash_new();
    nodus_hash_text(hash, a);
    nodus_hash_text(hash, b);
    const Hash128 value = hash_value(hash);
    hash_free(hash);
    return value;
}

TEST(borders_between_values_count)
{
    assert_true(hash_equal(hash_two("ab", "c"), hash_two("ab", "c")));
    assert_false(hash_equal(hash_two("ab", "c"), hash_two("a", "bc")));
    assert_false(hash_equal(hash_two("", "abc"), hash_two("abc", "")));
    assert_false(hash_equal(hash_two(NULL, "a"), hash_two("", "a")));
}

TEST(doubles_hash_by_their_bits)
{
    NodusHash *hash = hash_new();
    nodus_hash_double(hash, 0.0);
    const Hash128 plus = hash_value(hash);
    hash_reset(hash);
    nodus_hash_double(hash, -0.0);
    assert_false(hash_equal(plus, hash_value(hash)));
    hash_reset(hash);
    nodus_hash_double(hash, 0.0);
    assert_true(hash_equal(plus, hash_value(hash)));
    hash_free(hash);
    hash_free(NULL);
}

TEST(known_value_of_xxh3)
{
    char hex[33];
    hash_hex(hash_of("", 0), hex); /* the published value of XXH3-128 for no bytes and seed 0 */
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
}

TEST(streaming_in_pieces_is_not_one_piece)
{
    NodusHash *hash = hash_new();
    for (uint64_t i = 0; i < 1000; i++) nodus_hash_u64(hash, i);
    const Hash128 thousand = hash_value(hash);
    nodus_hash_bytes(hash, NULL, 0);
    assert_false(hash_equal(thousand, hash_value(hash)));
    hash_free(hash);
}

TEST_MAIN(CASE(borders_between_values_count), CASE(doubles_hash_by_their_bits), CASE(known_value_of_xxh3),
          CASE(streaming_in_pieces_is_not_one_piece))
