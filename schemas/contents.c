/* SPDX-License-Identifier: MIT */
#include "schemas/contents.h"

#include "lib/json/write.h"

enum { PARTS_OF_ONE = 10000000 };

static const char location_rule[] =
    "location: latitude -90 to 90 and longitude -180 to 180; accuracy, name and address if they are known";
static const char contact_rule[] = "contact: a name, 1 to 5 numbers, and a userId if it is known";

static const struct json_member location_rows[] = {
    JSON_MEMBER("latitude", JSON_PARTS, struct location, latitude,
                .least = -90 * (int64_t)PARTS_OF_ONE, .most = LIMIT_LOCATION_LATITUDE_MAX),
    JSON_MEMBER("longitude", JSON_PARTS, struct location, longitude,
                .least = -180 * (int64_t)PARTS_OF_ONE, .most = LIMIT_LOCATION_LONGITUDE_MAX),
    JSON_OPTIONAL("accuracy", JSON_INT, struct location, accuracy, has_accuracy,
                  .most = LIMIT_LOCATION_ACCURACY_MAX),
    JSON_OPTIONAL("name", JSON_TEXT, struct location, name, has_name),
    JSON_OPTIONAL("address", JSON_TEXT, struct location, address, has_address),
};
static const struct json_members location_members = JSON_MEMBERS(location_rows);

static const struct json_member card_rows[] = {
    JSON_MEMBER("name", JSON_TEXT, struct card, name),
    JSON_MEMBER("numbers", JSON_TEXTS, struct card, numbers,
                .n_off = offsetof(struct card, numbers_n), .least = 1, .most = LIMIT_CARD_NUMBERS),
    JSON_OPTIONAL("userId", JSON_ID, struct card, user_id, has_user_id),
};
static const struct json_members card_members = JSON_MEMBERS(card_rows);

static const char voice_rule[] =
    "voice: durationMs 1 to 14400000, and a waveform of 64 bytes in base64";

static const struct json_member voice_rows[] = {
    JSON_MEMBER("durationMs", JSON_INT, struct voice, duration_ms, .least = 1,
                .most = LIMIT_VOICE_DURATION_MS_MAX),
    JSON_MEMBER("waveform", JSON_BASE64, struct voice, waveform,
                .least = LIMIT_VOICE_WAVEFORM_BYTES, .most = LIMIT_VOICE_WAVEFORM_BYTES),
};
static const struct json_members voice_members = JSON_MEMBERS(voice_rows);

static const struct json_member contents_rows[] = {
    JSON_OPTIONAL("location", JSON_OBJECT, struct contents, location, has_location,
                  .items = &location_members, .rule = location_rule),
    JSON_OPTIONAL("contact", JSON_OBJECT, struct contents, contact, has_contact,
                  .items = &card_members, .rule = contact_rule),
    JSON_OPTIONAL("voice", JSON_OBJECT, struct contents, voice, has_voice, .items = &voice_members,
                  .rule = voice_rule),
};
const struct json_members contents_members = JSON_MEMBERS(contents_rows);

const char preview_rule[] =
    "preview: a url that the content has; title, description and mediaId if there are any";

static const struct json_member preview_rows[] = {
    JSON_MEMBER("url", JSON_TEXT, struct preview, url),
    JSON_OPTIONAL("title", JSON_TEXT, struct preview, title, has_title),
    JSON_OPTIONAL("description", JSON_TEXT, struct preview, description, has_description),
    JSON_OPTIONAL("mediaId", JSON_ID, struct preview, media_id, has_media_id),
};
const struct json_members preview_members = JSON_MEMBERS(preview_rows);

bool contents_any(const struct contents *contents)
{
    return contents->has_location || contents->has_contact || contents->has_voice;
}

void contents_write(struct cq_buf *out, const struct contents *contents)
{
    json_members_write(out, &contents_members, contents);
}

void preview_write(struct cq_buf *out, const struct preview *preview)
{
    if (!preview)
        return;
    out_key(out, "preview");
    buf_add_byte(out, '{');
    json_members_write(out, &preview_members, preview);
    buf_add_byte(out, '}');
}
