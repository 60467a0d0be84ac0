#include "commands/holder_name.h"

#include <inttypes.h>
#include <string.h>

#include "output/place.h"
#include "python/object.h"

#define LONGEST_KEY 40   /* bytes of a key's repr */
#define LONGEST_NAME 200 /* bytes of a variable's, function's or module's name */

/* A name while it is made: "LEAD of OPEN EXPRESSION CLOSE", each part may be empty. What follows a part of an
 * expression
 * (`.sinks`, `[2]`) goes to its end; what is none ("key", "element") goes in front, and so does then all that follows.
 */
struct naming {
    const struct mt_call *call;
    const struct mt_climber *climber;
    struct mt_python *python;
    enum mt_name_style style;
    struct mt_strbuf head, lead, open, expression, close;
    bool head_is_word; /* "key", "element": nothing can be a part of it */
    struct mt_holder_name *name;
};

static uint64_t address_of(const struct naming *naming, uint32_t object) {
    return naming->climber->graph->census->addresses[object];
}

static const struct mt_type *type_of(const struct naming *naming, uint32_t object) {
    return mt_census_type(naming->climber->graph->census, object);
}

/* The pointer in a member of a structure; 0: it can't be read, or this version has no such member. */
static uint64_t member(struct mt_python *python, uint64_t address, int64_t offset) {
    uint64_t value = 0;
    return offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, &value) ? value : 0;
}

static void append_str(const struct naming *naming, uint64_t str, struct mt_strbuf *out) {
    if (str == 0 || !mt_str_append(naming->python, str, LONGEST_NAME, out))
        mt_strbuf_append(out, "?");
}

/* --- places ------------------------------------------------------------------------------------------------------- */

static void append_place(struct mt_strbuf *out, const struct mt_frame_place *place) {
    mt_strbuf_append(out, place->file[0] != '\0' ? mt_place_tail(place->file, 1) : "?");
    if (place->line > 0)
        mt_strbuf_printf(out, ":%" PRId32, place->line);
}

static uint64_t code_of_function(struct mt_python *python, uint64_t function) {
    return member(python, function, MT_AT(&python->layout, PyFunctionObject, func_code));
}

/* Appends "Algorithms.factorial_plus" and sets the place. */
static void append_function(struct naming *naming, uint64_t function, struct mt_strbuf *out) {
    struct mt_python *python = naming->python;
    const struct mt_type *type = mt_object_type(python, function);
    struct mt_frame_place place;
    if (!type || type->kind != MT_KIND_FUNCTION) {
        mt_strbuf_append(out, type ? type->name : "?");
        return;
    }
    append_str(naming, member(python, function, MT_AT(&python->layout, PyFunctionObject, func_qualname)), out);
    if (mt_code_place(python, code_of_function(python, function), &place))
        append_place(&naming->name->place, &place);
}

/* --- links -------------------------------------------------------------------------------------------------------- */

void mt_holder_link(const struct mt_call *call, struct mt_python *python, const struct mt_link *link,
                    struct mt_strbuf *out) {
    if (link->form == MT_LINK_KEY && (call->options.given & MT_OPTION_NO_VALUES))
        mt_strbuf_append(out, "[...]");
    else
        mt_link_append(python, link, out);
}

bool mt_holder_link_is_name(struct mt_python *python, const struct mt_link *link) {
    const struct mt_type *type = link->form == MT_LINK_KEY ? mt_object_type(python, link->name) : NULL;
    return type && type->kind == MT_KIND_STR;
}

static void append_key(const struct naming *naming, const struct mt_link *link, struct mt_strbuf *out) {
    mt_strbuf_append_char(out, '[');
    if (naming->call->options.given & MT_OPTION_NO_VALUES)
        mt_strbuf_append(out, "...");
    else
        mt_value_append(naming->python, link->name, LONGEST_KEY, out);
    mt_strbuf_append_char(out, ']');
}

