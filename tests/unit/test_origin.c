/* SPDX-License-Identifier: MIT */
#include "lib/base/origin.h"
#include "lib/base/settings_forms.h"
#include "tests/unit/test.h"

TEST(origins_are_found_in_their_list)
{
    static const struct {
        const char *list, *origin;
        bool allowed;
    } rows[] = {
        { "", "https://a.example", false },
        { "*", "https://a.example", true },
        { "*", "null", true },
        { "https://a.example", "https://a.example", true },
        { "https://a.example", "https://a.example:444", false },
        { "https://a.example", "http://a.example", false },
        { "https://a.example", "https://a.exampl", false },
        { "https://a.example,https://b.example", "https://b.example", true },
        { "https://a.example, https://b.example", "https://b.example", true },
        { "https://a.example ,https://b.example", "https://a.example", true },
        { " https://a.example\t", "https://a.example", true },
        { "https://a.example, https://b.example", "null", false },
        { "https://a.example, null", "null", true },
        { "https://a.example, *", "https://c.example", true },
        { "https://a.example", "*", false },
        { "https://a.example,", "", false },
        { "https://a.example, ,https://b.example", "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].list, origin_is_allowed(rows[i].list, span_str(rows[i].origin)),
                     rows[i].allowed);
}

TEST(what_the_setting_takes_is_what_is_found)
{
    static const struct {
        const char *list;
        bool good;
    } rows[] = {
        { "*", true },
        { "null", true },
        { "https://a.example:8443", true },
        { "https://a.example, https://b.example", true },
        { "https://a.example ,\thttps://b.example", true },
        { "*, https://b.example", true },
        { "a.example", false },
        { "https://", false },
        { "https://a.example/", false },
        { "https://a.example https://b.example", false },
        { "https://a.example,", false },
        { "https://a.example,,https://b.example", false },
        { "https://a.example, ", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ_ROW(rows[i].list, !setting_form(SETTING_ORIGINS, rows[i].list), rows[i].good);
}
