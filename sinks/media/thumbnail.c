/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/thumbnail.c - the program chasqui-thumbnail, which alone looks into files of
 * strangers: one file on descriptor 0, its thumbnail (image/jpeg) to descriptor 3, one line `ok
 * WIDTH HEIGHT DURATION_MS` or `fault WORDS` to descriptor 1. It is started for each file with an
 * empty environment and small limits, and reads no byte of the file before its sandbox is closed.
 */
#include "sinks/media/cage.h"
#include "sinks/media/length.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vips/vips.h>

enum { SIDE = 320, QUALITY = 78, IN = 0, OUT = 3 };

static _Noreturn void fault(const char *why)
{
    char line[160];
    int n = snprintf(line, sizeof line, "fault %s", why);

    for (int i = 0; i < n && i < (int)sizeof line; i++)
        if (line[i] < ' ' || line[i] > '~')
            line[i] = ' ';
    dprintf(1, "%s\n", line);
    _exit(0);
}

/* ---- pictures ------------------------------------------------------------------------- */

/* libvips would take any loader that knows the bytes: it has to be the one of the type. */
static bool loader_fits(VipsSource *source, const char *type)
{
    static const char *const rows[][2] = {
        { "image/jpeg", "VipsForeignLoadJpeg" }, { "image/png", "VipsForeignLoadPng" },
        { "image/webp", "VipsForeignLoadWebp" }, { "image/gif", "VipsForeignLoadNsgif" },
        { "image/heic", "VipsForeignLoadHeif" }, { "image/avif", "VipsForeignLoadHeif" }
    };
    const char *loader = vips_foreign_find_load_source(source);

    for (size_t i = 0; loader && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i][0], type) == 0)
            return strncmp(loader, rows[i][1], strlen(rows[i][1])) == 0;
    return false;
}

static void measure(const char *type, double pixels_max, struct length *ret)
{
    VipsSource *source = vips_source_new_from_descriptor(IN);
    VipsImage *image = NULL;
    int turned;

    if (!source || !loader_fits(source, type))
        fault("not a picture of its type");
    image = vips_image_new_from_source(source, "", "access", VIPS_ACCESS_SEQUENTIAL, NULL);
    if (!image)
        fault("cannot be read");
    turned = vips_image_get_orientation(image) >= 5;
    ret->width = turned ? image->Ysize : image->Xsize;
    ret->height = turned ? image->Xsize : image->Ysize;
    if ((double)ret->width * ret->height > pixels_max)
        fault("too many pixels");
    g_object_unref(image);
    g_object_unref(source);
}

static void shrink(void)
{
    VipsSource *source;
    VipsImage *small = NULL, *flat = NULL;
    void *bytes = NULL;
    size_t n = 0, at = 0;

    if (lseek(IN, 0, SEEK_SET) != 0 || !(source = vips_source_new_from_descriptor(IN)))
        fault("cannot be read");
    if (vips_thumbnail_source(source, &small, SIDE, "height", SIDE, "size", VIPS_SIZE_DOWN, NULL))
        fault("cannot be made smaller");
    if (vips_image_hasalpha(small)) {
        VipsArrayDouble *white = vips_array_double_newv(1, 255.0);

        if (vips_flatten(small, &flat, "background", white, NULL))
            fault("cannot be flattened");
    } else {
        flat = small;
    }
    /* nothing but pixels: no place, no camera, no profile */
    if (vips_jpegsave_buffer(flat, &bytes, &n, "Q", QUALITY, "strip", TRUE, NULL))
        fault("cannot be written");
    while (at < n) {
        ssize_t put = write(OUT, (char *)bytes + at, n - at);

        if (put <= 0)
            fault("no room");
        at += (size_t)put;
    }
}

/* ---- all ------------------------------------------------------------------------------ */

static bool read_at(void *arg, int64_t at, void *to, size_t n)
{
    (void)arg;
    return pread(IN, to, n, at) == (ssize_t)n;
}

int main(int argc, char **argv)
{
    struct length found = { 0 };
    unsigned layers = cage_open();
    struct stat info;

    if (argc != 3 || fstat(IN, &info) != 0)
        return 2;
    setenv("VIPS_NOVECTOR", "1", 1); /* it would make code at run time */
    if (VIPS_INIT(argv[0]))
        fault("libvips does not start");
    vips_block_untrusted_set(TRUE);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    if (!cage_close(&layers))
        fault("no cage");
    if (strcmp(argv[1], "cage") == 0) /* what it is made of, no file */
        found.width = (int32_t)layers;
    else if (strncmp(argv[1], "image/", 6) == 0) {
        measure(argv[1], strtod(argv[2], NULL) * 1e6, &found);
        shrink();
    } else {
        length_find(&(struct length_source){ read_at, NULL, info.st_size }, argv[1], &found);
    }
    dprintf(1, "ok %d %d %lld\n", found.width, found.height, (long long)found.duration_ms);
    _exit(0); /* what libvips would tidy up goes with the process */
}
