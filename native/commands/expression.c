#include "commands/expression.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/expression_attribute.h"
#include "commands/expression_literal.h"
#include "commands/holder_chain.h"
#include "python/dict.h"
#include "python/object.h"
#include "python/str.h"
#include "python/threads.h"

#define L (&python->layout)

/* Of one expression: Python's parsers and compilers take no more than some hundred steps, and some dozens of nested
 * parentheses. A longer way begins in its middle, at an object that the collector knows. */
#define MOST_STEPS 200
#define MOST_NESTED 40
#define MOST_BASES 256 /* a chain of tp_base */
/* PyMappingMethods (Include/cpython/object.h): {mp_length, mp_subscript, mp_ass_subscript}. */
enum { MP_SUBSCRIPT = 8 };

struct writer {
    const struct mt_expressions *expressions;
    const struct mt_census *census;
    struct mt_python *python;
    const struct mt_path *path;
    struct mt_strbuf text; /* the object that was come to; empty: no expression leads there */
    unsigned nested;       /* parentheses around its beginning */
};

/* One reference: from an object for which the writer has an expression to the next. */
struct step {
    uint64_t parent, child;
    const struct mt_type *type;       /* of the parent */
    const struct mt_link *link;       /* to the child */
    const struct mt_path_step *after; /* what follows; NULL: nothing */
};

static const char *text_of(const struct writer *writer) {
    return mt_strbuf_text(&writer->text);
}

static void give_up(struct writer *writer) {
    mt_strbuf_deinit(&writer->text);
    writer->nested = 0;
}

static bool is_known(const struct writer *writer) {
    return writer->text.length > 0;
}

/* Puts `before` in front of the expression. */
static void wrap(struct writer *writer, const char *before) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_strbuf_append(&text, before);
    mt_strbuf_append(&text, text_of(writer));
    mt_strbuf_deinit(&writer->text);
    writer->text = text;
    writer->nested++;
}

static void set(struct writer *writer, const char *text) {
    give_up(writer);
    mt_strbuf_append(&writer->text, text);
}

static uint64_t word_at(struct mt_python *python, uint64_t address, uint64_t offset) {
    uint64_t word = 0;
    mt_view_u64(python->view, address + offset, &word);
    return word;
}

static bool is_text(const struct mt_link *link, const char *text) {
    return mt_link_is(link, MT_LINK_TEXT, text);
}

/* The first of many by its address. */
static void pick(struct writer *writer, const char *variable, const char *before, const char *after, uint64_t object) {
    struct mt_strbuf head = MT_STRBUF_INIT;
    mt_strbuf_printf(&head, "next(%s for %s in %s", variable, variable, before);
    wrap(writer, mt_strbuf_text(&head));
    writer->nested += before[0] != '\0';
    mt_strbuf_printf(&writer->text, "%s if id(%s) == 0x%" PRIx64 ")", after, variable, object);
    mt_strbuf_deinit(&head);
}

/* --- objects that need no way ------------------------------------------------------------------------------------- */

/* Interned strings are found by their text. */
static bool take_interned(struct writer *writer, uint64_t object, const struct mt_type *type) {
    struct mt_str str;
    if (type->kind != MT_KIND_STR || !type->is_exact || !mt_str_read(writer->python, object, &str) ||
        str.interned == 0 || writer->expressions->no_values)
        return false;
    set(writer, "sys.intern(");
    if (mt_literal_append(writer->python, object, &writer->text)) {
        mt_strbuf_append_char(&writer->text, ')');
        return true;
    }
    give_up(writer);
    return false;
}

/* An expression for an object alone: whatever held it, Python does not tell. */
static void take_alone(struct writer *writer, uint64_t object) {
    struct mt_python *python = writer->python;
    const struct mt_type *type = mt_object_type(python, object);
    give_up(writer);
    if (!type || take_interned(writer, object, type))
        return;
    if (object == python->none)
        set(writer, "None");
    else if (type->kind == MT_KIND_BOOL)
        mt_literal_append(python, object, &writer->text);
    else if (mt_object_gc_state(python, object, type).watched)
        pick(writer, "o", "gc.get_objects()", "", object);
}

/* --- frames and roots --------------------------------------------------------------------------------------------- */

