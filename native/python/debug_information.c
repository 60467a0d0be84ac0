#define _GNU_SOURCE 1

#include "python/debug_information.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/vector.h"
#include "python/debug_file.h"

#define SECONDS_MAX 20
#define DIES_BETWEEN_LOOKS 4096
#define ANONYMOUS_DEPTH_MAX 4
#define STRUCT_NAME_MAX 64
#define SIZE_PREFIX "sizeof("

/* A structure or constant that the layout knows. */
struct wanted {
    char name[STRUCT_NAME_MAX];
    size_t first, count; /* of its fields in reader.fields; a constant has one */
    bool is_constant;
    bool is_complete; /* every expected member was found */
    size_t score;     /* expected members of the best structure of that name so far */
};

struct reader {
    const struct mt_python_layout *expected;
    struct mt_watch *watch;
    struct mt_debug_information *information;
    MT_VECTOR(struct wanted) wanted; /* by name */
    MT_VECTOR(uint16_t) fields;      /* by structure */
    time_t deadline;
    unsigned dies;
};

/* Where CPython has, or had, another name than the layout. */
static const struct {
    const char *ours, *theirs;
} structure_names[] =
    {
        {"FutureIter", "futureiterobject"},
        {"ThreadHandleObject", "PyThreadHandleObject"}, /* 3.13+ */
        {"_PyCFrame", "CFrame"},                        /* 3.10 */
        {"_PyCode_Monitoring", "_PyCoMonitoringData"},
        {"deque_block", "BLOCK"},
        {"listiterobject", "_PyListIterObject"},               /* 3.12+ */
        {"static_builtin_state", "managed_static_type_state"}, /* 3.13+ */
        {"tupleiterobject", "_PyTupleIterObject"},             /* 3.12+ */
},
  member_names[] = {
      {"PyInterpreterState.threads.main", "threads_main"},                 /* 3.12 */
      {"PyInterpreterState.threads.preallocated", "threads_preallocated"}, /* 3.13 */
      {"PyThreadState.trash.delete_later", "trash_delete_later"},          /* up to 3.11 */
      {"PyThreadState.trash.delete_nesting", "trash_delete_nesting"},      /* up to 3.11 */
};

/* --- what is wanted ----------------------------------------------------------------------------------------------- */

/* The structure's (or constant's) name in a field's: "PyDictObject" of "PyDictObject.ma_keys". */
static size_t structure_of(const char *name, const char **ret) {
    size_t prefix = strlen(SIZE_PREFIX);
    if (strncmp(name, SIZE_PREFIX, prefix) == 0) {
        *ret = name + prefix;
        return strcspn(*ret, ")");
    }
    *ret = name;
    return strcspn(name, ".");
}

static int by_structure(const void *left, const void *right) {
    const char *a, *b;
    size_t a_length = structure_of(mt_python_field_name(*(const uint16_t *)left), &a);
    size_t b_length = structure_of(mt_python_field_name(*(const uint16_t *)right), &b);
    int order = strncmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (int)a_length - (int)b_length;
}

static bool add_wanted(struct reader *reader, size_t index) {
    const char *name, *full = mt_python_field_name(reader->fields.data[index]);
    size_t length = structure_of(full, &name);
    struct wanted *last = reader->wanted.length ? &reader->wanted.data[reader->wanted.length - 1] : NULL;
    if (last && strlen(last->name) == length && strncmp(last->name, name, length) == 0) {
        last->count++;
        return true;
    }
    struct wanted wanted = {.first = index, .count = 1, .is_constant = name == full && !full[length]};
    if (length >= sizeof wanted.name)
        return true;
    memcpy(wanted.name, name, length);
    return mt_vector_push(&reader->wanted, wanted);
}

static bool list_wanted(struct reader *reader) {
    for (unsigned field = 0; field < MT_FIELD_COUNT; field++)
        if (!reader->information->known[field] && !mt_vector_push(&reader->fields, (uint16_t)field))
            return false;
    qsort(reader->fields.data, reader->fields.length, sizeof *reader->fields.data, by_structure);
    for (size_t i = 0; i < reader->fields.length; i++)
        if (!add_wanted(reader, i))
            return false;
    return true;
}

static int compare_name(const void *name, const void *wanted) {
    return strcmp(name, ((const struct wanted *)wanted)->name);
}

static struct wanted *find_wanted(struct reader *reader, const char *name) {
    for (size_t i = 0; name && i < sizeof structure_names / sizeof structure_names[0]; i++)
        if (strcmp(name, structure_names[i].theirs) == 0)
            name = structure_names[i].ours;
    return name ? bsearch(name, reader->wanted.data, reader->wanted.length, sizeof *reader->wanted.data, compare_name)
                : NULL;
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static bool type_of(Dwarf_Die *die, Dwarf_Die *ret) {
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &type) &&
           dwarf_peel_type(&type, ret) == 0;
}

