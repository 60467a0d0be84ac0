/* print_layout VERSION VARIANT [ROOT FILE...]
 *
 * One line a field that the built-in layout of a version (hexadecimal) and variant (1: debug, 2: JIT) has: its name,
 * the offset, and what the debug information of the FILEs says ("-": they don't describe it). Separate debug
 * information is looked for under ROOT ("" for this machine's). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "layout/python_layout.h"
#include "python/debug_information.h"
#include "target/file.h"

static struct mt_python_layout layout;
static struct mt_debug_information information;

static void fail(struct mt_error *error, const char *path) {
    fprintf(stderr, "%s: %s\n", path, error->message);
    exit(1);
}

static void read_file(const char *root, const char *path) {
    int fd = mt_open_file(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    struct mt_error *error = mt_debug_information_read(fd, path, root, &layout, NULL, &information);
    if (error)
        fail(error, path);
}

int main(int count, char **arguments) {
    if (count < 3 ||
        !mt_python_layout_choose((uint32_t)strtoul(arguments[1], NULL, 16), (unsigned)atoi(arguments[2]), &layout)) {
        fprintf(stderr, "usage: print_layout VERSION VARIANT [ROOT FILE...]\n");
        return 2;
    }
    for (int i = 4; i < count; i++)
        read_file(arguments[3], arguments[i]);
    for (unsigned field = 0; field < MT_FIELD_COUNT; field++) {
        if (layout.value[field] < 0)
            continue;
        printf("%s %" PRId64 " ", mt_python_field_name(field), layout.value[field]);
        if (information.known[field])
            printf("%" PRId64 "\n", information.value[field]);
        else
            printf("-\n");
    }
    return 0;
}
