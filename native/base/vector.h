/* A growing array of any type:
 *
 *     MT_VECTOR(struct row) rows = {0};
 *     if (!mt_vector_push(&rows, ((struct row){.bytes = 1})))
 *         return &mt_error_no_memory;
 *     for (size_t i = 0; i < rows.length; i++) ... rows.data[i] ...
 *     mt_vector_deinit(&rows);
 *
 * Pushing may move the elements: keep indices, not pointers. */
#ifndef MEMTRACE_VECTOR_H
#define MEMTRACE_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MT_VECTOR(type)                                                                                                \
    struct {                                                                                                           \
        type *data;                                                                                                    \
        size_t length;                                                                                                 \
        size_t capacity;                                                                                               \
    }

/* The array `data` of `*capacity` elements, or a longer copy that has room for `needed`; NULL when memory is out, and
 * then nothing has changed. */
static inline void *mt_vector_grown(void *data, size_t *capacity, size_t element_size, size_t needed) {
    if (data && needed <= *capacity)
        return data;
    if (needed > PTRDIFF_MAX / element_size)
        return NULL;
    size_t bigger = *capacity < 8 ? 8 : *capacity;
    while (bigger < needed)
        bigger *= 2;
    void *moved = reallocarray(data, bigger, element_size);
    if (moved)
        *capacity = bigger;
    return moved;
}

/* Makes room for `count` elements in all; false when memory is out. */
#define mt_vector_reserve(vector, count)                                                                               \
    __extension__({                                                                                                    \
        void *mt_grown = mt_vector_grown((vector)->data, &(vector)->capacity, sizeof(*(vector)->data), (count));       \
        if (mt_grown)                                                                                                  \
            (vector)->data = mt_grown;                                                                                 \
        mt_grown != NULL;                                                                                              \
    })

/* Appends a copy of the value; false when memory is out, and then the vector is as before. */
#define mt_vector_push(vector, ...)                                                                                    \
    (mt_vector_reserve((vector), (vector)->length + 1) && ((vector)->data[(vector)->length++] = (__VA_ARGS__), true))

#define mt_vector_deinit(vector)                                                                                       \
    do {                                                                                                               \
        free((vector)->data);                                                                                          \
        (vector)->data = NULL;                                                                                         \
        (vector)->length = (vector)->capacity = 0;                                                                     \
    } while (0)

#endif
