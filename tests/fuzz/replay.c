/* SPDX-License-Identifier: MIT */
/* main() for fuzz targets where the compiler has no fuzzer: runs each file given, so that ctest
 * replays the corpus on every build. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        uint8_t *bytes =
            malloc(FUZZ_INPUT_MAX); /* on the heap: the address sanitizer guards its end */
        size_t n = f ? fread(bytes, 1, FUZZ_INPUT_MAX, f) : 0;

        if (!f || !bytes || !(bytes = realloc(bytes, n ? n : 1)))
            return 1;
        fclose(f);
        LLVMFuzzerTestOneInput(bytes, n);
        free(bytes);
    }
    printf("%d inputs\n", argc - 1);
    return argc < 2;
}