static bool is_structure(Dwarf_Die *die) {
    int tag = dwarf_tag(die);
    return (tag == DW_TAG_structure_type || tag == DW_TAG_union_type) && !dwarf_hasattr(die, DW_AT_declaration);
}

static bool read_number(Dwarf_Die *die, unsigned name, Dwarf_Word *ret) {
    Dwarf_Attribute attribute;
    return dwarf_attr(die, name, &attribute) && dwarf_formudata(&attribute, ret) == 0;
}

/* Of a bit-field: of the byte that has its first bit. Up to DWARF 4 bits were counted from the highest one of a word.
 */
static Dwarf_Word member_offset(Dwarf_Die *member) {
    Dwarf_Word offset = 0, first, count, size;
    Dwarf_Die type;
    if (read_number(member, DW_AT_data_bit_offset, &first))
        return first / 8;
    read_number(member, DW_AT_data_member_location, &offset);
    if (read_number(member, DW_AT_bit_offset, &first) && read_number(member, DW_AT_bit_size, &count) &&
        type_of(member, &type) && dwarf_aggregate_size(&type, &size) == 0 && first + count <= 8 * size)
        offset += (8 * size - first - count) / 8;
    return offset;
}

/* A member by name, also in structures without a name inside of it. */
static bool find_member(Dwarf_Die *structure, const char *name, size_t length, unsigned depth, Dwarf_Word *offset,
                        Dwarf_Die *ret_type) {
    Dwarf_Die member;
    if (dwarf_child(structure, &member) != 0)
        return false;
    do {
        if (dwarf_tag(&member) != DW_TAG_member)
            continue;
        const char *found = dwarf_diename(&member);
        Dwarf_Die type;
        if (found && strncmp(found, name, length) == 0 && !found[length] && type_of(&member, ret_type)) {
            *offset += member_offset(&member);
            return true;
        }
        Dwarf_Word inside = *offset + member_offset(&member);
        if (!found && depth < ANONYMOUS_DEPTH_MAX && type_of(&member, &type) && is_structure(&type) &&
            find_member(&type, name, length, depth + 1, &inside, ret_type)) {
            *offset = inside;
            return true;
        }
    } while (dwarf_siblingof(&member, &member) == 0);
    return false;
}

static bool read_dimension(Dwarf_Die *range, Dwarf_Word *ret) {
    if (read_number(range, DW_AT_count, ret))
        return true;
    if (!read_number(range, DW_AT_upper_bound, ret))
        return false;
    (*ret)++;
    return true;
}

/* The distance of the elements of an array along its first dimension. */
static bool array_stride(Dwarf_Die *array, Dwarf_Die *ret_element, Dwarf_Word *ret) {
    Dwarf_Die range;
    Dwarf_Word count;
    bool is_first = true;
    if (dwarf_tag(array) != DW_TAG_array_type || !type_of(array, ret_element) ||
        dwarf_aggregate_size(ret_element, ret) != 0 || dwarf_child(array, &range) != 0)
        return false;
    do {
        if (dwarf_tag(&range) != DW_TAG_subrange_type)
            continue;
        if (!is_first && read_dimension(&range, &count))
            *ret *= count;
        is_first = false;
    } while (dwarf_siblingof(&range, &range) == 0);
    return true;
}

/* "gc.generations[].head" in a structure: the offset, counted from the last element; "...[]": a distance. */
static bool resolve(const Dwarf_Die *structure, const char *path, int64_t *ret) {
    Dwarf_Die type = *structure;
    Dwarf_Word offset = 0;
    while (*path) {
        size_t length = strcspn(path, ".[");
        if (!is_structure(&type) || !find_member(&type, path, length, 0, &offset, &type))
            return false;
        path += length;
        if (strncmp(path, "[]", 2) == 0) {
            Dwarf_Die element;
            Dwarf_Word stride;
            if (!array_stride(&type, &element, &stride))
                return false;
            path += 2;
            offset = *path ? 0 : stride;
            type = element;
        }
        path += *path == '.';
    }
    *ret = (int64_t)offset;
    return true;
}

static bool resolve_other_name(const Dwarf_Die *structure, const char *name, int64_t *ret) {
    for (size_t i = 0; i < sizeof member_names / sizeof member_names[0]; i++)
        if (strcmp(name, member_names[i].ours) == 0)
            return resolve(structure, member_names[i].theirs, ret);
    return false;
}

