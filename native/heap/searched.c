#include "heap/searched.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "heap/free_lists.h"
#include "python/object.h"
#include "target/regions.h"

#define MOST_SEARCHES 40 /* of all memory; each takes about a hundredth of the time that reading it does */
#define MOST_PLACES 256  /* of one word: more are faster read than found */
#define MOST_STARTS 4    /* of a block of malloc's that are tried */
#define LOOKED_BACK (1u << 20)
#define MAX_HEADER 32u
#define HEADER_STEP 16u

struct mt_searched {
    struct mt_python *python;
    struct mt_watch *watch;
    struct mt_pymalloc *pymalloc; /* NULL: there is none */
    struct mt_hash_map dead;      /* on free lists */
    struct mt_hash_map objects;   /* that the graph consists of */
    struct mt_hash_map searched;  /* whose holders were looked for */
    struct mt_census *census;
    struct mt_graph *graph;
    unsigned searches;
    bool given_up;
    struct mt_error *error; /* the first */
};

static void drop_graph(struct mt_searched *searched) {
    mt_graph_destroy(searched->graph);
    searched->graph = NULL;
    if (searched->census)
        searched->census->pymalloc = NULL; /* lent */
    mt_census_destroy(searched->census);
    searched->census = NULL;
}

/* --- searching ---------------------------------------------------------------------------------------------------- */

typedef MT_VECTOR(uint64_t) places;

/* All aligned places of a word in a region. */
static void search_region(struct mt_searched *searched, const struct mt_region *region, uint64_t word, places *ret) {
    uint64_t at = region->start, found;
    while (!searched->error && !searched->given_up && at < region->end) {
        /* A region that can't be searched to its end may hide a reference: the count then tells. */
        if (!mt_target_search(searched->python->view->target, at, region->end - at, word, &found) || found == 0)
            return;
        if (found % sizeof word == 0 && !mt_vector_push(ret, found))
            searched->error = &mt_error_no_memory;
        searched->given_up |= ret->length > MOST_PLACES;
        at = found + 1;
        if (!searched->error)
            searched->error = mt_watch_poll(searched->watch, "searching the process's memory");
    }
}

static void search(struct mt_searched *searched, uint64_t word, places *ret) {
    const struct mt_region *regions;
    size_t count;
    if (searched->error || searched->given_up)
        return;
    searched->given_up = ++searched->searches > MOST_SEARCHES;
    searched->error = mt_target_regions(searched->python->view->target, &regions, &count);
    for (size_t i = 0; !searched->error && i < count; i++)
        if (regions[i].readable && regions[i].writable)
            search_region(searched, &regions[i], word, ret);
}

/* --- what is around a place --------------------------------------------------------------------------------------- */

struct look {
    uint64_t target;
    bool found;
};

static void compare_target(void *context, const struct mt_edge *edge) {
    struct look *look = context;
    look->found |= edge->target == look->target;
}

static void add_object(struct mt_searched *searched, uint64_t address) {
    if (!mt_hash_map_find_or_insert(&searched->objects, address, 0, NULL))
        searched->error = &mt_error_no_memory;
}

/* Is there an object at `address` that refers to `target`? Then it is taken. */
static bool take_holder(struct mt_searched *searched, uint64_t address, uint64_t header, uint64_t target) {
    struct mt_python *python = searched->python;
    struct mt_refcount refcount;
    if (!mt_object_is_plausible(python, address) || mt_hash_map_find(&searched->dead, address))
        return false;
    const struct mt_type *type = mt_object_type(python, address);
    if (!type || (header != UINT64_MAX && type->header != header) || !mt_object_refcount(python, address, &refcount) ||
        (refcount.count == 0 && !refcount.immortal))
        return false;
    struct look look = {.target = target};
    mt_edges_visit(python, address, type, compare_target, &look);
    /* Guesses are told by those who look like holders, too. */
    if (look.found || mt_edges_has_guesses(type))
        add_object(searched, address);
    return look.found;
}

/* The object that a block holds. */
static bool take_from_block(struct mt_searched *searched, uint64_t block, uint64_t target) {
    for (uint64_t header = 0; header <= MAX_HEADER; header += HEADER_STEP)
        if (take_holder(searched, block + header, header, target))
            return true;
    return false;
}

static bool take_type(struct mt_searched *searched, uint64_t place, uint64_t target) {
    struct mt_python *python = searched->python;
    uint64_t size = (uint64_t)MT_AT(&python->layout, PyTypeObject, sizeof);
    for (size_t i = 0; i < python->types->list.length; i++)
        if (place - python->types->list.data[i]->address < size)
            return take_holder(searched, python->types->list.data[i]->address, UINT64_MAX, target);
    return false;
}

/* Where in a block the pointers of its owner lead: to its start, or (the values of instances, 3.11 and 3.12) behind the
 * order of their names, with a bit that says so. */
static size_t list_entries(const struct mt_python *python, uint64_t block, uint64_t *entries) {
    size_t count = 0;
    entries[count++] = block;
    if (python->minor == 11 || python->minor == 12) {
        uint64_t tag = python->minor == 12 ? 1 : 0;
        entries[count++] = block + 8 - tag;
        entries[count++] = block + 16 - tag;
    }
    return count;
}