/* Makes `text` the head. */
static void put_head(struct naming *naming, const char *text, bool is_word) {
    struct mt_strbuf lead = MT_STRBUF_INIT;
    mt_strbuf_append(&lead, mt_strbuf_text(&naming->head));
    if (naming->head.length > 0 && naming->lead.length > 0)
        mt_strbuf_append(&lead, " of ");
    mt_strbuf_append(&lead, mt_strbuf_text(&naming->lead));
    mt_strbuf_deinit(&naming->lead);
    naming->lead = lead;
    naming->head.length = 0;
    mt_strbuf_append(&naming->head, text);
    naming->head_is_word = is_word;
}

static bool is_part(const struct mt_link *link) {
    return link->form == MT_LINK_INDEX || link->form == MT_LINK_KEY || link->form == MT_LINK_ATTRIBUTE;
}

/* Appends `.name`, `[3]` or `['key']`. */
static void append_part(const struct naming *naming, const struct mt_link *link, struct mt_strbuf *out) {
    if (link->form == MT_LINK_ATTRIBUTE)
        mt_link_append(naming->python, link, out);
    else if (naming->style == MT_NAME_PATTERN)
        mt_strbuf_append(out, "[*]");
    else if (link->form == MT_LINK_INDEX)
        mt_strbuf_printf(out, "[%" PRIu64 "]", link->number);
    else
        append_key(naming, link, out);
}

static bool is_word(const struct mt_link *link) {
    return mt_link_is(link, MT_LINK_TEXT, "key") || mt_link_is(link, MT_LINK_TEXT, "element") ||
           (link->text && strchr(link->text, ' '));
}

static void append_link(struct naming *naming, const struct mt_link *link) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    if (is_part(link) && naming->head.length == 0) {
        append_part(naming, link, &naming->expression);
    } else if (is_part(link) && !naming->head_is_word) {
        append_part(naming, link, &naming->head);
    } else if (is_part(link)) {
        append_part(naming, link, &text);
        put_head(naming, mt_strbuf_text(&text), false);
    } else {
        mt_holder_link(naming->call, naming->python, link, &text);
        put_head(naming, mt_strbuf_text(&text), is_word(link));
    }
    mt_strbuf_deinit(&text);
}

/* The links from the top of the chain downwards, of which `*left` are not told yet. */
static void append_links(struct naming *naming, const struct mt_chain *chain, size_t left) {
    while (left > 0) {
        const struct mt_chain_link *link = &chain->links[--left];
        if (mt_link_is_namespace(&link->link) && left > 0 &&
            mt_holder_link_is_name(naming->python, &chain->links[left - 1].link)) {
            struct mt_link attribute = {.form = MT_LINK_ATTRIBUTE, .name = chain->links[--left].link.name};
            append_link(naming, &attribute);
        } else if (mt_chain_kind(naming->climber, link->source) != MT_KIND_CELL) {
            append_link(naming, &link->link);
        }
    }
}

/* --- what a chain ends at ------------------------------------------------------------------------------------------
 */

/* A variable of a frame: "local `NAME" is the expression, what follows is a part of it. */
static void begin_variable(struct naming *naming, const struct mt_link *link) {
    if (link->form == MT_LINK_NAMED && link->name != 0) {
        mt_strbuf_printf(&naming->open, "%s `", link->text);
        append_str(naming, link->name, &naming->expression);
        mt_strbuf_append_char(&naming->close, '`');
    } else {
        mt_link_append(naming->python, link, &naming->expression);
    }
    mt_strbuf_append(&naming->close, " of ");
}

/* "... of process_data()", at its line. */
static void end_variable(struct naming *naming) {
    struct mt_holder_name *name = naming->name;
    mt_strbuf_printf(&naming->close, "%s()", name->frame.function);
    append_place(&name->place, &name->frame);
    if (naming->style == MT_NAME_EXACT && name->thread > 0)
        mt_strbuf_printf(&name->place, ", thread %" PRIu32 ", frame %" PRIu32, name->thread, name->frame_number);
}