static bool resolve_field(Dwarf_Die *structure, const struct wanted *wanted, uint16_t field, int64_t *ret) {
    const char *name = mt_python_field_name(field);
    Dwarf_Word size;
    if (strncmp(name, SIZE_PREFIX, strlen(SIZE_PREFIX)) != 0)
        return resolve(structure, name + strlen(wanted->name) + 1, ret) || resolve_other_name(structure, name, ret);
    if (dwarf_aggregate_size(structure, &size) != 0)
        return false;
    *ret = (int64_t)size;
    return true;
}

/* --- top level ---------------------------------------------------------------------------------------------------- */

static void take(struct reader *reader, uint16_t field, int64_t value) {
    struct mt_debug_information *information = reader->information;
    information->known_count += !information->known[field];
    information->known[field] = true;
    information->value[field] = value;
}

/* Counts the expected members, and takes them all when there are more than in the best one so far. */
static void try_structure(struct reader *reader, struct wanted *wanted, Dwarf_Die *structure) {
    size_t score = 0, expected = 0;
    int64_t value;
    for (size_t i = 0; i < wanted->count; i++) {
        uint16_t field = reader->fields.data[wanted->first + i];
        if (reader->expected->value[field] >= 0) {
            expected++;
            score += resolve_field(structure, wanted, field, &value);
        }
    }
    if (score <= wanted->score)
        return;
    wanted->score = score;
    wanted->is_complete = score == expected;
    for (size_t i = 0; i < wanted->count; i++) {
        uint16_t field = reader->fields.data[wanted->first + i];
        take(reader, field, resolve_field(structure, wanted, field, &value) ? value : -1);
    }
}

static void visit_enumeration(struct reader *reader, Dwarf_Die *enumeration) {
    Dwarf_Die enumerator;
    if (dwarf_child(enumeration, &enumerator) != 0)
        return;
    do {
        struct wanted *wanted = find_wanted(reader, dwarf_diename(&enumerator));
        Dwarf_Attribute attribute;
        Dwarf_Sword value;
        if (wanted && wanted->is_constant && !wanted->is_complete &&
            dwarf_attr(&enumerator, DW_AT_const_value, &attribute) && dwarf_formsdata(&attribute, &value) == 0) {
            wanted->is_complete = true;
            take(reader, reader->fields.data[wanted->first], value);
        }
    } while (dwarf_siblingof(&enumerator, &enumerator) == 0);
}

static void visit_die(struct reader *reader, Dwarf_Die *die) {
    int tag = dwarf_tag(die);
    if (tag == DW_TAG_enumeration_type) {
        visit_enumeration(reader, die);
        return;
    }
    if (tag != DW_TAG_structure_type && tag != DW_TAG_union_type && tag != DW_TAG_typedef)
        return;
    struct wanted *wanted = find_wanted(reader, dwarf_diename(die));
    Dwarf_Die structure;
    if (wanted && !wanted->is_constant && !wanted->is_complete && dwarf_peel_type(die, &structure) == 0 &&
        is_structure(&structure))
        try_structure(reader, wanted, &structure);
}

static time_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static struct mt_error *look_up(struct reader *reader) {
    if (++reader->dies % DIES_BETWEEN_LOOKS)
        return NULL;
    if (now() > reader->deadline)
        return mt_error_create(MT_ERROR_SYSTEM, "the debug information is too much to read");
    return mt_watch_poll(reader->watch, "reading debug information");
}

static struct mt_error *visit_units(struct reader *reader, Dwarf *dwarf) {
    Dwarf_CU *unit = NULL;
    Dwarf_Die top, die;
    struct mt_error *error = NULL;
    while (!error && dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &top, NULL) == 0) {
        if (dwarf_child(&top, &die) != 0)
            continue;
        do {
            visit_die(reader, &die);
            error = look_up(reader);
        } while (!error && dwarf_siblingof(&die, &die) == 0);
    }
    return error;
}

struct mt_error *mt_debug_information_read(int fd, const char *path, const char *root,
                                           const struct mt_python_layout *expected, struct mt_watch *watch,
                                           struct mt_debug_information *information) {
    struct mt_debug_file file;
    if (!mt_debug_file_open(fd, path, root, &file))
        return mt_error_create(MT_ERROR_NOT_FOUND, "there is no debug information of %s", path);
    struct reader reader = {
        .expected = expected, .watch = watch, .information = information, .deadline = now() + SECONDS_MAX};
    struct mt_error *error = list_wanted(&reader) ? visit_units(&reader, file.dwarf) : &mt_error_no_memory;
    Dwarf *common = error ? NULL : dwarf_getalt(file.dwarf);
    if (common)
        error = visit_units(&reader, common);
    mt_vector_deinit(&reader.wanted);
    mt_vector_deinit(&reader.fields);
    mt_debug_file_close(&file);
    return error;
}