static bool find_block_of(struct mt_searched *searched, uint64_t place, uint64_t *ret) {
    uint64_t start, size;
    bool live;
    if (!searched->pymalloc || !mt_pymalloc_block_of(searched->pymalloc, place, &start, &size, &live) || !live)
        return false;
    *ret = start + searched->pymalloc->front;
    return true;
}

/* The object that has a pointer to this block, and by it refers to `target`. */
static bool take_owner(struct mt_searched *searched, uint64_t block, uint64_t target) {
    uint64_t entries[3], holder;
    size_t count = list_entries(searched->python, block, entries);
    bool taken = false;
    for (size_t i = 0; i < count && !taken; i++) {
        places found = {0};
        search(searched, entries[i], &found);
        for (size_t at = 0; at < found.length && !searched->error && !searched->given_up; at++)
            taken |= find_block_of(searched, found.data[at], &holder) ? take_from_block(searched, holder, target)
                                                                      : take_type(searched, found.data[at], target);
        mt_vector_deinit(&found);
    }
    return taken;
}

/* In memory of malloc's there is no way back from a place to its block: what looks like the start of one is tried. */
static bool take_from_malloc(struct mt_searched *searched, uint64_t place, uint64_t target) {
    struct mt_view *view = searched->python->view;
    uint64_t size;
    unsigned tried = 0;
    for (uint64_t back = 0; back < LOOKED_BACK && tried < MOST_STARTS; back += HEADER_STEP) {
        uint64_t block = (place & ~(uint64_t)(HEADER_STEP - 1)) - back;
        if (!mt_glibc_chunk_size(view, block, &size) || size <= place - block)
            continue;
        tried++;
        if (take_from_block(searched, block, target) || take_owner(searched, block, target))
            return true;
        if (searched->error || searched->given_up)
            return false;
    }
    return false;
}

static void take_place(struct mt_searched *searched, uint64_t place, uint64_t target) {
    uint64_t block;
    if (take_type(searched, place, target))
        return;
    if (find_block_of(searched, place, &block)) {
        if (!take_from_block(searched, block, target))
            take_owner(searched, block, target);
        return;
    }
    take_from_malloc(searched, place, target);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* Words in libraries' data and on C stacks are roots, which are read, not searched for. */
static bool is_heap(struct mt_searched *searched, uint64_t place) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(searched->python->view->target, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return true;
    }
    const struct mt_region *region = mt_region_of(regions, count, place);
    return !region || !region->path || region->path[0] == '\0' || strcmp(region->path, "[heap]") == 0;
}

struct mt_error *mt_searched_holders(struct mt_searched *searched, uint64_t address, bool *ret_given_up) {
    places found = {0};
    drop_graph(searched);
    struct mt_refcount refcount = {0};
    searched->given_up |= !mt_object_is_plausible(searched->python, address) ||
                          !mt_object_refcount(searched->python, address, &refcount) || refcount.immortal ||
                          refcount.count > MOST_PLACES;
    search(searched, address, &found);
    if (searched->python->minor >= 14)
        search(searched, address | 1, &found); /* borrowed: a bit of the reference says so */
    for (size_t i = 0; i < found.length && !searched->error && !searched->given_up; i++)
        if (is_heap(searched, found.data[i]))
            take_place(searched, found.data[i], address);
        else
            take_type(searched, found.data[i], address);
    mt_vector_deinit(&found);
    if (!searched->error && !mt_hash_map_find_or_insert(&searched->searched, address, 0, NULL))
        searched->error = &mt_error_no_memory;
    if (!searched->error)
        add_object(searched, address);
    struct mt_error *error = searched->error;
    searched->error = NULL;
    *ret_given_up = searched->given_up;
    return error;
}

bool mt_searched_has(const struct mt_searched *searched, uint64_t address) {
    return mt_hash_map_find(&searched->searched, address) != NULL;
}

struct mt_error *mt_searched_graph(struct mt_searched *searched, struct mt_graph **ret) {
    drop_graph(searched);
    struct mt_error *error =
        mt_census_create_of(searched->python, &searched->objects, searched->watch, &searched->census);
    if (error)
        return error;
    searched->census->pymalloc = searched->pymalloc;
    error = mt_graph_create(searched->census, searched->watch, &searched->graph);
    if (!error)
        *ret = searched->graph;
    return error;
}

struct mt_error *mt_searched_create(struct mt_python *python, struct mt_watch *watch, struct mt_searched **ret) {
    if (!python->view->target->ops->search)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "this target is read faster than searched");
    struct mt_searched *searched = calloc(1, sizeof *searched);
    if (!searched)
        return &mt_error_no_memory;
    searched->python = python;
    searched->watch = watch;
    struct mt_error *error = mt_free_lists_read(python, &searched->dead);
    if (!error)
        error = mt_pymalloc_open(python, watch, &searched->pymalloc);
    if (error) {
        mt_searched_destroy(searched);
        return error;
    }
    *ret = searched;
    return NULL;
}

void mt_searched_destroy(struct mt_searched *searched) {
    if (!searched)
        return;
    drop_graph(searched);
    mt_pymalloc_destroy(searched->pymalloc);
    mt_hash_map_deinit(&searched->dead);
    mt_hash_map_deinit(&searched->objects);
    mt_hash_map_deinit(&searched->searched);
    free(searched);
}
