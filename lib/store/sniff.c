/* SPDX-License-Identifier: MIT */
#include "lib/store/sniff.h"

#include <magic.h>
#include <stdlib.h>

struct sniffer {
    magic_t magic;
};

struct sniffer *sniffer_new(void)
{
    struct sniffer *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    /* looking into archives and the like is work that a stranger could choose */
    s->magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
                          MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_CDF);
    if (!s->magic || magic_load(s->magic, NULL) != 0) {
        sniffer_free(s);
        return NULL;
    }
    magic_setparam(s->magic, MAGIC_PARAM_REGEX_MAX, &(size_t){ 8192 });
    return s;
}

void sniffer_free(struct sniffer *s)
{
    if (!s)
        return;
    if (s->magic)
        magic_close(s->magic);
    free(s);
}

const char *sniff(struct sniffer *s, struct cq_span head)
{
    const char *type = magic_buffer(s->magic, head.p, head.n < SNIFF_BYTES ? head.n : SNIFF_BYTES);

    return type && strchr(type, '/') ? type : "application/octet-stream";
}