static const struct mt_python_thread *thread_of(const struct mt_expressions *expressions, uint32_t number,
                                                uint32_t *ret_depth) {
    for (size_t i = 0; i < expressions->threads.list.length; i++)
        if (expressions->threads.list.data[i].number == number) {
            *ret_depth = expressions->depths.data[i];
            return &expressions->threads.list.data[i];
        }
    return NULL;
}

/* Frames are counted from the outermost on: who evaluates the expression in the same thread adds inner ones. */
static bool take_frame(struct writer *writer, const struct mt_root *root) {
    struct mt_python_frame frame;
    uint32_t depth = 0;
    const struct mt_python_thread *thread = thread_of(writer->expressions, root->thread, &depth);
    if (!thread || root->frame >= depth || !mt_frame_read(writer->python, root->where, &frame) || frame.incomplete)
        return false;
    mt_strbuf_printf(&writer->text,
                     "list(__import__('traceback').walk_stack(sys._current_frames()[%" PRIu64 "]))[-%" PRIu32 "][0]",
                     thread->pthread, depth - root->frame);
    return true;
}

/* Appends `.f_locals['x']` for the variable of a frame. Of a cell that is the contents, so the way must lead there:
 * returns how many steps were taken, 0: none. Namespaces have no slots that Python shows. */
static unsigned take_variable(struct writer *writer, const struct mt_link *link, const struct mt_path_step *after) {
    bool is_cell = link->text && strcmp(link->text, "cell") == 0;
    struct mt_strbuf name = MT_STRBUF_INIT;
    unsigned taken = 0;
    if ((!is_cell || (after && is_text(&after->link, "ob_ref"))) &&
        mt_literal_append(writer->python, link->name, &name)) {
        mt_strbuf_printf(&writer->text, ".f_locals[%s]", mt_strbuf_text(&name));
        taken = is_cell ? 2 : 1;
    }
    mt_strbuf_deinit(&name);
    return taken;
}

static bool has_namespace(struct mt_python *python, uint64_t where) {
    struct mt_python_frame frame;
    return mt_frame_read(python, where, &frame) && frame.has_namespace;
}

/* Of a root: how Python calls what it holds. */
static const struct {
    enum mt_root_form form;
    const char *link, *expression; /* of a frame: what follows it */
} known_roots[] = {
    {MT_ROOT_INTERPRETER, "sys.modules", "sys.modules"},
    {MT_ROOT_INTERPRETER, "sys.__dict__", "vars(sys)"},
    {MT_ROOT_INTERPRETER, "builtins.__dict__", "vars(sys.modules['builtins'])"},
    {MT_ROOT_INTERPRETER, "gc.garbage", "gc.garbage"},
    {MT_ROOT_INTERPRETER, "gc.callbacks", "gc.callbacks"},
    {MT_ROOT_FRAME, "code", ".f_code"},
    {MT_ROOT_FRAME, "namespace", ".f_locals"},
    {MT_ROOT_FRAME, "frame object", ""},
    {MT_ROOT_FRAME, "running frame", ""},
};

static unsigned take_known_root(struct writer *writer, const struct mt_root *root) {
    for (size_t i = 0; i < sizeof known_roots / sizeof known_roots[0]; i++) {
        if (known_roots[i].form != root->form || !is_text(&root->edge.link, known_roots[i].link))
            continue;
        if (root->form == MT_ROOT_FRAME && !take_frame(writer, root))
            return 0;
        mt_strbuf_append(&writer->text, known_roots[i].expression);
        return 1;
    }
    return 0;
}

/* Small ints and strings of one character are where they are for ever: to write one is to get that object. */
static unsigned take_table(struct writer *writer, const struct mt_root *root, uint64_t object) {
    const struct mt_type *type = mt_object_type(writer->python, object);
    bool is_table = root->form == MT_ROOT_INTERPRETER && root->edge.link.form == MT_LINK_NUMBERED && type;
    bool is_value = is_table && (type->kind == MT_KIND_INT || type->kind == MT_KIND_STR);
    return is_value && !writer->expressions->no_values && strcmp(root->edge.link.text, "ast state") != 0 &&
           mt_literal_append(writer->python, object, &writer->text);
}

