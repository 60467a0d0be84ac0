/* An ADDR argument that means a Python object: its address, one inside it or inside a buffer of its, a row. */
#ifndef MEMTRACE_COMMANDS_OBJECT_ADDRESS_H
#define MEMTRACE_COMMANDS_OBJECT_ADDRESS_H

#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "commands/address.h"
#include "commands/command.h"
#include "heap/census.h"
#include "heap/graph.h"

/* What the help of commands says of their ADDR. */
#define MT_OBJECT_ADDRESS_DETAILS                                                                                      \
    "ADDR is an address (0x..) of an object, or inside it or a buffer of its; the number of a row that was listed at " \
    "this stop (17 or #17); a name as Python code sees it (py:data, py:app.cache['x'], py@2:name in frame 2); or an "  \
    "expression of the debugger (`$rdi`, `obj`)."

struct mt_object_address {
    uint32_t object; /* of the census */
    uint64_t address;
    const struct mt_type *type;
    struct mt_address given;
    const char *part;   /* in which block of the object the given address lies: "object", "buffer"; NULL: the address
                           is the object's own */
    uint64_t part_size; /* bytes of that block; 0: unknown */
};

/* The object that `call->argument` means. MT_ERROR_USAGE: there is no argument; MT_ERROR_NOT_FOUND: the address is in
 * no live object, and the error says what is there instead. */
struct mt_error *mt_object_address_parse(struct mt_call *call, struct mt_census *census, struct mt_object_address *ret);
/* The same, and the graph of the whole heap that it is in. What means no object is told before that is read. */
struct mt_error *mt_object_address_in_graph(struct mt_call *call, struct mt_object_address *ret,
                                            struct mt_graph **ret_graph);
/* How an argument that is not the object's own address relates to it: ", the only live block of row 3 is its buffer,
 * 100,000,000 bytes", ", 0x7f.. is in its buffer, 80 bytes". Nothing when there is nothing to say; then false. */
bool mt_object_address_words(const struct mt_object_address *address, struct mt_strbuf *out);

#endif
