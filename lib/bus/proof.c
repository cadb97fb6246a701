/* SPDX-License-Identifier: MIT */
#include "lib/bus/proof.h"

#include "lib/base/assert.h"
#include "lib/bus/frontier.h"

#include <string.h>

static bool take_all(struct cq_span *text, int n, int64_t *ret)
{
    for (int i = 0; i < n; i++)
        if (!packed_take(text, &ret[i]))
            return false;
    return true;
}

const char *proof_parse(const char *text, int n, struct proof *ret)
{
    struct cq_span rest = span_str(text);
    struct proof found = PROOF_NONE;
    int64_t found_n;

    *ret = PROOF_NONE;
    if (*text != '=')
        return text;
    rest = span_of(rest.p + 1, rest.n - 1);
    if (!packed_take(&rest, &found_n) || found_n > PROOF_OUTPUTS_MAX)
        return text;
    found.n = (int)found_n;
    if (!take_all(&rest, found.n, found.now) || !packed_take(&rest, &found.earlier) ||
        !take_all(&rest, found.n, found.then) || !rest.n || *rest.p != ';')
        return text;
    found.earlier--; /* -1 is none */
    if (found.n == n)
        *ret = found;
    return (const char *)rest.p + 1;
}

size_t proof_format(const struct proof *proof, char out[PROOF_TEXT_MAX])
{
    __attribute__((cleanup(cq_auto_buf))) struct cq_buf text = { 0 };
    bool claims = false;

    buf_init(&text, PROOF_TEXT_MAX - 1);
    CQ_ASSERT(proof->n >= 0 && proof->n <= PROOF_OUTPUTS_MAX, proof->n);
    for (int i = 0; i < proof->n; i++)
        claims |= proof->now[i] > 0;
    if (!claims)
        return 0;
    buf_add_byte(&text, '=');
    packed_put(&text, proof->n);
    for (int i = 0; i < proof->n; i++)
        packed_put(&text, proof->now[i]);
    packed_put(&text, proof->earlier + 1);
    for (int i = 0; i < proof->n; i++)
        packed_put(&text, proof->earlier >= 0 ? proof->then[i] : 0);
    buf_add_byte(&text, ';');
    if (text.failed)
        return 0;
    memcpy(out, text.p, text.n);
    return text.n;
}

static bool reached(const int64_t *wanted, const int64_t *ends, int n)
{
    for (int i = 0; i < n; i++)
        if (ends[i] < wanted[i])
            return false;
    return true;
}

bool proof_is_cut(const struct proof *proof, const int64_t *ends)
{
    return !reached(proof->now, ends, proof->n);
}

int64_t proof_begin(const struct proof *proof, const int64_t *ends, int64_t committed)
{
    if (!proof_is_cut(proof, ends))
        return committed;
    if (proof->earlier >= 0 && reached(proof->then, ends, proof->n))
        return proof->earlier < committed ? proof->earlier : committed;
    return -1;
}
