/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a file. Whatever the bytes, the answer is one of a few words, the same each time
 * and the same when more follows than is looked at.
 */
#include "lib/store/sniff.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const known[] = { "application/octet-stream",
                                         "application/pdf",
                                         "audio/aac",
                                         "audio/flac",
                                         "audio/mp4",
                                         "audio/mpeg",
                                         "audio/ogg",
                                         "audio/wav",
                                         "image/avif",
                                         "image/gif",
                                         "image/heic",
                                         "image/jpeg",
                                         "image/png",
                                         "image/webp",
                                         "video/3gpp",
                                         "video/mp4",
                                         "video/quicktime",
                                         "video/webm" };
    const char *type = sniff(span_of(data, n));
    size_t i = 0;

    while (i < sizeof known / sizeof *known && strcmp(known[i], type) != 0)
        i++;
    MUST(i < sizeof known / sizeof *known);
    if (n >= SNIFF_BYTES)
        MUST(strcmp(sniff(span_of(data, SNIFF_BYTES)), type) == 0);
    return 0;
}