static void begin_at_frame(struct naming *naming, const struct mt_root *root) {
    struct mt_python_frame frame;
    struct mt_holder_name *name = naming->name;
    begin_variable(naming, &root->edge.link);
    name->has_frame =
        mt_frame_read(naming->python, root->where, &frame) && mt_frame_place(naming->python, &frame, &name->frame);
    if (!name->has_frame) {
        mt_strbuf_append(&naming->close, "a frame");
        return;
    }
    name->thread = root->thread;
    name->frame_number = root->frame;
    end_variable(naming);
}

static void begin_at_root(struct naming *naming, const struct mt_root *root) {
    if (root->form == MT_ROOT_LOCAL) {
        begin_at_frame(naming, root);
        return;
    }
    struct mt_strbuf *close = &naming->close;
    if (root->edge.kind == MT_EDGE_ROOT)
        mt_link_append(naming->python, &root->edge.link, &naming->expression);
    else
        mt_strbuf_append(&naming->expression, "a word");
    switch (root->form) {
    case MT_ROOT_LOCAL:
        break;
    case MT_ROOT_FRAME:
        mt_strbuf_append(close, " of a frame");
        break;
    case MT_ROOT_THREAD:
        mt_strbuf_printf(close, " of thread %" PRIu32, root->thread);
        break;
    case MT_ROOT_INTERPRETER:
        mt_strbuf_append(close, " of the interpreter");
        break;
    case MT_ROOT_RUNTIME:
        mt_strbuf_append(close, " of CPython's own data");
        break;
    case MT_ROOT_DATA:
        mt_strbuf_printf(close, " in the data of %s", root->module ? mt_place_tail(root->module, 1) : "a C library");
        break;
    case MT_ROOT_STACK:
        mt_strbuf_append(close, " on ");
        if (root->thread > 0)
            mt_strbuf_printf(close, "the C stack of thread %" PRIu32, root->thread);
        else
            mt_strbuf_append(close, "a C stack");
        break;
    case MT_ROOT_NATIVE:
        mt_strbuf_append(close, " in a block that C code allocated");
        break;
    }
}

static void append_module(const struct naming *naming, uint32_t module, struct mt_strbuf *out) {
    struct mt_python *python = naming->python;
    append_str(naming, member(python, address_of(naming, module), MT_AT(&python->layout, PyModuleObject, md_name)),
               out);
}

static void append_class(const struct naming *naming, uint32_t class, struct mt_strbuf *out) {
    const struct mt_type *type = mt_types_get(naming->python->types, address_of(naming, class));
    mt_strbuf_append(out, type ? type->name : "?");
}

/* Does the chain end at a name in the namespace of a module or class? */
static bool is_global(const struct mt_climber *climber, const struct mt_chain *chain) {
    return chain->count > 1 && mt_link_is_namespace(&chain->links[chain->count - 1].link) &&
           mt_holder_link_is_name(climber->graph->census->python, &chain->links[chain->count - 2].link);
}

/* "global `CTX` of module app"; with more behind it: "app.CTX". Returns how many links were told. */
static size_t begin_at_namespace(struct naming *naming, const struct mt_chain *chain) {
    uint32_t owner = chain->links[chain->count - 1].source;
    bool is_module = mt_chain_kind(naming->climber, owner) == MT_KIND_MODULE, is_last = chain->count == 2;
    struct mt_strbuf *out = is_last ? &naming->close : &naming->expression;
    if (is_last) {
        mt_strbuf_append(&naming->open, is_module ? "global `" : "class attribute `");
        mt_strbuf_append(&naming->close, is_module ? "` of module " : "` of ");
    }
    if (is_module)
        append_module(naming, owner, out);
    else
        append_class(naming, owner, out);
    if (!is_last)
        mt_strbuf_append_char(&naming->expression, '.');
    append_str(naming, chain->links[chain->count - 2].link.name, &naming->expression);
    return 2;
}

