/* The recorder's image, read from a target and checked: names, stacks, sites, threads and counts. Live blocks are read
 * separately (trace/blocks.h). What was read is a copy: it stays good while the target runs on.
 *
 * Stacks are made canonical: call paths with the same functions, files and lines are one node here, however many nodes
 * the recorder made of them (one for each instruction). */
#ifndef MEMTRACE_TRACE_IMAGE_H
#define MEMTRACE_TRACE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string_table.h"
#include "base/vector.h"
#include "image/image.h"
#include "target/target.h"
#include "trace/frame.h"
#include "base/watch.h"

struct mt_function {
    uint32_t function; /* numbers in `strings` */
    uint32_t file;
    uint32_t first_line; /* of the first code object seen with this name in this file */
};

/* A line of a function. */
struct mt_place {
    uint32_t function; /* index into `functions` */
    uint32_t line;
};

struct mt_node {
    uint32_t parent; /* smaller than the node's own index; 0: outermost */
    uint32_t place;
};

struct mt_image {
    struct mt_target *target; /* borrowed */
    uint64_t address;
    uint64_t budget;               /* bytes that the target's mappings hold */
    struct mt_image_header header; /* fields that an older recorder did not have are 0 */
    struct mt_string_table strings;
    /* Index 0 of the next three means "no Python frame". */
    MT_VECTOR(struct mt_function) functions;
    MT_VECTOR(struct mt_place) places;
    MT_VECTOR(struct mt_node) nodes;
    uint32_t *node_of; /* for each stack record of the recorder, its node here */
    size_t stack_count;
    struct mt_site *sites; /* `stack` is an index into `nodes`; all in-use sites were checked */
    size_t site_count;
    struct mt_thread *threads;
    size_t thread_count;
};

/* Finds and reads the image. MT_ERROR_NOT_RECORDED: none there; MT_ERROR_FORMAT: foreign version, or damaged. */
struct mt_error *mt_image_load(struct mt_target *target, struct mt_watch *watch, struct mt_image **ret);
void mt_image_destroy(struct mt_image *image);

static inline const struct mt_shard *mt_image_shard(const struct mt_image *image) {
    return &image->header.shards[0];
}

/* Has recording ever begun? MT_ERROR_NOT_RECORDED in words that say what to do, else NULL. */
struct mt_error *mt_image_check_recorded(const struct mt_image *image);

/* What a debugger has asked the recorder for and it has not done yet. */
enum mt_request mt_image_pending(const struct mt_image *image);
/* Will a mark be set at the next event (also when it is set before recording stops)? What is alive now is then what it
 * shows. */
bool mt_image_mark_is_pending(const struct mt_image *image);

/* Frames from `node` outwards, innermost first. *ret_frames has room that the next call reuses; NULL with *ret_count 0:
 * no Python frame. false: no memory. */
struct mt_frame_list {
    struct mt_frame *frames;
    size_t capacity;
};
bool mt_image_stack(const struct mt_image *image, uint32_t node, struct mt_frame_list *list, size_t *ret_count);
void mt_frame_list_deinit(struct mt_frame_list *list);
struct mt_frame mt_image_frame(const struct mt_image *image, uint32_t place);

/* Threads that stand inside an event: what it is about to do may or may not have happened. */
size_t mt_image_in_flight(const struct mt_image *image);
/* "MainThread", or the kernel's name. NULL: no such slot. */
const char *mt_image_thread_name(const struct mt_image *image, uint32_t thread);
/* "objects"; NULL when unknown. */
const char *mt_level_name(uint32_t level);
/* "pymalloc" names are those of the C functions: "malloc", "PyObject_Malloc"; "?" when unknown. */
const char *mt_allocator_name(uint32_t allocator);

#endif
