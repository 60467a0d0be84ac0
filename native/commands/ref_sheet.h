/* The balance of one object's references: who took how many, who dropped how many. */
#ifndef MEMTRACE_COMMANDS_REF_SHEET_H
#define MEMTRACE_COMMANDS_REF_SHEET_H

#include <stdint.h>

#include "base/error.h"
#include "base/string_table.h"
#include "base/vector.h"
#include "commands/command.h"
#include "trace/frame.h"

/* What one place did; numbers of strings are those of the sheet's table. */
struct mt_ref_row {
    uint32_t native;               /* functions of C, innermost first, MT_REF_SEPARATOR between */
    uint32_t function, file, line; /* of Python; the function is "" outside Python */
    uint32_t entry, module;        /* the function outside CPython that CPython had called; "": none */
    uint64_t increments, decrements;
};

/* Where a change was made; strings are copied when they are new. */
struct mt_ref_place {
    const char *native;           /* see mt_ref_row */
    const char *entry, *module;   /* likewise */
    const struct mt_frame *frame; /* of Python; NULL: none */
    bool is_lost;                 /* functions are missing between the last one of `native` and the interpreter */
};

#define MT_REF_SEPARATOR " <- "

struct mt_ref_sheet {
    uint64_t object; /* its address; 0: none was watched yet */
    uint64_t type;   /* its class, an address */
    char *type_name;
    char *python; /* the path of the file that CPython is in; NULL: not known */
    int32_t pid;
    uint64_t start, now; /* reference counts: `now` is that after the last change that was seen */
    uint64_t changes;
    uint64_t lost;   /* of them: those of which functions are missing */
    const char *end; /* why no more is counted; NULL: it goes on. Never freed */
    MT_VECTOR(struct mt_ref_row) rows;
    struct mt_string_table strings;
};

/* The count has changed to `now` at this place. False when memory is out. */
bool mt_ref_sheet_add(struct mt_ref_sheet *sheet, uint64_t now, const struct mt_ref_place *place);
/* The sheet with at most `limit` rows of text, those that kept most first; JSON has all that --limit leaves. First
 * comes the balance of each function that Python has called outside CPython, over all its places. */
struct mt_error *mt_ref_sheet_emit(struct mt_call *call, struct mt_ref_sheet *sheet, size_t limit);
/* Empties it. */
void mt_ref_sheet_deinit(struct mt_ref_sheet *sheet);

#endif