/* Name of the free variable whose cell is item `index` of a function's closure; 0: unknown. */
static uint64_t free_variable(struct mt_python *python, uint64_t function, uint64_t index) {
    const struct mt_python_layout *layout = &python->layout;
    uint64_t code = code_of_function(python, function);
    uint64_t closure = member(python, function, MT_AT(layout, PyFunctionObject, func_closure));
    uint64_t names = member(python, code, MT_AT(layout, PyCodeObject, co_freevars));
    if (names == 0) /* 3.11+: the last of all names of variables */
        names = member(python, code, MT_AT(layout, PyCodeObject, co_localsplusnames));
    uint64_t free_count = member(python, closure, MT_OB_SIZE), count = member(python, names, MT_OB_SIZE);
    if (code == 0 || names == 0 || index >= free_count || free_count > count)
        return 0;
    return member(python, names,
                  MT_AT(layout, PyTupleObject, ob_item) + (int64_t)((count - free_count + index) * sizeof(uint64_t)));
}

/* "default[0] of f()", "kwdefault NAME of f()", "cell NAME of f()", "func_dict of f()". */
static size_t begin_at_function(struct naming *naming, const struct mt_chain *chain) {
    const struct mt_chain_link *top = &chain->links[chain->count - 1];
    const struct mt_link *below = chain->count > 1 ? &chain->links[chain->count - 2].link : NULL;
    uint64_t function = address_of(naming, top->source), name;
    size_t told = 2;
    if (below && mt_link_is(&top->link, MT_LINK_TEXT, "func_defaults") && below->form == MT_LINK_INDEX) {
        mt_strbuf_printf(&naming->head, "default[%" PRIu64 "]", below->number);
    } else if (below && mt_link_is(&top->link, MT_LINK_TEXT, "func_kwdefaults") && below->form == MT_LINK_KEY) {
        mt_strbuf_append(&naming->head, "kwdefault ");
        append_str(naming, below->name, &naming->head);
        naming->head_is_word = true;
    } else if (below && mt_link_is(&top->link, MT_LINK_TEXT, "func_closure") && below->form == MT_LINK_INDEX &&
               (name = free_variable(naming->python, function, below->number)) != 0) {
        mt_strbuf_append(&naming->head, "cell ");
        append_str(naming, name, &naming->head);
        naming->head_is_word = true;
    } else {
        told = 1;
        mt_holder_link(naming->call, naming->python, &top->link, &naming->head);
    }
    mt_strbuf_append(&naming->close, " of ");
    append_function(naming, function, &naming->close);
    mt_strbuf_append(&naming->close, "()");
    return told;
}

/* "args[0] of a key in the cache of Algorithms.factorial_plus": from the cache's dict a key leads to a tuple of
 * arguments (or to the only argument), a value to the result; of bounded caches to an element that has both. */
static size_t begin_at_cache(struct naming *naming, const struct mt_chain *chain) {
    const struct mt_chain_link *links = chain->links;
    uint64_t cache = address_of(naming, links[chain->count - 1].source);
    size_t left = chain->count - 2; /* below the cache and its dict */
    bool is_key = links[left].link.form != MT_LINK_KEY;
    if (left > 0 && mt_chain_kind(naming->climber, links[left - 1].source) == MT_KIND_LRU_ELEMENT) {
        left--;
        is_key = mt_link_is(&links[left].link, MT_LINK_TEXT, "cache key");
    }
    if (is_key && left > 0 && mt_chain_kind(naming->climber, links[left - 1].source) == MT_KIND_TUPLE) {
        left--;
        mt_strbuf_printf(&naming->head, "args[%" PRIu64 "] of ", links[left].link.number);
    }
    mt_strbuf_append(&naming->head, is_key ? "a key in the cache of " : "a value in the cache of ");
    append_function(naming, member(naming->python, cache, MT_AT(&naming->python->layout, lru_cache_object, func)),
                    &naming->head);
    naming->head_is_word = true;
    return chain->count - left;
}

/* The first code object that a generator, coroutine or frame refers to. */
static void take_code(void *context, const struct mt_edge *edge) {
    struct naming *naming = context;
    const struct mt_type *type = mt_object_type(naming->python, edge->target);
    if (naming->name->has_frame || !type || type->kind != MT_KIND_CODE)
        return;
    naming->name->has_frame = mt_code_place(naming->python, edge->target, &naming->name->frame);
}

