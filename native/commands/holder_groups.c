#include "commands/holder_groups.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/string_table.h"
#include "commands/holder_words.h"

#define MOST_NAMED 50000

void mt_holder_groups_deinit(struct mt_holder_groups *groups) {
    for (size_t i = 0; i < groups->list.length; i++)
        mt_holder_name_deinit(&groups->list.data[i].name);
    mt_vector_deinit(&groups->list);
    mt_hash_map_deinit(&groups->index_of);
}

bool mt_holder_groups_find(struct mt_holder_groups *groups, const struct mt_climber *climber,
                           const struct mt_holder *holder, const struct mt_chain *chain, uint32_t *ret_index) {
    uint64_t pattern = mt_hash_u64(mt_holder_pattern(climber, chain) + (unsigned)holder->kind * 2 + holder->counted);
    uint32_t next = (uint32_t)groups->list.length;
    bool is_new;
    const uint64_t *index = mt_hash_map_find_or_insert(&groups->index_of, pattern, next, &is_new);
    if (!index ||
        (is_new && !mt_vector_push(&groups->list, (struct mt_holder_group){.first = *holder, .same_as = next})))
        return false;
    *ret_index = (uint32_t)*index;
    return true;
}

void mt_holder_group_name(struct mt_call *call, const struct mt_climber *climber, struct mt_holder_group *group) {
    struct mt_chain chain;
    if (group->name.text.length > 0)
        return;
    mt_chain_of(climber, &group->first, &chain);
    mt_holder_name(call, climber, &chain, MT_NAME_PATTERN, &group->name);
    mt_holder_remark(&group->first, &group->name.text);
}

/* Appends name and place as one text. */
static bool text_number(struct mt_string_table *texts, const struct mt_holder_name *name, uint32_t *ret) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_strbuf_printf(&text, "%s\n%s\n", mt_strbuf_text(&name->text), mt_strbuf_text(&name->place));
    if (name->has_frame)
        mt_strbuf_append(&text, name->frame.file);
    bool ok = mt_strbuf_ok(&text) && mt_string_table_add(texts, text.data, text.length, ret);
    mt_strbuf_deinit(&text);
    return ok;
}

struct mt_error *mt_holder_groups_name(struct mt_call *call, const struct mt_climber *climber,
                                       struct mt_holder_groups *groups) {
    struct mt_string_table texts = MT_STRING_TABLE_INIT;
    MT_VECTOR(uint32_t) first_of = {0}; /* text -> the group that had it first */
    struct mt_error *error = NULL;
    for (size_t i = 0; i < groups->list.length && groups->list.length <= MOST_NAMED && !error; i++) {
        struct mt_holder_group *group = &groups->list.data[i];
        uint32_t number;
        mt_holder_group_name(call, climber, group);
        if (!text_number(&texts, &group->name, &number) ||
            (number == first_of.length && !mt_vector_push(&first_of, (uint32_t)i))) {
            error = &mt_error_no_memory;
            break;
        }
        group->same_as = first_of.data[number];
        if (group->same_as != i)
            groups->list.data[group->same_as].count += group->count;
        error = mt_watch_poll(&call->watch, "naming holders");
    }
    mt_string_table_deinit(&texts);
    mt_vector_deinit(&first_of);
    return error;
}
