/* The part of an answer that `peak`, `live` and `diff` share: their rows. */
#ifndef MEMTRACE_COMMANDS_ROW_ANSWER_H
#define MEMTRACE_COMMANDS_ROW_ANSWER_H

#include "base/error.h"
#include "commands/command.h"
#include "trace/rows.h"

/* How many rows the text shows one by one: those that `--limit` asks for; else up to 20 that are at least 1 % each, and
 * more while those shown do not make up most of the whole. JSON: all, or as `--limit` says. */
size_t mt_row_answer_choose(const struct mt_call *call, const struct mt_rows *rows, enum mt_rows_of of);

/* Emits the table of the first `shown` rows, numbers them, and sums up the others. */
struct mt_error *mt_row_answer(struct mt_call *call, const struct mt_image *image, const struct mt_rows *rows,
                               enum mt_rows_of of, size_t shown);

#endif
