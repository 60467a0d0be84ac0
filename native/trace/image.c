#include "trace/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash_map.h"
#include "trace/find.h"
#include "trace/pool.h"

#define MAX_HEADER_SIZE (1 << 20)
#define MIN_STRING_SHIFT 6
#define MAX_STRING_SHIFT 30
#define MAX_STRING_LENGTH 65535

static struct mt_error *damaged(const char *what) {
    return mt_error_create(MT_ERROR_FORMAT, "the recorder's image is damaged: %s", what);
}

/* Interns pairs of numbers: *ret is the value that was first given for (high, low). false: no memory. */
static bool intern_pair(struct mt_hash_map *map, uint32_t high, uint32_t low, uint32_t new_value, uint32_t *ret,
                        bool *ret_new) {
    uint64_t *value = mt_hash_map_find_or_insert(map, (uint64_t)high << 32 | low, new_value, ret_new);
    if (value)
        *ret = (uint32_t)*value;
    return value != NULL;
}

static struct mt_error *read_header(struct mt_image *image) {
    /* First what every version has, then as much as this one has. */
    struct mt_image_header *header = &image->header;
    const size_t fixed = offsetof(struct mt_image_header, pid);
    struct mt_error *error = mt_target_read(image->target, image->address, header, fixed);
    if (error)
        return error;
    if (header->major != MT_IMAGE_MAJOR)
        return mt_error_create(
            MT_ERROR_FORMAT,
            "this process was recorded with image version %d.%d, this memtrace reads %d.x: use the memtrace "
            "whose recorder was loaded",
            header->major, header->minor, MT_IMAGE_MAJOR);
    if (header->header_size < sizeof *header || header->header_size > MAX_HEADER_SIZE)
        return damaged("its header has an impossible size");
    error = mt_target_read(image->target, image->address, header, sizeof *header);
    if (error)
        return error;
    if (header->shard_count != 1)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "this recording has %" PRIu32 " shards, this memtrace reads one",
                               header->shard_count);
    header->python_problem[sizeof header->python_problem - 1] = '\0';
    header->request_name[sizeof header->request_name - 1] = '\0';
    header->python_allocator[sizeof header->python_allocator - 1] = '\0';
    return NULL;
}

/* All strings in one piece; offsets of the image then are offsets into it. A NUL is put behind the last byte. */
static struct mt_error *read_strings(const struct mt_image *image, struct mt_pool_reader *reader, char **ret) {
    const struct mt_image_header *header = &image->header;
    if (header->string_bytes == 0 || header->strings == 0) {
        *ret = NULL;
        return NULL;
    }
    if (header->string_chunk_shift < MIN_STRING_SHIFT || header->string_chunk_shift > MAX_STRING_SHIFT)
        return damaged("strings in chunks of impossible size");
    /* As a pool of one-byte records. */
    struct mt_pool_ref pool = {.directory = header->strings,
                               .stride = 1,
                               .chunk_shift = header->string_chunk_shift,
                               .count = header->string_bytes};
    void *bytes;
    size_t count;
    struct mt_error *error = mt_pool_read(reader, &pool, 1, "strings", &bytes, &count);
    if (error)
        return error;
    char *strings = realloc(bytes, count + 1);
    if (!strings) {
        free(bytes);
        return &mt_error_no_memory;
    }
    strings[count] = '\0';
    *ret = strings;
    return NULL;
}

static struct mt_error *intern_string(struct mt_image *image, const char *strings, uint32_t offset, uint32_t *ret) {
    if (!strings || offset >= image->header.string_bytes)
        return damaged("a name lies outside its strings");
    const char *text = strings + offset;
    if (!mt_string_table_add(&image->strings, text, strnlen(text, MAX_STRING_LENGTH), ret))
        return &mt_error_no_memory;
    return NULL;
}

/* Fills `functions` and says for each code record which it is. */
static struct mt_error *read_functions(struct mt_image *image, struct mt_pool_reader *reader,
                                       uint32_t **ret_function_of, size_t *ret_count) {
    MT_AUTO_FREE char *strings = NULL;
    struct mt_error *error = read_strings(image, reader, &strings);
    void *records = NULL;
    size_t count = 0;
    if (!error)
        error = mt_pool_read(reader, &image->header.codes, sizeof(struct mt_code), "functions", &records, &count);
    MT_AUTO_FREE struct mt_code *codes = records;
    if (error)
        return error;
    MT_AUTO_FREE uint32_t *function_of = calloc(count + 1, sizeof *function_of);
    struct mt_hash_map known = MT_HASH_MAP_INIT;
    if (!function_of || !mt_vector_push(&image->functions, ((struct mt_function){0})))
        error = &mt_error_no_memory;
    for (size_t i = 0; !error && i < count; i++) {
        if (codes[i].file == 0 && codes[i].function == 0 && i == 0)
            continue; /* a reserved record */
        struct mt_function function = {.first_line = codes[i].first_line};
        bool is_new;
        error = intern_string(image, strings, codes[i].function, &function.function);
        if (!error)
            error = intern_string(image, strings, codes[i].file, &function.file);
        if (!error && (!intern_pair(&known, function.function, function.file, (uint32_t)image->functions.length,
                                    &function_of[i], &is_new) ||
                       (is_new && !mt_vector_push(&image->functions, function))))
            error = &mt_error_no_memory;
    }
    mt_hash_map_deinit(&known);
    if (error)
        return error;
    *ret_function_of = function_of;
    *ret_count = count;
    function_of = NULL;
    return NULL;
}

