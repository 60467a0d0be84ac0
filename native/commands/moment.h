/* Moments of a recording as arguments, and in answers. */
#ifndef MEMTRACE_COMMANDS_MOMENT_H
#define MEMTRACE_COMMANDS_MOMENT_H

#include "base/strbuf.h"
#include "commands/command.h"
#include "trace/marks.h"

/* Appends "mark 3 `loaded`", "the start", "now". */
void mt_moment_append(struct mt_strbuf *out, const struct mt_moment *moment);
/* {"generation","name","time","pending"}; the beginning is generation 0; null: now. */
void mt_moment_emit(struct mt_emitter *emitter, const char *key, const struct mt_moment *moment);
/* Reads the marks, and finds the one that `word` means. */
struct mt_error *mt_moment_parse(struct mt_call *call, const struct mt_image *image, const char *word,
                                 struct mt_marks *ret_marks, struct mt_moment *ret);

#endif
