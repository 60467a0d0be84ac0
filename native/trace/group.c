#include "trace/group.h"

#include <string.h>

uint32_t mt_group_key(const struct mt_image *image, enum mt_group_by by, const struct mt_origin *origin) {
    uint32_t place = image->nodes.data[origin->node].place;
    const struct mt_function *function = &image->functions.data[image->places.data[place].function];
    switch (by) {
    case MT_BY_STACK:
        return origin->node;
    case MT_BY_LINE:
        return place;
    case MT_BY_FUNCTION:
        return image->places.data[place].function;
    case MT_BY_FILE:
        return function->file;
    case MT_BY_THREAD:
        return origin->thread;
    case MT_BY_ALLOCATOR:
        return origin->allocator;
    }
    return 0;
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_frames(const struct mt_frame *a, const struct mt_frame *b) {
    int order = strcmp(a->function, b->function);
    if (order == 0)
        order = strcmp(a->file, b->file);
    return order != 0 ? order : compare_numbers(a->line, b->line);
}

/* Innermost frame first; the path that ends earlier comes first. */
static int compare_stacks(const struct mt_image *image, uint32_t a, uint32_t b) {
    const struct mt_node *nodes = image->nodes.data;
    for (; a != b; a = nodes[a].parent, b = nodes[b].parent) {
        if (a == 0 || b == 0)
            return a == 0 ? -1 : 1;
        if (nodes[a].place == nodes[b].place)
            continue;
        struct mt_frame left = mt_image_frame(image, nodes[a].place), right = mt_image_frame(image, nodes[b].place);
        int order = compare_frames(&left, &right);
        if (order != 0)
            return order;
    }
    return 0;
}

int mt_group_compare(const struct mt_image *image, enum mt_group_by by, uint32_t a, uint32_t b) {
    const struct mt_function *functions = image->functions.data;
    switch (by) {
    case MT_BY_STACK:
        return compare_stacks(image, a, b);
    case MT_BY_LINE: {
        struct mt_frame left = mt_image_frame(image, a), right = mt_image_frame(image, b);
        return compare_frames(&left, &right);
    }
    case MT_BY_FUNCTION: {
        struct mt_frame left = {mt_string_table_get(&image->strings, functions[a].function),
                                mt_string_table_get(&image->strings, functions[a].file), 0};
        struct mt_frame right = {mt_string_table_get(&image->strings, functions[b].function),
                                 mt_string_table_get(&image->strings, functions[b].file), 0};
        return compare_frames(&left, &right);
    }
    case MT_BY_FILE:
        return strcmp(mt_string_table_get(&image->strings, a), mt_string_table_get(&image->strings, b));
    case MT_BY_THREAD:
        if (a != MT_THREAD_GONE && b != MT_THREAD_GONE && image->threads[a].tid != image->threads[b].tid)
            return compare_numbers(image->threads[a].tid, image->threads[b].tid);
        break;
    case MT_BY_ALLOCATOR:
        break;
    }
    return compare_numbers(a, b);
}