/* --- containers --------------------------------------------------------------------------------------------------- */

/* Do instances of a class get items and iterators as its C type does? */
static bool inherits_slot(struct mt_python *python, const struct mt_type *type, uint64_t offset) {
    return type->kind_type &&
           word_at(python, type->address, offset) == word_at(python, type->kind_type->address, offset);
}

static uint64_t subscript_of(struct mt_python *python, const struct mt_type *type) {
    uint64_t methods = word_at(python, type->address, MT_OFFSET(python, PyTypeObject, tp_as_mapping));
    return methods ? word_at(python, methods, MP_SUBSCRIPT) : 0;
}

static bool inherits_subscript(struct mt_python *python, const struct mt_type *type) {
    return type->kind_type && subscript_of(python, type) == subscript_of(python, type->kind_type);
}

static bool take_index(struct writer *writer, const struct step *step) {
    struct mt_python *python = writer->python;
    if (step->type->kind == MT_KIND_NUMPY_ARRAY) {
        mt_strbuf_printf(&writer->text, ".ravel('K')[%" PRIu64 "]", step->link->number);
        return step->type->is_exact;
    }
    bool is_sequence =
        step->type->kind == MT_KIND_LIST || step->type->kind == MT_KIND_TUPLE || step->type->kind == MT_KIND_DEQUE;
    /* Struct sequences have items behind those that can be counted. */
    if (!is_sequence || !inherits_subscript(python, step->type) ||
        step->link->number >= mt_object_item_count(python, step->parent, step->type))
        return false;
    mt_strbuf_printf(&writer->text, "[%" PRIu64 "]", step->link->number);
    return true;
}

static bool take_element(struct writer *writer, const struct step *step) {
    bool is_frozen = step->type->kind == MT_KIND_FROZENSET;
    if (step->type->kind != MT_KIND_SET && !is_frozen)
        return false;
    if (inherits_slot(writer->python, step->type, MT_OFFSET(writer->python, PyTypeObject, tp_iter)))
        pick(writer, "x", "", "", step->child);
    else
        pick(writer, "x", is_frozen ? "frozenset.__iter__(" : "set.__iter__(", ")", step->child);
    return true;
}

/* --- dicts -------------------------------------------------------------------------------------------------------- */

static bool is_dict(enum mt_kind kind) {
    return kind == MT_KIND_DICT || kind == MT_KIND_DEFAULTDICT || kind == MT_KIND_ORDERED_DICT ||
           kind == MT_KIND_FROZENDICT;
}

/* How the expression for a dict is asked. */
struct asked {
    uint64_t dict;
    const char *unbound;  /* "dict" where its class has its own order or methods: dict.values(d); NULL: d.values() */
    bool plain_subscript; /* d[key] */
};

struct position {
    uint64_t key;
    uint64_t index;
    bool found;
};

static bool count_entries(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct position *position = context;
    position->found = key == position->key;
    position->index += !position->found;
    return !position->found;
}

/* Begins `list(d.METHOD())[3]`, or where the order is not the table's: that of a dict that shares its keys. */
static bool take_by_position(struct writer *writer, const struct asked *asked, uint64_t key, const char *method,
                             uint64_t object) {
    struct position position = {.key = key};
    struct mt_dict dict;
    struct mt_strbuf before = MT_STRBUF_INIT, after = MT_STRBUF_INIT;
    if (!mt_dict_read(writer->python, asked->dict, &dict))
        return false;
    mt_dict_visit(writer->python, asked->dict, count_entries, &position);
    if (!position.found)
        return false;
    if (asked->unbound)
        mt_strbuf_printf(&before, "%s.%s(", asked->unbound, method);
    mt_strbuf_printf(&after, "%s", asked->unbound ? ")" : strcmp(method, "keys") == 0 ? "" : ".values()");
    if (dict.values != 0) {
        pick(writer, "x", mt_strbuf_text(&before), mt_strbuf_text(&after), object);
    } else {
        wrap(writer, mt_strbuf_text(&before));
        wrap(writer, "list(");
        mt_strbuf_printf(&writer->text, "%s)[%" PRIu64 "]", mt_strbuf_text(&after), position.index);
    }
    mt_strbuf_deinit(&before);
    mt_strbuf_deinit(&after);
    return true;
}

