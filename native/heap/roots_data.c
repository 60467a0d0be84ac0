/* The writable data of programs and libraries: where C code keeps its static variables. */
#include "heap/roots_parts.h"

#include <elf.h>
#include <string.h>

#include "python/object.h"

/* More program headers than any linker makes. */
#define PROGRAM_HEADERS_MAX 256
/* Nobody makes more references to a static object; what looks like more is an address, or an object of 3.11's runtime,
 * which begins at 999,999,999 (_PyObject_IMMORTAL_REFCNT). */
#define STATIC_COUNT_MAX (1u << 20)
/* The recorder's data are no part of the program; it remembers addresses of objects. */
#define RECORDER "/libmemtrace-recorder.so"

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* Is this region the beginning of a module: its file's first bytes? */
static bool begins_module(const struct mt_region *region) {
    return region->path && region->path[0] == '/' && region->file_offset == 0 && region->readable;
}

static bool read_header(struct mt_python *python, uint64_t base, Elf64_Ehdr *ret) {
    return mt_view_read(python->view, base, ret, sizeof *ret) && memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 &&
           ret->e_ident[EI_CLASS] == ELFCLASS64 && ret->e_phentsize == sizeof(Elf64_Phdr) &&
           ret->e_phnum <= PROGRAM_HEADERS_MAX;
}

/* One module's program headers. */
struct module {
    uint64_t headers, bias;
    unsigned count;
};

static bool read_segment(struct mt_python *python, const struct module *module, unsigned index, Elf64_Phdr *ret) {
    return mt_view_read(python->view, module->headers + index * sizeof *ret, ret, sizeof *ret);
}

/* The end of what the loader has made read-only: it holds nothing that was taken at run time. 0: there is no such. */
static uint64_t read_only_end(struct mt_python *python, const struct module *module) {
    Elf64_Phdr segment;
    for (unsigned i = 0; i < module->count; i++)
        if (read_segment(python, module, i, &segment) && segment.p_type == PT_GNU_RELRO)
            return module->bias + segment.p_vaddr + segment.p_memsz;
    return 0;
}

/* What a header says of a segment is believed as far as memory is mapped there. */
static struct mt_error *visit_mapped(struct mt_python *python, struct mt_module_data *data, mt_module_data_visit *visit,
                                     void *context) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(python->view->target, &regions, &count);
    for (size_t i = 0; i < count && !error; i++) {
        const struct mt_extent *segment = &data->segment;
        data->mapped.start = regions[i].start > segment->start ? regions[i].start : segment->start;
        data->mapped.end = regions[i].end < segment->end ? regions[i].end : segment->end;
        if (regions[i].writable && data->mapped.start < data->mapped.end)
            error = visit(context, data);
    }
    return error;
}

/* The writable segments of the module whose file begins at `base`, with what lies behind their file part (.bss). */
static struct mt_error *visit_segments(struct mt_python *python, uint64_t base, const char *path,
                                       mt_module_data_visit *visit, void *context) {
    Elf64_Ehdr header;
    struct mt_error *error = NULL;
    if (!read_header(python, base, &header))
        return NULL;
    struct module module = {
        .headers = base + header.e_phoff,
        .bias = header.e_type == ET_DYN ? base : 0,
        .count = header.e_phnum,
    };
    uint64_t read_only = read_only_end(python, &module);
    for (unsigned i = 0; i < module.count && !error; i++) {
        Elf64_Phdr segment;
        if (!read_segment(python, &module, i, &segment) || segment.p_type != PT_LOAD || !(segment.p_flags & PF_W))
            continue;
        struct mt_module_data data = {
            .path = path,
            .segment = {.start = module.bias + segment.p_vaddr, .end = module.bias + segment.p_vaddr + segment.p_memsz},
        };
        if (read_only > data.segment.start && read_only <= data.segment.end)
            data.segment.start = read_only;
        error = visit_mapped(python, &data, visit, context);
    }
    return error;
}

struct mt_error *mt_module_data_walk(struct mt_python *python, mt_module_data_visit *visit, void *context) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(python->view->target, &regions, &count);
    const char *last = NULL;
    for (size_t i = 0; i < count && !error; i++) {
        const char *path = regions[i].path;
        bool is_new = begins_module(&regions[i]) && (!last || strcmp(last, path) != 0);
        if (!is_new || ends_with(path, RECORDER))
            continue;
        last = path;
        error = visit_segments(python, regions[i].start, path, visit, context);
    }
    return error;
}

/* --- static objects -------------------------------------------------------------------------------------------------
 */

/* Objects that a module's data consists of, static types among them, begin with one reference that nobody gives up
 * (PyObject_HEAD_INIT). They are found by their ob_type, which is a static type as well. What nobody counts is left
 * out. */
static bool is_static_object(struct mt_python *python, uint64_t address, uint64_t type) {
    const uint64_t *known = mt_hash_map_find(&python->types->index_of, type);
    struct mt_refcount refcount;
    return known && *known != 0 && !mt_types_get(python->types, type)->is_heap &&
           mt_object_is_plausible(python, address) && mt_object_refcount(python, address, &refcount) &&
           !refcount.immortal && refcount.count <= STATIC_COUNT_MAX;
}

static void tell(const struct mt_roots_walk *walk, const char *path, uint64_t where, uint64_t target,
                 const char *name) {
    struct mt_root root = {
        .form = MT_ROOT_DATA,
        .edge = {.target = target, .kind = MT_EDGE_ROOT, .counted = true, .link = {.form = MT_LINK_TEXT, .text = name}},
        .where = where,
        .module = path,
    };
    walk->visit(walk->context, &root);
}

/* Up to 3.10 the variables of exceptions (PyExc_ValueError) hold a reference of their own (PRE_INIT of
 * Objects/exceptions.c). */
static bool has_exception_variable(struct mt_python *python, uint64_t object, uint64_t type) {
    const struct mt_type *exception = type == python->type_type && python->minor <= 10 &&
                                              object >= python->module_start && object < python->module_end
                                          ? mt_types_get(python->types, object)
                                          : NULL;
    return exception && exception->flags & MT_TYPE_EXCEPTION_SUBCLASS;
}

static struct mt_error *tell_data(void *context, const struct mt_module_data *data) {
    const struct mt_roots_walk *walk = context;
    struct mt_python *python = walk->python;
    for (uint64_t where = (data->mapped.start + 7) & ~(uint64_t)7; where + 8 <= data->mapped.end; where += 8) {
        uint64_t word;
        if (!mt_view_u64(python->view, where, &word) || word == 0)
            continue;
        const char *text = mt_roots_known_text(python, where, word);
        if (text)
            tell(walk, data->path, where, word, text);
        else if (is_static_object(python, where - MT_OB_TYPE, word)) {
            tell(walk, data->path, where - MT_OB_TYPE, where - MT_OB_TYPE, "static object");
            if (has_exception_variable(python, where - MT_OB_TYPE, word))
                tell(walk, data->path, where - MT_OB_TYPE, where - MT_OB_TYPE, "PyExc_ variable");
        }
    }
    return mt_watch_poll(walk->watch, "reading static data");
}

struct mt_error *mt_roots_visit_data(const struct mt_roots_walk *walk) {
    return mt_module_data_walk(walk->python, tell_data, (void *)walk);
}
