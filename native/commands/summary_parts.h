/* What `summary` finds out, and its parts: the verdict, what to try next, what is shown. */
#ifndef MEMTRACE_COMMANDS_SUMMARY_PARTS_H
#define MEMTRACE_COMMANDS_SUMMARY_PARTS_H

#include "commands/command.h"
#include "heap/keepers.h"
#include "heap/memory_map.h"

#define MT_SUMMARY_TYPES 5
/* Garbage of at least this part of the objects: a little there always is. */
#define MT_SUMMARY_WORTH_TELLING 100

/* Where the memory is, in one word; the order is that of preference when two are equal. */
enum mt_verdict {
    MT_VERDICT_HELD,
    MT_VERDICT_GARBAGE,
    MT_VERDICT_SLACK,
    MT_VERDICT_NATIVE,
    MT_VERDICT_FILES,
    MT_VERDICT_STACKS,
    MT_VERDICT_SMALL
};

struct mt_summary_type {
    const struct mt_type *type;
    uint64_t count;
    uint64_t bytes;
};

struct mt_summary {
    struct mt_call *call;
    struct mt_target *target;
    struct mt_python *python;
    struct mt_graph *graph;
    const struct mt_image *image; /* NULL: nothing was recorded */
    struct mt_memory_map *map;
    struct mt_keepers keepers;
    struct mt_summary_type types[MT_SUMMARY_TYPES];
    size_t type_count; /* of those */
    uint64_t all_types;
    uint64_t object_bytes;  /* of all objects, as they say */
    uint64_t held, garbage; /* the objects' part of what is resident, shared out */
    size_t threads;
    bool is_resident; /* the kernel said what is resident; else it is what the target holds */
    bool collector_off;
    size_t keeper_number; /* of its row */
    enum mt_verdict verdict;
};

/* Sets `verdict` by what was found out. */
void mt_summary_judge(struct mt_summary *summary);
void mt_summary_emit_verdict(const struct mt_summary *summary);
/* All that stands above the verdict. */
void mt_summary_emit_findings(struct mt_summary *summary);
void mt_summary_emit_hints(const struct mt_summary *summary);

#endif