static struct asked ask_dict(struct mt_python *python, uint64_t dict, const struct mt_type *type) {
    bool is_ordered = type->kind == MT_KIND_ORDERED_DICT;
    return (struct asked){
        .dict = dict,
        .unbound = type->is_exact && !is_ordered      ? NULL
                   : type->kind == MT_KIND_FROZENDICT ? "frozendict"
                                                      : "dict",
        .plain_subscript = inherits_subscript(python, type),
    };
}

/* `is_name`: the key is a name of the program, no value. */
static bool take_value(struct writer *writer, const struct asked *asked, uint64_t key, bool is_name, uint64_t value) {
    struct mt_strbuf literal = MT_STRBUF_INIT;
    bool is_written = (is_name || !writer->expressions->no_values) &&
                      mt_literal_append(writer->python, key, &literal) && literal.data;
    if (is_written && asked->plain_subscript) {
        mt_strbuf_printf(&writer->text, "[%s]", literal.data);
    } else if (is_written) {
        mt_strbuf_printf(&writer->text, ", %s)", literal.data);
        wrap(writer, strcmp(asked->unbound ? asked->unbound : "dict", "dict") == 0 ? "dict.__getitem__("
                                                                                   : "frozendict.__getitem__(");
    }
    mt_strbuf_deinit(&literal);
    return is_written || take_by_position(writer, asked, key, "values", value);
}

static bool take_key(struct writer *writer, const struct step *step) {
    if (!is_dict(step->type->kind))
        return false;
    struct asked asked = ask_dict(writer->python, step->parent, step->type);
    return take_by_position(writer, &asked, step->child, "keys", step->child);
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

/* Metaclasses of C types, as ctypes has them, are no kind of their own. */
static bool is_class(struct mt_python *python, const struct mt_type *type) {
    return type->kind == MT_KIND_TYPE || mt_type_derives(python->types, type, python->type_type);
}

/* Does this link lead to the dict of a module, a class or an instance? */
static bool is_namespace(struct mt_python *python, const struct step *step) {
    if (mt_link_is_namespace(step->link))
        return true;
    return step->link->form == MT_LINK_TEXT && step->type->dict_offset > 0 &&
           word_at(python, step->parent, (uint64_t)step->type->dict_offset) == step->child;
}

/* Has a class, or one that it derives from, a `__dict__` for its instances? Those of C may hide it. */
static bool shows_dict(struct mt_python *python, const struct mt_type *type) {
    for (unsigned i = 0; type && i < MOST_BASES; i++) {
        uint64_t dict = mt_type_dict(python->types, type);
        if (dict && mt_dict_get(python, dict, "__dict__") != 0)
            return true;
        type = type->base ? mt_types_get(python->types, type->base) : NULL;
    }
    return false;
}

/* From `x` to `vars(x)`: a dict, of a class a proxy of it. */
static bool take_vars(struct writer *writer, const struct mt_type *type) {
    struct mt_python *python = writer->python;
    if (!shows_dict(python, type))
        return false;
    if (type->kind == MT_KIND_MODULE || is_class(python, type) || mt_looks_up_plainly(python, type)) {
        wrap(writer, "vars(");
        mt_strbuf_append_char(&writer->text, ')');
    } else {
        wrap(writer, "object.__getattribute__(");
        mt_strbuf_append(&writer->text, ", '__dict__')");
    }
    return true;
}

/* 3.15: to look up a global may import. */
static bool is_lazy_import(struct mt_python *python, uint64_t object) {
    const struct mt_type *type = mt_object_type(python, object);
    return !type || strcmp(type->name, "lazy_import") == 0;
}

/* Is `x.name`, where x's namespace has `value` under that name, that very object? */
static bool is_attribute(struct mt_python *python, const struct mt_type *type, const char *name, uint64_t value) {
    if (is_class(python, type))
        return mt_class_attribute_is_plain(python, type, value);
    if (type->kind == MT_KIND_MODULE)
        return type->is_exact && !is_lazy_import(python, value);
    return mt_attribute_is_own(python, type, name);
}

static bool take_name(struct writer *writer, const struct mt_type *type, uint64_t name, uint64_t value) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    bool is_plain = mt_identifier_append(writer->python, name, &text) &&
                    is_attribute(writer->python, type, mt_strbuf_text(&text), value);
    if (is_plain)
        mt_strbuf_printf(&writer->text, ".%s", mt_strbuf_text(&text));
    mt_strbuf_deinit(&text);
    return is_plain;
}