/* Fills `places`, `nodes` and `node_of`. */
static struct mt_error *read_stacks(struct mt_image *image, struct mt_pool_reader *reader) {
    MT_AUTO_FREE uint32_t *function_of = NULL;
    size_t function_count = 0, count = 0;
    struct mt_error *error = read_functions(image, reader, &function_of, &function_count);
    void *records = NULL;
    if (!error)
        error = mt_pool_read(reader, &image->header.stacks, sizeof(struct mt_stack_node), "stacks", &records, &count);
    MT_AUTO_FREE struct mt_stack_node *stacks = records;
    if (error)
        return error;
    MT_AUTO_FREE uint32_t *node_of = calloc(count + 1, sizeof *node_of);
    struct mt_hash_map known_places = MT_HASH_MAP_INIT, known_nodes = MT_HASH_MAP_INIT;
    if (!node_of || !mt_vector_push(&image->places, ((struct mt_place){0})) ||
        !mt_vector_push(&image->nodes, ((struct mt_node){0})))
        error = &mt_error_no_memory;
    for (size_t i = 1; !error && i < count; i++) {
        const struct mt_stack_node *stack = &stacks[i];
        if (stack->parent >= i || stack->code >= function_count) {
            error = damaged("a stack refers to what comes after it");
            break;
        }
        struct mt_place place = {function_of[stack->code], stack->line};
        struct mt_node node = {.parent = node_of[stack->parent]};
        bool is_new;
        if (!intern_pair(&known_places, place.function, place.line, (uint32_t)image->places.length, &node.place,
                         &is_new) ||
            (is_new && !mt_vector_push(&image->places, place)) ||
            !intern_pair(&known_nodes, node.parent, node.place, (uint32_t)image->nodes.length, &node_of[i], &is_new) ||
            (is_new && !mt_vector_push(&image->nodes, node)))
            error = &mt_error_no_memory;
    }
    mt_hash_map_deinit(&known_places);
    mt_hash_map_deinit(&known_nodes);
    if (error)
        return error;
    image->node_of = node_of;
    image->stack_count = count;
    node_of = NULL;
    return NULL;
}

static struct mt_error *read_sites(struct mt_image *image, struct mt_pool_reader *reader) {
    void *records;
    struct mt_error *error = read_stacks(image, reader);
    if (!error)
        error = mt_pool_read(reader, &image->header.threads, sizeof(struct mt_thread), "threads", &records,
                             &image->thread_count);
    if (error)
        return error;
    image->threads = records;
    for (size_t i = 0; i < image->thread_count; i++)
        image->threads[i].name[sizeof image->threads[i].name - 1] = '\0';
    error = mt_pool_read(reader, &image->header.sites, sizeof(struct mt_site), "sites", &records, &image->site_count);
    if (error)
        return error;
    image->sites = records;
    for (size_t i = 0; i < image->site_count; i++) {
        struct mt_site *site = &image->sites[i];
        if (site->state == 0 || i == 0) {
            *site = (struct mt_site){0};
            continue;
        }
        if (site->stack > 0 && site->stack >= image->stack_count)
            return damaged("a site has a stack that is not there");
        if (site->thread >= image->thread_count)
            return damaged("a site has a thread that is not there");
        site->stack = site->stack > 0 ? image->node_of[site->stack] : 0;
    }
    return NULL;
}

struct mt_error *mt_image_load(struct mt_target *target, struct mt_watch *watch, struct mt_image **ret) {
    uint64_t address;
    struct mt_error *error = mt_image_find(target, watch, &address);
    if (error)
        return error;
    struct mt_image *image = calloc(1, sizeof *image);
    if (!image)
        return &mt_error_no_memory;
    image->target = target;
    image->address = address;
    image->budget = mt_pool_budget(target);
    struct mt_pool_reader reader = {.target = target, .watch = watch, .budget = image->budget};
    error = read_header(image);
    uint32_t unknown;
    if (!error && !mt_string_table_add(&image->strings, "?", 1, &unknown)) /* number 0: the name of what has none */
        error = &mt_error_no_memory;
    if (!error)
        error = read_sites(image, &reader);
    if (error) {
        mt_image_destroy(image);
        return error;
    }
    *ret = image;
    return NULL;
}

void mt_image_destroy(struct mt_image *image) {
    if (!image)
        return;
    mt_string_table_deinit(&image->strings);
    mt_vector_deinit(&image->functions);
    mt_vector_deinit(&image->places);
    mt_vector_deinit(&image->nodes);
    free(image->node_of);
    free(image->sites);
    free(image->threads);
    free(image);
}

