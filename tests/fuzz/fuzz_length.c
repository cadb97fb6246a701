/* SPDX-License-Identifier: MIT */
/*
 * The first byte chooses the type, the rest is a file. Whatever the bytes, the walk ends, reads
 * only what is there, and says nothing that a person would not believe.
 */
#include "sinks/media/length.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

struct file {
    const uint8_t *p;
    int64_t n;
};

static bool read_file(void *arg, int64_t at, void *to, size_t n)
{
    const struct file *file = arg;

    MUST(at >= 0 && at <= file->n && (int64_t)n <= file->n - at);
    memcpy(to, file->p + at, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const types[] = { "audio/ogg",  "audio/mpeg", "audio/mp4",
                                         "video/mp4",  "audio/wav",  "audio/webm",
                                         "video/webm", "audio/aac",  "audio/flac" };
    struct length got;
    struct file file;

    if (!n)
        return 0;
    file = (struct file){ data + 1, (int64_t)n - 1 };
    length_find(&(struct length_source){ read_file, &file, file.n },
                types[data[0] % (sizeof types / sizeof *types)], &got);
    MUST(got.duration_ms >= 0 && got.duration_ms < (int64_t)1000 * 3600 * 1000);
    MUST(got.width >= 0 && got.width <= 65535 && got.height >= 0 && got.height <= 65535);
    MUST((got.width == 0) == (got.height == 0));
    return 0;
}