/* Of what the namespace of an object has under a name, or another key. */
static bool take_of_namespace(struct writer *writer, const struct step *step, uint64_t dict, uint64_t key,
                              uint64_t value) {
    const struct mt_type *of_key = mt_object_type(writer->python, key);
    bool is_name = of_key && of_key->kind == MT_KIND_STR;
    if (take_name(writer, step->type, key, value))
        return true;
    struct asked asked = {.dict = dict, .plain_subscript = true};
    return take_vars(writer, step->type) && take_value(writer, &asked, key, is_name, value);
}

static unsigned take_namespace(struct writer *writer, const struct step *step) {
    if (step->after && step->after->link.form == MT_LINK_KEY)
        return take_of_namespace(writer, step, step->child, step->after->link.name,
                                 writer->census->addresses[step->after->object])
                   ? 2
                   : 0;
    if (!take_vars(writer, step->type))
        return 0;
    if (is_class(writer->python, step->type)) {
        wrap(writer, "gc.get_referents(");
        mt_strbuf_append(&writer->text, ")[0]");
    }
    return 1;
}

/* An attribute that stands in the instance: among its values, or in a slot. */
static bool take_attribute(struct writer *writer, const struct step *step) {
    const struct mt_link *link = step->link;
    struct mt_strbuf name = MT_STRBUF_INIT;
    if (link->text) {
        bool is_slot = mt_is_identifier(link->text) &&
                       mt_member_is(writer->python, step->parent, step->type, link->text, step->child);
        if (is_slot)
            mt_strbuf_printf(&writer->text, ".%s", link->text);
        return is_slot;
    }
    if (take_name(writer, step->type, link->name, step->child))
        return true;
    bool is_written =
        mt_literal_append(writer->python, link->name, &name) && name.data && take_vars(writer, step->type);
    if (is_written)
        mt_strbuf_printf(&writer->text, "[%s]", name.data);
    mt_strbuf_deinit(&name);
    return is_written;
}

/* --- fields of C types -------------------------------------------------------------------------------------------- */

/* Up to 3.13 the annotations of a function may still be a tuple, of which `__annotations__` makes a dict. */
static bool is_annotations(struct mt_python *python, const struct step *step) {
    const struct mt_type *type = mt_object_type(python, step->child);
    return step->type->kind == MT_KIND_FUNCTION && is_text(step->link, "func_annotations") && type &&
           type->kind == MT_KIND_DICT;
}

static bool take_field(struct writer *writer, const struct step *step) {
    struct mt_python *python = writer->python;
    if (is_text(step->link, "ob_type")) {
        wrap(writer, "type(");
        mt_strbuf_append_char(&writer->text, ')');
        return true;
    }
    const char *attribute =
        is_annotations(python, step) ? "__annotations__" : mt_field_attribute(python, step->type, step->link->text);
    if (!attribute && mt_is_identifier(step->link->text) &&
        mt_member_is(python, step->parent, step->type, step->link->text, step->child))
        attribute = step->link->text;
    if (attribute)
        mt_strbuf_printf(&writer->text, ".%s", attribute);
    return attribute != NULL;
}

/* --- what the collector sees -------------------------------------------------------------------------------------- */

/* Does the collector see this reference? Names and other text of C types, which can't be part of a cycle, are left out
 * by many a tp_traverse, and elements of an lru_cache by its. */
static bool is_traversed(struct mt_python *python, const struct step *step) {
    const struct mt_type *child = mt_object_type(python, step->child);
    bool is_field = step->link->form == MT_LINK_TEXT && step->type->kind != MT_KIND_LRU_CACHE;
    if (!child || !mt_object_has_gc(python, step->parent, step->type) ||
        word_at(python, step->type->address, MT_OFFSET(python, PyTypeObject, tp_traverse)) == 0)
        return false;
    if (step->type->kind == MT_KIND_LRU_CACHE && child->kind == MT_KIND_LRU_ELEMENT)
        return false;
    return !(is_field && (child->kind == MT_KIND_STR || child->kind == MT_KIND_BYTES)) && !is_text(step->link, "key") &&
           !is_text(step->link, "ht_slots") && !is_text(step->link, "tp_subclasses") &&
           !is_text(step->link, "wr_callback"); /* of a threading.local */
}