/* The type of the generator that a frame object belongs to, of 3.9 and 3.10; else the object's own. */
static const struct mt_type *type_of_suspended(const struct naming *naming, uint32_t object) {
    struct mt_python *python = naming->python;
    const struct mt_type *type = type_of(naming, object), *generator = NULL;
    if (type->kind == MT_KIND_FRAME)
        generator = mt_object_type(
            python, member(python, address_of(naming, object), MT_AT(&python->layout, PyFrameObject, f_gen)));
    return generator ? generator : type;
}

/* "local `x` of generator f()": of a frame that an object holds; it runs or not. */
static size_t begin_at_frame_object(struct naming *naming, const struct mt_chain *chain) {
    const struct mt_chain_link *top = &chain->links[chain->count - 1];
    struct mt_holder_name *name = naming->name;
    uint64_t address = address_of(naming, top->source);
    struct mt_python_frame frame;
    begin_variable(naming, &top->link);
    if (mt_chain_kind(naming->climber, top->source) == MT_KIND_FRAME)
        name->has_frame =
            mt_frame_read(naming->python, address, &frame) && mt_frame_place(naming->python, &frame, &name->frame);
    if (!name->has_frame)
        mt_edges_visit(naming->python, address, type_of(naming, top->source), take_code, naming);
    bool runs = mt_climber_running_frame(naming->climber, address, &name->thread, &name->frame_number);
    if (!runs || !name->has_frame)
        mt_strbuf_append(&naming->close, type_of_suspended(naming, top->source)->name);
    if (!runs && name->has_frame)
        mt_strbuf_append_char(&naming->close, ' ');
    if (name->has_frame)
        end_variable(naming);
    return 1;
}

/* Anything else: ".orders[3] of Customer at 0x..". */
static size_t begin_at_object(struct naming *naming, const struct mt_chain *chain) {
    uint32_t object = chain->links[chain->count - 1].source;
    enum mt_kind kind = mt_chain_kind(naming->climber, object);
    if (kind == MT_KIND_TYPE) {
        mt_strbuf_append(&naming->close, " of class ");
        append_class(naming, object, &naming->close);
        return 0;
    }
    if (kind == MT_KIND_MODULE && naming->style == MT_NAME_EXACT) {
        mt_strbuf_append(&naming->close, " of module ");
        append_module(naming, object, &naming->close);
        return 0;
    }
    mt_strbuf_printf(&naming->close, " of %s", type_of(naming, object)->name);
    if (naming->style == MT_NAME_EXACT)
        mt_strbuf_printf(&naming->close, " at 0x%" PRIx64, address_of(naming, object));
    return 0;
}

static size_t begin(struct naming *naming, const struct mt_chain *chain) {
    const struct mt_chain_link *top = &chain->links[chain->count - 1];
    switch (mt_chain_kind(naming->climber, top->source)) {
    case MT_KIND_MODULE:
    case MT_KIND_TYPE:
        if (is_global(naming->climber, chain))
            return begin_at_namespace(naming, chain);
        return begin_at_object(naming, chain);
    case MT_KIND_FUNCTION:
        return begin_at_function(naming, chain);
    case MT_KIND_FRAME:
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
        return begin_at_frame_object(naming, chain);
    case MT_KIND_LRU_CACHE:
        return mt_holder_cache(naming->climber, chain) != MT_NO_OBJECT ? begin_at_cache(naming, chain)
                                                                       : begin_at_object(naming, chain);
    default:
        return begin_at_object(naming, chain);
    }
}

/* --- names -------------------------------------------------------------------------------------------------------- */

