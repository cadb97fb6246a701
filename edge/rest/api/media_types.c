/* SPDX-License-Identifier: MIT */
#include "edge/rest/api/media_types.h"

#include "lib/base/span.h"
#include "lib/base/status.h"

const char *media_type_of(enum message_type type, const char *sniffed)
{
    static const struct {
        enum message_type type;
        const char *sniffed, *as;
    } rows[] = {
        { MESSAGE_TYPE_IMAGE, "image/jpeg", NULL },
        { MESSAGE_TYPE_IMAGE, "image/png", NULL },
        { MESSAGE_TYPE_IMAGE, "image/webp", NULL },
        { MESSAGE_TYPE_IMAGE, "image/gif", NULL },
        { MESSAGE_TYPE_IMAGE, "image/heic", NULL },
        { MESSAGE_TYPE_IMAGE, "image/avif", NULL },
        { MESSAGE_TYPE_VIDEO, "video/mp4", NULL },
        { MESSAGE_TYPE_VIDEO, "video/webm", NULL },
        { MESSAGE_TYPE_VIDEO, "video/quicktime", NULL },
        { MESSAGE_TYPE_VIDEO, "video/3gpp", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/ogg", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/mpeg", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/mp4", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/wav", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/aac", NULL },
        { MESSAGE_TYPE_AUDIO, "audio/flac", NULL },
        /* a container: what it holds is named only deep inside of it */
        { MESSAGE_TYPE_AUDIO, "video/webm", "audio/webm" },
        { MESSAGE_TYPE_AUDIO, "video/mp4", "audio/mp4" },
        { MESSAGE_TYPE_AUDIO, "video/3gpp", "audio/3gpp" },
        { MESSAGE_TYPE_DOCUMENT, "application/pdf", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].type == type && strcmp(rows[i].sniffed, sniffed) == 0)
            return rows[i].as ? rows[i].as : rows[i].sniffed;
    return type == MESSAGE_TYPE_DOCUMENT ? "application/octet-stream" : NULL;
}