struct mt_error *mt_image_check_recorded(const struct mt_image *image) {
    if (image->header.state == MT_RECORDING_NEVER)
        return mt_error_create(MT_ERROR_NOT_RECORDED,
                               image->header.request == MT_REQUEST_START
                                   ? "nothing was recorded yet: recording begins at the next allocation"
                                   : "nothing was recorded yet. Use `memtrace record`");
    if (image->header.state == MT_RECORDING_DORMANT)
        return mt_error_create(
            MT_ERROR_NOT_RECORDED,
            "nothing was recorded: the recorder is loaded, but was told to leave this program alone");
    return NULL;
}

bool mt_image_mark_is_pending(const struct mt_image *image) {
    const struct mt_image_header *header = &image->header;
    if (header->state != MT_RECORDING_ON || header->generation == UINT32_MAX)
        return false;
    if (header->request == MT_REQUEST_MARK && header->request_argument == 0)
        return true;
    return (header->request == MT_REQUEST_MARK || header->request == MT_REQUEST_STOP) &&
           header->request_argument == header->generation + 1;
}

enum mt_request mt_image_pending(const struct mt_image *image) {
    const struct mt_image_header *header = &image->header;
    bool on = header->state == MT_RECORDING_ON;
    switch (header->request) {
    case MT_REQUEST_START:
        return on ? MT_REQUEST_NONE : MT_REQUEST_START;
    case MT_REQUEST_STOP:
        return on ? MT_REQUEST_STOP : MT_REQUEST_NONE;
    case MT_REQUEST_MARK:
        return mt_image_mark_is_pending(image) ? MT_REQUEST_MARK : MT_REQUEST_NONE;
    default:
        return MT_REQUEST_NONE;
    }
}

struct mt_frame mt_image_frame(const struct mt_image *image, uint32_t place) {
    const struct mt_place *found = &image->places.data[place];
    const struct mt_function *function = &image->functions.data[found->function];
    return (struct mt_frame){.function = mt_string_table_get(&image->strings, function->function),
                             .file = mt_string_table_get(&image->strings, function->file),
                             .line = found->line};
}

bool mt_image_stack(const struct mt_image *image, uint32_t node, struct mt_frame_list *list, size_t *ret_count) {
    size_t count = 0;
    for (; node != 0; node = image->nodes.data[node].parent) {
        struct mt_frame *frames = mt_vector_grown(list->frames, &list->capacity, sizeof *frames, count + 1);
        if (!frames)
            return false;
        list->frames = frames;
        frames[count++] = mt_image_frame(image, image->nodes.data[node].place);
    }
    *ret_count = count;
    return true;
}

void mt_frame_list_deinit(struct mt_frame_list *list) {
    free(list->frames);
    *list = (struct mt_frame_list){0};
}

size_t mt_image_in_flight(const struct mt_image *image) {
    size_t count = 0;
    for (size_t i = 0; i < image->thread_count; i++)
        count += image->threads[i].state != 0 && image->threads[i].operation != MT_IDLE;
    return count;
}

const char *mt_image_thread_name(const struct mt_image *image, uint32_t thread) {
    if (thread >= image->thread_count || image->threads[thread].state == 0)
        return NULL;
    return image->threads[thread].tid == image->header.pid ? "MainThread" : image->threads[thread].name;
}

const char *mt_level_name(uint32_t level) {
    switch (level) {
    case MT_LEVEL_NONE:
        return "none";
    case MT_LEVEL_HEAP:
        return "heap";
    case MT_LEVEL_OBJECTS:
        return "objects";
    default:
        return NULL;
    }
}

const char *mt_allocator_name(uint32_t allocator) {
    static const char *const names[MT_ALLOCATOR_COUNT] = {
        [MT_MALLOC] = "malloc",
        [MT_CALLOC] = "calloc",
        [MT_REALLOC] = "realloc",
        [MT_REALLOCARRAY] = "reallocarray",
        [MT_POSIX_MEMALIGN] = "posix_memalign",
        [MT_ALIGNED_ALLOC] = "aligned_alloc",
        [MT_MEMALIGN] = "memalign",
        [MT_VALLOC] = "valloc",
        [MT_PVALLOC] = "pvalloc",
        [MT_MMAP] = "mmap",
        [MT_MREMAP] = "mremap",
        [MT_SBRK] = "sbrk",
        [MT_PYMEM_RAW_MALLOC] = "PyMem_RawMalloc",
        [MT_PYMEM_RAW_CALLOC] = "PyMem_RawCalloc",
        [MT_PYMEM_RAW_REALLOC] = "PyMem_RawRealloc",
        [MT_PYMEM_MALLOC] = "PyMem_Malloc",
        [MT_PYMEM_CALLOC] = "PyMem_Calloc",
        [MT_PYMEM_REALLOC] = "PyMem_Realloc",
        [MT_PYOBJECT_MALLOC] = "PyObject_Malloc",
        [MT_PYOBJECT_CALLOC] = "PyObject_Calloc",
        [MT_PYOBJECT_REALLOC] = "PyObject_Realloc",
    };
    const char *name = allocator < MT_ALLOCATOR_COUNT ? names[allocator] : NULL;
    return name ? name : "?";
}
