#include "heap/free_lists.h"

#define FIRST_MINOR_WITH_CHAINS 14
#define MAX_LISTS 96       /* 3.15 has 42 */
#define MAX_LENGTH 100000u /* of one list; CPython's longest is 2,000 */

/* A chain that can't be read ends there. */
static struct mt_error *follow(struct mt_python *python, uint64_t head, uint64_t length, struct mt_hash_map *dead) {
    for (uint64_t i = 0; head != 0 && i < length; i++) {
        if (!mt_hash_map_find_or_insert(dead, head, 1, NULL))
            return &mt_error_no_memory;
        if (!mt_view_u64(python->view, head, &head))
            break;
    }
    return NULL;
}

/* The lists stand side by side, each a head and a length; what stands behind them is told by its look. */
static struct mt_error *read_lists(struct mt_python *python, uint64_t lists, struct mt_hash_map *dead) {
    const struct mt_python_layout *layout = &python->layout;
    struct mt_error *error = NULL;
    for (unsigned i = 0; i < MAX_LISTS && !error; i++) {
        uint64_t list = lists + i * (uint64_t)MT_AT(layout, _Py_freelist, sizeof), head, length;
        if (!mt_view_u64(python->view, list + (uint64_t)MT_AT(layout, _Py_freelist, freelist), &head) ||
            !mt_view_u64(python->view, list + (uint64_t)MT_AT(layout, _Py_freelist, size), &length) ||
            length > MAX_LENGTH || head & 7 || (head == 0) != (length == 0))
            break;
        error = follow(python, head, length, dead);
    }
    return error;
}

struct mt_error *mt_free_lists_read(struct mt_python *python, struct mt_hash_map *ret) {
    struct mt_hash_map dead = MT_HASH_MAP_INIT;
    struct mt_error *error = NULL;
    int64_t lists = MT_AT(&python->layout, PyInterpreterState, object_state_freelists);
    if (python->minor >= FIRST_MINOR_WITH_CHAINS && lists >= 0)
        for (size_t i = 0; i < python->interpreters.length && !error; i++)
            error = read_lists(python, python->interpreters.data[i] + (uint64_t)lists, &dead);
    if (error) {
        mt_hash_map_deinit(&dead);
        return error;
    }
    *ret = dead;
    return NULL;
}
