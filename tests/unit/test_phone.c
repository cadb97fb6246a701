/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"

#include "edge/auth/phone.h"

TEST(numbers_are_brought_to_one_form)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "+4915550000001", "+4915550000001" },      { "+49 155 5000-0001", "+4915550000001" },
        { "+49 (155) 5000.0001", "+4915550000001" }, { "004915550000001", "+4915550000001" },
        { "+123456789012345", "+123456789012345" },  { "+12345678", "+12345678" },
    };
    char out[PHONE_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK(phone_normalize(span_str(rows[i].text), out));
        CHECK_STR(out, rows[i].want);
    }
}

TEST(what_is_no_number_is_refused)
{
    static const char *const rows[] = { "",
                                        "+",
                                        "+1234567",
                                        "+1234567890123456",
                                        "15550000001",
                                        "+0155500001",
                                        "+49a5550000001",
                                        "+49155\n0000001",
                                        "++4915550000001",
                                        "+4915550000001+",
                                        "00",
                                        "000000000000" };
    char out[PHONE_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(!phone_normalize(span_str(rows[i]), out));
}

TEST(a_user_id_depends_on_number_pepper_and_generation)
{
    struct cq_span pepper = span_str("a pepper of at least thirty-two bytes");
    struct cq_id id = phone_user_id(pepper, "+4915550000001", 0);

    CHECK(id_eq(id, phone_user_id(pepper, "+4915550000001", 0)));
    CHECK(!id_eq(id, phone_user_id(pepper, "+4915550000002", 0)));
    CHECK(!id_eq(id, phone_user_id(pepper, "+4915550000001", 1)));
    CHECK(!id_eq(
        id, phone_user_id(span_str("another pepper of thirty-two bytes.."), "+4915550000001", 0)));
    CHECK_EQ(id.b[6] >> 4, 8);
}