static bool take_referent(struct writer *writer, const struct step *step) {
    bool can = is_traversed(writer->python, step);
    if (can)
        pick(writer, "o", "gc.get_referents(", ")", step->child);
    return can;
}

/* --- ways --------------------------------------------------------------------------------------------------------- */

/* The frame of a generator, or what is in it, when Python says None of the frame. */
static bool is_in_hidden_frame(struct writer *writer, const struct step *step) {
    bool is_frame = step->link->form == MT_LINK_NAMED || is_text(step->link, "frame_obj");
    return is_frame && mt_frame_attribute(step->type->kind) &&
           mt_generator_state(writer->python, step->parent) != MT_GENERATOR_GOES_ON;
}

/* A variable of a generator, whose frame Python shows as an object; or of such an object. */
static unsigned take_suspended(struct writer *writer, const struct step *step) {
    const char *frame = mt_frame_attribute(step->type->kind);
    if (!frame && step->type->kind != MT_KIND_FRAME)
        return 0;
    if (frame)
        mt_strbuf_printf(&writer->text, ".%s", frame);
    return take_variable(writer, step->link, step->after);
}

static unsigned take_link(struct writer *writer, const struct step *step) {
    struct mt_python *python = writer->python;
    if (is_namespace(python, step))
        return take_namespace(writer, step);
    if (is_in_hidden_frame(writer, step))
        return 0;
    switch (step->link->form) {
    case MT_LINK_INDEX:
        return take_index(writer, step);
    case MT_LINK_KEY: {
        struct asked asked = ask_dict(python, step->parent, step->type);
        return is_dict(step->type->kind) && take_value(writer, &asked, step->link->name, false, step->child);
    }
    case MT_LINK_ATTRIBUTE:
        return take_attribute(writer, step);
    case MT_LINK_NAMED:
        return take_suspended(writer, step);
    case MT_LINK_TEXT:
        if (is_text(step->link, "key"))
            return take_key(writer, step);
        return is_text(step->link, "element") ? take_element(writer, step) : take_field(writer, step);
    case MT_LINK_NUMBERED:
        return 0;
    }
    return 0;
}

/* The elements of an lru_cache are no objects for Python, but the collector shows what they hold as the cache's. */
static unsigned take_cached(struct writer *writer, const struct step *step) {
    const struct mt_type *type = mt_object_type(writer->python, step->child);
    if (step->type->kind != MT_KIND_LRU_CACHE || !type || type->kind != MT_KIND_LRU_ELEMENT || !step->after)
        return 0;
    pick(writer, "o", "gc.get_referents(", ")", writer->census->addresses[step->after->object]);
    return 2;
}

/* Goes on from `parent` to the object of step `index`, or farther; returns how many steps were taken, 0: no expression
 * does so, and the writer's is of no use. */
static unsigned take_step(struct writer *writer, uint32_t parent, size_t index) {
    const struct mt_path_step *here = &writer->path->steps.data[index];
    struct step step = {
        .parent = writer->census->addresses[parent],
        .child = writer->census->addresses[here->object],
        .type = mt_census_type(writer->census, parent),
        .link = &here->link,
        .after = index + 1 < writer->path->steps.length ? here + 1 : NULL,
    };
    if (here->is_guess)
        return 0;
    MT_AUTO_FREE char *before = strdup(text_of(writer));
    unsigned nested = writer->nested;
    unsigned taken = before ? take_cached(writer, &step) : 0;
    if (taken == 0 && before)
        taken = take_link(writer, &step);
    if (taken == 0 && before) {
        set(writer, before);
        writer->nested = nested;
        taken = take_referent(writer, &step);
    }
    return taken;
}

