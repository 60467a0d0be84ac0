/* References out of an object, each with its name.
 *
 * One walk serves both the graph of ten million objects, which wants the targets alone, and an answer, which wants the
 * names: a link is a few words, made text only when asked. The grammar of links is in docs/scripting.md. */
#ifndef MEMTRACE_HEAP_EDGES_H
#define MEMTRACE_HEAP_EDGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"
#include "python/types.h"

enum mt_edge_kind {
    MT_EDGE_EXACT, /* decoded by the type's layout */
    MT_EDGE_GUESS, /* a word in memory that nobody told us the meaning of */
    MT_EDGE_ROOT,  /* held by what is no object: a frame, a thread, the interpreter */
    MT_EDGE_WEAK,  /* does not keep it alive */
};

enum mt_link_form {
    MT_LINK_TEXT,      /* `text` as it is: "key", "element", "self", "func", "cache key", a C field's name */
    MT_LINK_INDEX,     /* [number] */
    MT_LINK_KEY,       /* [repr of the key object `name`] */
    MT_LINK_ATTRIBUTE, /* .name: a str object, or `text` */
    MT_LINK_NAMED,     /* "text name": "local x", "cell x", "kwdefault x": `name` is a str object, or 0 */
    MT_LINK_NUMBERED,  /* "text[number]": "default[0]", "args[1]", "stack[2]" */
};

struct mt_link {
    enum mt_link_form form;
    const char *text;
    uint64_t number;
    uint64_t name; /* an object */
};

struct mt_edge {
    uint64_t target;
    enum mt_edge_kind kind;
    bool counted;    /* one of the target's references: part of its ob_refcnt */
    uint64_t shared; /* of a keys table that several objects share: its address. All of them show the edge, but it is
                        one reference; 0: the object's own */
    struct mt_link link;
};

typedef void mt_edge_visit(void *context, const struct mt_edge *edge);

/* All edges of an object but the guesses: what it refers to by its layout, its type (when instances hold one: heap
 * types), weak references. Targets are as memory says: the visitor checks whether they are objects. */
void mt_edges_visit(struct mt_python *python, uint64_t address, const struct mt_type *type, mt_edge_visit *visit,
                    void *context);
/* The guesses, which count where a reference is missing: of MT_KIND_UNKNOWN types (and subclasses) every aligned word
 * of the body that no exact edge covers, and those of the blocks that such words point to; a module's C state; the
 * evaluation stack of a generator (3.9, 3.10: of a frame object) that runs, whose depth is not known. `chunk_size`:
 * tells the usable size of an allocated block that is no object, by its start, false: it is none; NULL: only bodies are
 * scanned. */
typedef bool mt_chunk_size(void *context, uint64_t address, uint64_t *ret_size);
void mt_edges_guess(struct mt_python *python, uint64_t address, const struct mt_type *type, mt_chunk_size *chunk_size,
                    void *chunk_context, mt_edge_visit *visit, void *context);
/* Has this type guesses at all? For loops over all objects. */
bool mt_edges_has_guesses(const struct mt_type *type);

/* Appends "['key']", "[2]", ".attr", "local x", "func" ... Text of the target is in it as it is: escape it. */
void mt_link_append(struct mt_python *python, const struct mt_link *link, struct mt_strbuf *out);

#endif
