/* SPDX-License-Identifier: MIT */
#include "lib/bus/proof.h"
#include "lib/bus/suspect.h"
#include "tests/unit/test.h"

#include <string.h>

static struct proof some(void)
{
    return (struct proof){ .n = 3, .now = { 10, 0, 7 }, .earlier = 40, .then = { 6, 0, 7 } };
}

static const char *formatted(const struct proof *proof)
{
    static char text[PROOF_TEXT_MAX];

    text[proof_format(proof, text)] = '\0';
    return text;
}

TEST(what_is_written_is_read_and_the_rest_is_left)
{
    struct proof proof = some(), found;
    char text[PROOF_TEXT_MAX + 8];

    snprintf(text, sizeof text, "%sa17", formatted(&proof));
    CHECK_STR(proof_parse(text, 3, &found), "a17");
    CHECK_EQ(memcmp(&proof, &found, sizeof proof), 0);
    CHECK_STR(proof_parse(text, 4, &found), "a17"); /* of another table of outputs: no claims */
    CHECK_EQ(found.n, 0);
}

TEST(the_largest_fits)
{
    struct proof proof = { .n = PROOF_OUTPUTS_MAX, .earlier = (int64_t)1 << 40 };
    struct proof found;

    for (int i = 0; i < PROOF_OUTPUTS_MAX; i++)
        proof.now[i] = proof.then[i] = (int64_t)1 << 40;
    CHECK(*formatted(&proof));
    CHECK_STR(proof_parse(formatted(&proof), PROOF_OUTPUTS_MAX, &found), "");
    CHECK_EQ(memcmp(&proof, &found, sizeof proof), 0);
}

TEST(no_claim_no_text)
{
    struct proof proof = PROOF_NONE;

    proof.n = 3;
    CHECK_STR(formatted(&proof), "");
}

TEST(other_texts_are_left_alone)
{
    static const char *const rows[] = {
        "", "a17", "p1.AA", "=", "=D", "=DAAA", "=DKAHpGAH", "=!;"
    };
    struct proof found;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_STR(proof_parse(rows[i], 3, &found), rows[i]);
        CHECK_EQ_ROW(rows[i], found.n, 0);
        CHECK_EQ_ROW(rows[i], found.earlier, -1);
    }
}

/* Outputs keep a prefix of what they had; 50 is committed. */
TEST(the_tails_of_outputs_say_where_to_begin)
{
    static const struct {
        const char *what;
        int64_t ends[3], begin;
    } rows[] = {
        { "all of it is there", { 10, 0, 7 }, 50 },
        { "and more", { 12, 3, 9 }, 50 },
        { "one lost what is younger", { 9, 0, 7 }, 40 },
        { "down to the earlier place", { 6, 0, 7 }, 40 },
        { "further than that", { 5, 0, 7 }, -1 },
        { "another one", { 10, 0, 6 }, -1 },
    };
    const struct proof proof = some();

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ_ROW(rows[i].what, proof_begin(&proof, rows[i].ends, 50), rows[i].begin);
        CHECK_EQ_ROW(rows[i].what, proof_is_cut(&proof, rows[i].ends), rows[i].begin != 50);
    }
}

TEST(nobody_goes_forward)
{
    const struct proof proof = some();

    /* the commit went further back than the proof */
    CHECK_EQ(proof_begin(&proof, (const int64_t[]){ 6, 0, 7 }, 30), 30);
}

TEST(without_an_earlier_place_it_is_not_known)
{
    struct proof proof = some();

    proof.earlier = -1;
    CHECK_EQ(proof_begin(&proof, (const int64_t[]){ 9, 0, 7 }, 50), -1);
}
