/* Options of commands: one table says which there are, what values they take and what they mean; parsing, help and
 * completion come from it. */
#ifndef MEMTRACE_COMMANDS_OPTIONS_H
#define MEMTRACE_COMMANDS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "image/image.h"

#define MT_TYPE_WORD 256 /* bytes of a type's name as an argument, its NUL among them */
#define MT_ADDRESS_WORD 256
#define MT_CONDITION 512
#define MT_PLACE_WORD 240

/* Which options a command takes: a sum of these. */
enum mt_option {
    MT_OPTION_BY = 1 << 0,
    MT_OPTION_LEVEL = 1 << 1,
    MT_OPTION_LIMIT = 1 << 2,
    MT_OPTION_JSON = 1 << 3,
    MT_OPTION_SINCE = 1 << 4,
    MT_OPTION_NO_VALUES = 1 << 5,
    MT_OPTION_TYPE = 1 << 6,
    MT_OPTION_THREAD = 1 << 7,
    MT_OPTION_FRAME = 1 << 8,
    MT_OPTION_DEEP = 1 << 9,
    MT_OPTION_EXCLUSIVE = 1 << 10,
    MT_OPTION_ALL_ROOTS = 1 << 11,
    MT_OPTION_DIRECT = 1 << 12,
    MT_OPTION_HEAP = 1 << 13,
    MT_OPTION_ALLOC = 1 << 14,
    MT_OPTION_NEW_PEAK = 1 << 15,
    MT_OPTION_ABOVE = 1 << 16,
    MT_OPTION_FREE = 1 << 17,
    MT_OPTION_TYPE_COUNT = 1 << 18,
    MT_OPTION_IF = 1 << 19,
    MT_OPTION_TEMPORARY = 1 << 20,
    MT_OPTION_LINE = 1 << 21,
    MT_OPTION_FUNCTION = 1 << 22,
    MT_OPTION_REFS = 1 << 23,
    MT_OPTION_REFS_OF_NEXT = 1 << 24,
    MT_OPTION_FORCE = 1 << 25,
};

struct mt_options {
    unsigned given;           /* sum of enum mt_option */
    unsigned by;              /* enum mt_group_by */
    unsigned level;           /* enum mt_level */
    size_t limit;             /* rows; SIZE_MAX: all */
    char since[MT_MARK_NAME]; /* a mark's number or name */
    char type[MT_TYPE_WORD];  /* a type as people write it; of --refs-of-next also an address */
    size_t thread;            /* a thread's number (from 1 on); SIZE_MAX: not given */
    uint64_t size;            /* of --heap and --alloc */
    uint64_t above;
    char block[MT_ADDRESS_WORD]; /* of --free and --refs: an address as people write it */
    uint64_t count;              /* of --type-count; its TYPE is `type` */
    char condition[MT_CONDITION];
    char place[MT_PLACE_WORD]; /* the file of --line, the name of --function */
    uint64_t line;             /* of --line */
    size_t frame;              /* a frame's number in its thread, 0 is the innermost; SIZE_MAX: not given */
};

/* Parses the options at the start of `line`; *ret_rest points behind them and behind the blanks that follow (and behind
 * `--`). `accepted` are the options of the command. Outputs are set as far as parsing came also when there is an error,
 * so that an error can be shown in the form that was asked for. */
struct mt_error *mt_options_parse(const char *line, unsigned accepted, struct mt_options *ret, const char **ret_rest);

/* Lines for a command's help, at most 78 columns wide. */
void mt_options_help(unsigned accepted, struct mt_strbuf *out);

/* Appends whole words, a line each, that may stand for the last of `words` (which may be empty): option names when it
 * starts with `-`, values when an option before it wants one. */
void mt_options_complete(const char *previous_word, const char *word, unsigned accepted, struct mt_strbuf *out);

/* Is `previous_word` an option whose value is a type's name? */
bool mt_options_wants_type(const char *previous_word, unsigned accepted);

#endif
