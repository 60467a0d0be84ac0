/* Holders as rows of an answer. */
#ifndef MEMTRACE_COMMANDS_HOLDER_WORDS_H
#define MEMTRACE_COMMANDS_HOLDER_WORDS_H

#include "commands/command.h"
#include "commands/handles.h"
#include "commands/holder_chain.h"
#include "commands/holder_name.h"

/* Appends " (weak)", " (guess)", " (borrowed)" to the name of a holder that is not simply an owner. */
void mt_holder_remark(const struct mt_holder *holder, struct mt_strbuf *out);
/* The cell of a name and its place. */
void mt_holder_emit_name(struct mt_emitter *emitter, const struct mt_holder_name *name);
/* What a row's number stands for: the object that holds, or the one whose attribute holds. */
struct mt_handle mt_holder_handle(const struct mt_climber *climber, const struct mt_holder *holder,
                                  const struct mt_chain *chain);
/* `address`, `type`, `link`, `kind`, `counted`; `owner`; of a frame's variable `function`, `file`, `line`, `variable`,
 * `thread`, `frame`; and `name`, as people read it. */
void mt_holder_emit(struct mt_call *call, const struct mt_climber *climber, const struct mt_holder *holder,
                    const struct mt_chain *chain, const struct mt_holder_name *name);

#endif
