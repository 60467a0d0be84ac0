/* Makes the image of a recording that never was, in a synthetic target. A test says what was recorded; the builder lays
 * it out as native/image/image.h says and keeps the counts that the recorder would keep. Out of memory fails the test.
 */
#ifndef MEMTRACE_TESTS_IMAGE_BUILDER_H
#define MEMTRACE_TESTS_IMAGE_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vector.h"
#include "image/image.h"
#include "target/target.h"

#define BUILDER_IMAGE 0x7f0000400000  /* where the header is */
#define BUILDER_MEMORY 0x7f1000000000 /* where all the rest is */
#define BUILDER_PID 4711

struct builder_block {
    uint64_t address;
    uint64_t size;
    uint32_t site;
};

struct builder_mark {
    struct mt_mark record;
    MT_VECTOR(struct mt_mark_sum) sums;
};

struct image_builder {
    struct mt_image_header header; /* a test may change it before building */
    MT_VECTOR(char) strings;
    MT_VECTOR(struct mt_code) codes;
    MT_VECTOR(struct mt_stack_node) stacks;
    MT_VECTOR(struct mt_site) sites;
    MT_VECTOR(struct mt_thread) threads;
    MT_VECTOR(struct builder_block) blocks;
    MT_VECTOR(struct mt_range) ranges;
    struct builder_mark marks[MT_MARKS_KEPT]; /* mark n is the one at n % MT_MARKS_KEPT */
    /* How it is laid out. */
    uint32_t extra_stride; /* bytes that each record is longer than this version's: a newer minor version */
    uint32_t extra_header;
    uint32_t chunk_shift;
    bool in_table;    /* all blocks go to the block table */
    bool doubled;     /* blocks that fit the shadow stand in both */
    bool symbol;      /* the target knows the image's symbol */
    const char *path; /* of the mapping that holds the header */
    /* Where it was put, for tests that damage it. */
    unsigned char *header_bytes;
    size_t header_size;
    unsigned char *memory_bytes;
    size_t memory_size;
};

/* A recording at level objects by CPython 3.11.2, with stack 0 and thread 0 (MainThread). */
void builder_init(struct image_builder *builder);
void builder_deinit(struct image_builder *builder);
uint32_t builder_code(struct image_builder *builder, const char *function, const char *file, uint32_t first_line);
/* `parent` 0: an outermost frame. */
uint32_t builder_stack(struct image_builder *builder, uint32_t parent, uint32_t code, uint32_t line);
uint32_t builder_thread(struct image_builder *builder, uint32_t tid, const char *name);
/* Of the present generation. */
uint32_t builder_site(struct image_builder *builder, uint32_t stack, uint16_t thread, uint8_t allocator);
/* A live block, counted. */
void builder_block(struct image_builder *builder, uint64_t address, uint64_t size, uint32_t site);
void builder_free(struct image_builder *builder, uint64_t address);
void builder_range(struct image_builder *builder, uint64_t start, uint64_t end, uint32_t site);
/* The site's numbers at the peak, where they differ from those of now. */
void builder_at_peak(struct image_builder *builder, uint32_t site, int64_t bytes, uint32_t blocks);
/* Sets a mark one second after the one before; returns its generation. */
uint32_t builder_mark(struct image_builder *builder, const char *name);
/* The caller destroys the target before the builder. */
struct mt_target *builder_finish(struct image_builder *builder);

/* The shape of the mockups: four blocks of 100,000,000 bytes under process_data() and small ones beside them; the first
 * was freed after the peak. */
void builder_example(struct image_builder *builder);

#endif
