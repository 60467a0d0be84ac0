/* One description of an answer, two forms. A command says once what its answer consists of; the emitter makes of it
 * either aligned text that fits a width or the members of one JSON object.
 *
 *   scalars, arrays, objects   are for scripts: JSON only
 *   lines                      are for people: text only
 *   tables                     are both: a column has a title (text), a key (JSON), or both
 *
 * Text of the target goes in as it is and is escaped here. When memory runs out, calls do nothing and mt_emitter_ok()
 * says so. */
#ifndef MEMTRACE_OUTPUT_EMITTER_H
#define MEMTRACE_OUTPUT_EMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "output/json.h"
#include "trace/frame.h"

enum mt_column_kind {
    MT_COLUMN_HANDLE, /* a row's number: `#` */
    MT_COLUMN_NUMBER, /* right-aligned, with separators */
    MT_COLUMN_TEXT,
    MT_COLUMN_VALUE, /* text of any length: the longest of these are cut until the line fits */
    MT_COLUMN_PATH,  /* last column: a file, shortened to fit */
    MT_COLUMN_STACK, /* last column: function, then file, line and callers, shortened to fit */
    MT_COLUMN_NAME,  /* last column: a value that is never cut: where it does not fit it gets a line below its row */
};

struct mt_column {
    enum mt_column_kind kind;
    const char *title; /* NULL: not in text */
    const char *key;   /* NULL: not in JSON */
};

enum mt_row_scope { MT_ROW_BOTH, MT_ROW_TEXT };

struct mt_cell;

struct mt_emitter {
    bool json;
    unsigned width; /* columns; 0: neither wrapped nor cut */
    struct mt_strbuf body;
    /* private */
    struct mt_json writer;
    const struct mt_column *columns;
    size_t column_count;
    size_t column;   /* next column of the row being made */
    bool row_hidden; /* the row being made is not part of this form */
    struct mt_cell *cells;
    size_t cell_count;
    size_t cell_capacity;
};

void mt_emitter_init(struct mt_emitter *emitter, bool json, unsigned width);
void mt_emitter_deinit(struct mt_emitter *emitter);
bool mt_emitter_ok(const struct mt_emitter *emitter);

void mt_emit_unsigned(struct mt_emitter *emitter, const char *key, uint64_t value);
void mt_emit_integer(struct mt_emitter *emitter, const char *key, int64_t value);
void mt_emit_boolean(struct mt_emitter *emitter, const char *key, bool value);
void mt_emit_string(struct mt_emitter *emitter, const char *key, const char *value);
void mt_emit_address(struct mt_emitter *emitter, const char *key, uint64_t value);
void mt_emit_seconds(struct mt_emitter *emitter, const char *key, uint64_t nanoseconds);
void mt_emit_begin(struct mt_emitter *emitter, const char *key, char bracket);
void mt_emit_end(struct mt_emitter *emitter, char bracket);
/* [{"function","file","line"}], innermost first. */
void mt_emit_stack(struct mt_emitter *emitter, const char *key, const struct mt_frame *frames, size_t count);

/* One line (or more, when it is longer than the width: broken at blanks). */
void mt_emit_line(struct mt_emitter *emitter, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "first. second" on one line where that fits, else on two. */
void mt_emit_sentences(struct mt_emitter *emitter, const char *first, const char *second);
/* `label`, then the stack in what remains of the line. */
void mt_emit_place(struct mt_emitter *emitter, const char *label, const struct mt_frame *frames, size_t count);

/* A table; in JSON the array `key` of objects. `columns` and the strings of stacks must live until mt_emit_table_end.
 * Every row gives one cell a column, in order; scalars given inside a row are further members of its JSON object. */
void mt_emit_table_begin(struct mt_emitter *emitter, const char *key, const struct mt_column *columns, size_t count);
void mt_emit_row_begin(struct mt_emitter *emitter, enum mt_row_scope scope);
void mt_emit_cell_number(struct mt_emitter *emitter, uint64_t value);
/* A number that tells how much something changed: with its sign. */
void mt_emit_cell_change(struct mt_emitter *emitter, int64_t value);
/* NULL: an empty cell, no member. In a stack column: a remark in the stack's place. */
void mt_emit_cell_text(struct mt_emitter *emitter, const char *text);
/* A value and something about it that follows it ("holding.py:51") and is kept when the value is cut; NULL or "":
 * nothing. Not in JSON. */
void mt_emit_cell_value(struct mt_emitter *emitter, const char *value, const char *tail);
void mt_emit_cell_stack(struct mt_emitter *emitter, const struct mt_frame *frames, size_t count);
void mt_emit_row_end(struct mt_emitter *emitter);
/* Something to say about the row that has just ended, on a line of its own below it. Only in text. */
void mt_emit_row_remark(struct mt_emitter *emitter, const char *remark);
void mt_emit_table_end(struct mt_emitter *emitter);

#endif