void mt_holder_name(const struct mt_call *call, const struct mt_climber *climber, const struct mt_chain *chain,
                    enum mt_name_style style, struct mt_holder_name *ret) {
    *ret = (struct mt_holder_name){0};
    struct naming naming = {
        .call = call, .climber = climber, .python = climber->graph->census->python, .style = style, .name = ret};
    size_t told = 0;
    if (chain->root)
        begin_at_root(&naming, chain->root);
    else
        told = begin(&naming, chain);
    append_links(&naming, chain, chain->count - told);
    const struct mt_strbuf *parts[] = {&naming.head, &naming.lead};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        mt_strbuf_append(&ret->text, parts[i]->length > 0 && ret->text.length > 0 ? " of " : "");
        mt_strbuf_append(&ret->text, mt_strbuf_text(parts[i]));
    }
    if (ret->text.length > 0 && naming.open.length + naming.expression.length > 0)
        mt_strbuf_append(&ret->text, " of ");
    mt_strbuf_printf(&ret->text, "%s%s%s", mt_strbuf_text(&naming.open), mt_strbuf_text(&naming.expression),
                     mt_strbuf_text(&naming.close));
    mt_strbuf_deinit(&naming.head);
    mt_strbuf_deinit(&naming.lead);
    mt_strbuf_deinit(&naming.open);
    mt_strbuf_deinit(&naming.expression);
    mt_strbuf_deinit(&naming.close);
}

void mt_holder_name_deinit(struct mt_holder_name *name) {
    mt_strbuf_deinit(&name->text);
    mt_strbuf_deinit(&name->place);
}

uint32_t mt_holder_cache(const struct mt_climber *climber, const struct mt_chain *chain) {
    if (chain->root || chain->count < 2)
        return MT_NO_OBJECT;
    uint32_t top = chain->links[chain->count - 1].source, dict = chain->links[chain->count - 2].source;
    bool is_cache =
        mt_chain_kind(climber, top) == MT_KIND_LRU_CACHE && mt_climber_namespace_owner(climber, dict) == top;
    return is_cache ? top : MT_NO_OBJECT;
}

static uint64_t mix(uint64_t hash, uint64_t word) {
    return mt_hash_u64(hash ^ word) + 1;
}

static uint64_t mix_root(uint64_t hash, const struct mt_root *root) {
    hash = mix(hash, root->form);
    if (root->edge.kind == MT_EDGE_GUESS)
        return mix(mix(hash, (uintptr_t)root->module), root->thread);
    hash = mix(hash, root->where);
    hash = mix(hash, root->edge.link.name + root->edge.link.number);
    return mix(hash, (uintptr_t)root->edge.link.text);
}

/* What tells the names of chains apart that end at `top`: what it is called by; else its type. */
static uint64_t identity_of(const struct mt_climber *climber, const struct mt_chain *chain) {
    const struct mt_census *census = climber->graph->census;
    struct mt_python *python = census->python;
    const struct mt_python_layout *layout = &python->layout;
    uint32_t top = chain->links[chain->count - 1].source;
    uint64_t address = census->addresses[top], by_type = census->types[top];
    switch (mt_chain_kind(climber, top)) {
    case MT_KIND_TYPE:
    case MT_KIND_LRU_CACHE:
        return address;
    case MT_KIND_FUNCTION:
        return code_of_function(python, address);
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
        return member(python, address, MT_AT(layout, PyGenObject, gi_qualname));
    case MT_KIND_MODULE:
        return is_global(climber, chain) ? address : by_type;
    default:
        return by_type;
    }
}

uint64_t mt_holder_pattern(const struct mt_climber *climber, const struct mt_chain *chain) {
    bool in_cache = mt_holder_cache(climber, chain) != MT_NO_OBJECT;
    uint64_t hash = chain->count;
    if (chain->root)
        hash = mix_root(hash, chain->root);
    for (size_t i = 0; i < chain->count; i++) {
        const struct mt_link *link = &chain->links[i].link;
        bool is_argument = in_cache && mt_chain_kind(climber, chain->links[i].source) == MT_KIND_TUPLE;
        bool is_attribute = i + 1 < chain->count && mt_link_is_namespace(&chain->links[i + 1].link);
        hash = mix(hash, link->form);
        hash = mix(hash, (uintptr_t)link->text);
        if (link->form != MT_LINK_KEY || is_attribute)
            hash = mix(hash, link->name);
        if (link->form == MT_LINK_NUMBERED || is_argument)
            hash = mix(hash, link->number);
    }
    return chain->count > 0 && !chain->root ? mix(hash, identity_of(climber, chain)) : hash;
}
