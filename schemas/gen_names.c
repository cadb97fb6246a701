/* SPDX-License-Identifier: MIT */
#include "schemas/gen_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

struct gen_name gen_snake(const char *camel)
{
    struct gen_name name;
    size_t n = 0;

    for (size_t i = 0; camel[i] && n + 3 < sizeof name.s; i++) {
        unsigned char byte = (unsigned char)camel[i];
        bool starts =
            i && isupper(byte) &&
            (!isupper((unsigned char)camel[i - 1]) || islower((unsigned char)camel[i + 1]));

        if (starts && camel[i - 1] != '_')
            name.s[n++] = '_';
        name.s[n++] = (char)tolower(byte);
    }
    name.s[n] = '\0';
    return name;
}

struct gen_name gen_upper(const char *camel)
{
    struct gen_name name = gen_snake(camel);

    for (char *p = name.s; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return name;
}