static bool take_global(struct writer *writer, const struct mt_path_end *end) {
    const struct mt_path_step *first = &writer->path->steps.data[0];
    uint64_t dict = writer->census->addresses[end->holder];
    struct step step = {.parent = end->module, .type = mt_object_type(writer->python, end->module)};
    struct asked asked = {.dict = dict, .plain_subscript = true};
    set(writer, "sys.modules[");
    if (!step.type || !mt_literal_append(writer->python, end->name, &writer->text))
        return false;
    mt_strbuf_append_char(&writer->text, ']');
    uint64_t object = writer->census->addresses[first->object];
    if (first->link.form == MT_LINK_KEY)
        return take_of_namespace(writer, &step, dict, first->link.name, object);
    return take_vars(writer, step.type) && take_by_position(writer, &asked, object, "keys", object);
}

/* The beginning; returns how many steps it covers, 0: Python has no name for this root. */
static unsigned take_root(struct writer *writer, const struct mt_path_end *end) {
    const struct mt_path_step *steps = writer->path->steps.data;
    const struct mt_path_step *after = writer->path->steps.length > 1 ? &steps[1] : NULL;
    unsigned taken = 0;
    if (end->form == MT_PATH_GLOBAL)
        return take_global(writer, end);
    if (!end->root || end->form > MT_PATH_ROOT)
        return 0;
    if (end->holder != MT_NO_OBJECT)
        return take_frame(writer, end->root) ? take_step(writer, end->holder, 0) : 0;
    if (end->form == MT_PATH_ROOT)
        taken = take_known_root(writer, end->root);
    else if (!has_namespace(writer->python, end->root->where) && take_frame(writer, end->root))
        taken = take_variable(writer, &steps[0].link, after);
    if (taken > 0)
        return taken;
    give_up(writer);
    return take_table(writer, end->root, writer->census->addresses[end->object]);
}

static void write_way(struct writer *writer, const struct mt_path_end *end) {
    const struct mt_path_step *steps = writer->path->steps.data;
    size_t count = writer->path->steps.length, start = count > MOST_STEPS ? count - MOST_STEPS : 0;
    size_t at = start == 0 ? take_root(writer, end) : 0;
    if (at == 0) {
        take_alone(writer, writer->census->addresses[steps[start].object]);
        at = start + 1;
    }
    while (at < count) {
        unsigned taken = is_known(writer) ? take_step(writer, steps[at - 1].object, at) : 0;
        at += taken > 0 ? taken : 1;
        if (taken == 0 || writer->nested > MOST_NESTED)
            take_alone(writer, writer->census->addresses[steps[at - 1].object]);
    }
}

bool mt_expression_append(const struct mt_expressions *expressions, const struct mt_path_end *end,
                          const struct mt_path *path, struct mt_strbuf *out) {
    const struct mt_census *census = expressions->graph->census;
    struct writer writer = {.expressions = expressions, .census = census, .python = census->python, .path = path};
    if (path->steps.length > 0)
        write_way(&writer, end);
    bool has_one = is_known(&writer) && mt_strbuf_ok(&writer.text);
    if (has_one)
        mt_strbuf_append(out, writer.text.data);
    mt_strbuf_deinit(&writer.text);
    return has_one;
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool count_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    uint32_t *depth = context;
    *depth = frame->incomplete ? *depth : number + 1;
    return true;
}

struct mt_error *mt_expressions_init(struct mt_expressions *expressions, struct mt_graph *graph, bool no_values,
                                     struct mt_watch *watch) {
    struct mt_python *python = graph->census->python;
    *expressions = (struct mt_expressions){.graph = graph, .no_values = no_values};
    struct mt_error *error = mt_threads_read(python, watch, &expressions->threads);
    for (size_t i = 0; i < expressions->threads.list.length && !error; i++) {
        uint32_t depth = 0;
        mt_frames_visit(python, &expressions->threads.list.data[i], count_frame, &depth);
        if (!mt_vector_push(&expressions->depths, depth))
            error = &mt_error_no_memory;
    }
    if (error)
        mt_expressions_deinit(expressions);
    return error;
}

void mt_expressions_deinit(struct mt_expressions *expressions) {
    mt_threads_deinit(&expressions->threads);
    mt_vector_deinit(&expressions->depths);
}
