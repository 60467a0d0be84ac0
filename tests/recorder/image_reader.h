/* Reads the recorder's image from inside the recorded process: the tests' own reader, written from native/image/image.h
 * alone and sharing no code with native/trace.  It neither allocates nor locks, so looking changes nothing; the caller
 * sees to it that nothing else allocates meanwhile. */
#ifndef MEMTRACE_TESTS_IMAGE_READER_H
#define MEMTRACE_TESTS_IMAGE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

struct block {
    uint64_t address;
    uint64_t size;
    uint32_t site;
};

/* The handle of the recorder that ATTACH_RECORDER names, loaded at the first call; NULL: it is not to be attached. */
void *image_recorder(void);

/* The loaded recorder's header; NULL: there is no recorder in this process. */
struct mt_image_header *image_header(void);

const void *image_record(const struct mt_pool_ref *pool, uint64_t index);
const struct mt_site *image_site(uint32_t site);
const char *image_string(uint32_t offset);

/* Composition of the peak: what the site held then. */
void image_site_at_peak(const struct mt_site *site, int64_t *ret_bytes, uint32_t *ret_blocks);

/* Every live block (ranges included), each once a place where it stands. Stops when `visit` returns false. */
typedef bool image_visit(void *context, const struct block *block);
void image_each_block(image_visit *visit, void *context);

/* The live block that starts at `address`; false: none. */
bool image_find_block(const void *address, struct block *ret);

/* Writes the whole image as one line of JSON to `fd`: totals, sites with their stacks, and, when `with_blocks`, blocks.
 */
void image_dump(int fd, bool with_blocks);

#endif
