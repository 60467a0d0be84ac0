#include "recorder/python.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "recorder/code.h"
#include "recorder/index.h"
#include "recorder/elf_module.h"
#include "recorder/memory.h"
#include "recorder/peek.h"
#include "recorder/pymem.h"
#include "recorder/stacks.h"

/* Entries looked at for the place where a new chain joins the old one, before the whole chain is read. */
#define JOIN_LOOKS 4
#define PENDING_LOOKS 16
/* Frames whose code object is looked at again at level `heap`, where a code object can be born and die between two
 * events. */
#define HEAP_RECHECKS 8
#define PROOF_FRAMES 20000

static const struct mt_frame_layout *layout;
static uint64_t (*current_thread_state)(void);  /* of the GIL's holder up to 3.11, of this thread from 3.12 on */
static uint64_t (*gilstate_thread_state)(void); /* of this thread, whoever holds the GIL */
static uint64_t code_type, str_type, bytes_type;

/* (parent node, code version, instruction) -> node, so that a line table is decoded once for an instruction. */
struct edge {
    uint64_t instruction; /* as the frame holds it */
    uint32_t parent, code_version, node;
};
#define EDGE_BITS 12
static struct edge edges[1 << EDGE_BITS];

static void refuse(enum mt_python_state state, const char *problem) {
    strncpy(memtrace_image.python_problem, problem, sizeof memtrace_image.python_problem - 1);
    memtrace_image.python_state = state;
}

static uint32_t read_version(const struct mt_elf *module) {
    const unsigned long *hex = mt_elf_symbol(module, "Py_Version"); /* 3.11+ */
    if (hex != NULL)
        return (uint32_t)*hex;
    const char *(*get_version)(void) = (const char *(*)(void))mt_elf_symbol(module, "Py_GetVersion");
    unsigned major, minor, micro = 0;
    if (get_version == NULL || sscanf(get_version(), "%u.%u.%u", &major, &minor, &micro) < 2)
        return 0;
    return major << 24 | minor << 16 | micro << 8 | 0xf0;
}

static bool is_free_threaded(const struct mt_elf *module, uint32_t version) {
    const char *runtime = mt_elf_symbol(module, "_PyRuntime");
    return version >= 0x030d0000 && runtime != NULL && memcmp(runtime, "xdebugpy", 8) == 0 &&
           mt_peek64((uint64_t)runtime, 16) != 0;
}

bool mt_python_find(const struct mt_elf *module) {
    if (mt_elf_symbol(module, "PyMem_SetAllocator") == NULL)
        return false;
    uint32_t version = read_version(module);
    bool free_threaded = is_free_threaded(module, version);
    memtrace_image.python_version = version;
    memtrace_image.python_free_threaded = free_threaded;
    for (size_t i = 0; i < mt_frame_layout_count && layout == NULL; i++) {
        const struct mt_frame_layout *candidate = &mt_frame_layouts[i];
        if (candidate->major == version >> 24 && candidate->minor == (version >> 16 & 255) &&
            candidate->free_threaded == free_threaded)
            layout = candidate;
    }
    if (layout == NULL || free_threaded) {
        refuse(MT_PYTHON_UNSUPPORTED, free_threaded ? "free-threaded builds have no stacks yet"
                                                    : "this version of CPython has no known frame layout");
        return true;
    }
    current_thread_state = (uint64_t(*)(void))mt_elf_symbol(module, "PyThreadState_GetUnchecked"); /* 3.13+ */
    if (current_thread_state == NULL)
        current_thread_state = (uint64_t(*)(void))mt_elf_symbol(module, "_PyThreadState_UncheckedGet");
    gilstate_thread_state = (uint64_t(*)(void))mt_elf_symbol(module, "PyGILState_GetThisThreadState");
    code_type = (uint64_t)mt_elf_symbol(module, "PyCode_Type");
    str_type = (uint64_t)mt_elf_symbol(module, "PyUnicode_Type");
    bytes_type = (uint64_t)mt_elf_symbol(module, "PyBytes_Type");
    if (current_thread_state == NULL || gilstate_thread_state == NULL || code_type == 0 || str_type == 0 ||
        bytes_type == 0)
        refuse(MT_PYTHON_REFUSED, "CPython's symbols are hidden: the thread state can't be found");
    else
        memtrace_image.python_state = MT_PYTHON_FOUND;
    return true;
}

/* The calling thread's own state, never another's; 0: it has none. */
static uint64_t own_thread_state(const struct mt_self *self) {
    uint64_t state = current_thread_state();
    if (__builtin_expect(state != 0 && mt_peek64(state, layout->thread_id) == self->pthread, 1))
        return state;
    state = gilstate_thread_state();
    return state != 0 && mt_peek64(state, layout->thread_id) == self->pthread ? state : 0;
}

static inline uint64_t first_frame(uint64_t state) {
    uint64_t root = mt_peek64(state, layout->thread_frame);
    if (layout->cframe_current >= 0 && root != 0)
        root = mt_peek64(root, (unsigned)layout->cframe_current);
    return root;
}

static inline uint64_t frame_code(uint64_t frame) {
    return mt_peek64(frame, layout->frame_code) & ~(uint64_t)layout->code_tag_mask;
}

static inline uint64_t frame_instruction(uint64_t frame) {
    return layout->instruction_size == 8 ? mt_peek64(frame, layout->frame_instruction)
                                         : mt_peek32(frame, layout->frame_instruction);
}

static inline bool is_shim(uint64_t frame) {
    return layout->frame_owner >= 0 && mt_peek8(frame, (unsigned)layout->frame_owner) >= layout->owner_shim;
}

/* --- the proof -----------------------------------------------------------------------------------------------------
 */

/* Reads by the kernel, which answers "no" where a wrong offset would crash. */
static bool try_read(uint64_t address, unsigned offset, uint64_t *ret) {
    if (address == 0 || (address & 7) != 0 || !mt_memory_readable((const void *)(address + offset), sizeof *ret))
        return false;
    *ret = mt_peek64(address, offset);
    return true;
}

static bool is_instance(uint64_t object, uint64_t type) {
    uint64_t found;
    return try_read(object, layout->object_type, &found) && found == type;
}

static bool is_text(uint64_t text) {
    uint64_t state, length;
    if (!is_instance(text, str_type) || !try_read(text, layout->str_state, &state) ||
        !try_read(text, layout->str_length, &length))
        return false;
    unsigned kind = state >> layout->str_kind_shift & 7;
    return (state >> layout->str_compact_shift & 1) != 0 && (kind == 1 || kind == 2 || kind == 4) && length < 1u << 20;
}

/* What is wrong with a frame, or NULL. */
static const char *disprove_frame(uint64_t frame) {
    uint64_t word, code, file, name, lines, units;
    if (!try_read(frame, layout->frame_code, &word))
        return "a frame can't be read";
    code = word & ~(uint64_t)layout->code_tag_mask;
    if (!is_instance(code, code_type))
        return "a frame's code is not a code object";
    if (!try_read(code, layout->code_filename, &file) || !is_text(file))
        return "a code object's file name is not a str";
    if (!try_read(code, layout->code_name, &name) || !is_text(name) ||
        (layout->code_qualname >= 0 && (!try_read(code, (unsigned)layout->code_qualname, &name) || !is_text(name))))
        return "a code object's name is not a str";
    if (!try_read(code, layout->code_lines, &lines) || !is_instance(lines, bytes_type))
        return "a code object's line table is not bytes";
    if (layout->instruction_size == 8) {
        uint64_t instruction, first = code + layout->code_bytecode;
        if (!try_read(code, layout->var_size, &units) || !try_read(frame, layout->frame_instruction, &instruction) ||
            instruction + 2 < first || instruction > first + 2 * units)
            return "a frame's instruction lies outside its code";
    }
    return NULL;
}

/* Walks the whole chain by reads that can't crash. Proven or refused for good; false as long as there is no frame to
 * prove by. */
static bool prove(uint64_t state) {
    uint64_t frame, previous;
    unsigned seen = 0;
    if (!try_read(state, layout->thread_frame, &frame)) {
        refuse(MT_PYTHON_REFUSED, "the thread state can't be read");
        return false;
    }
    if (layout->cframe_current >= 0 && frame != 0 && !try_read(frame, (unsigned)layout->cframe_current, &frame)) {
        refuse(MT_PYTHON_REFUSED, "the thread state's C frame can't be read");
        return false;
    }
    for (unsigned i = 0; frame != 0; frame = previous, i++) {
        uint64_t unused;
        if (i == PROOF_FRAMES || !try_read(frame, layout->frame_previous, &previous) ||
            (layout->frame_owner >= 0 && !try_read(frame, (unsigned)layout->frame_owner & ~7u, &unused))) {
            refuse(MT_PYTHON_REFUSED, "the frame chain does not end");
            return false;
        }
        if (is_shim(frame))
            continue;
        const char *problem = disprove_frame(frame);
        if (problem != NULL) {
            refuse(MT_PYTHON_REFUSED, problem);
            return false;
        }
        seen++;
    }
    if (seen == 0)
        return false;
    memtrace_image.python_state = MT_PYTHON_PROVEN;
    mt_pymem_tell();
    return true;
}

/* --- the walk ------------------------------------------------------------------------------------------------------
 */

static inline void fill_entry(struct mt_frame_entry *entry, uint64_t frame) {
    entry->frame = frame;
    entry->instruction = frame_instruction(frame);
    entry->code = frame_code(frame);
    entry->code_id = is_shim(frame) ? MT_SHIM_FRAME : 0;
    entry->code_version = 0; /* to be looked up under the lock */
}

/* The whole chain, innermost first, in self->pending. false: deeper than can be told, or no memory. */
static bool collect(struct mt_self *self, uint64_t frame, uint32_t *ret_count) {
    uint32_t count = 0;
    for (; frame != 0; frame = mt_peek64(frame, layout->frame_previous)) {
        if (count == self->frame_capacity && !mt_self_grow_frames(self))
            return false;
        self->pending[count++] = frame;
    }
    *ret_count = count;
    return true;
}

/* Reads the whole chain and keeps the common beginning. */
static uint32_t walk_whole(struct mt_self *self, uint64_t leaf) {
    uint32_t count, kept = 0;
    if (!collect(self, leaf, &count)) {
        self->frame_count = 0; /* its blocks count under the stack of no frames */
        memtrace_image.dropped[self->frame_capacity < MT_FRAMES_MAX ? MT_DROP_MEMORY : MT_DROP_LIMIT]++;
        return 0;
    }
    while (kept < count && kept < self->frame_count) {
        const struct mt_frame_entry *entry = &self->frames[kept];
        uint64_t frame = self->pending[count - 1 - kept];
        if (entry->frame != frame || entry->instruction != frame_instruction(frame) || entry->code != frame_code(frame))
            break;
        kept++;
    }
    for (uint32_t i = kept; i < count; i++)
        fill_entry(&self->frames[i], self->pending[count - 1 - i]);
    self->frame_count = count;
    return kept;
}

/* An instruction that is an address tells the code as well. */
static inline bool has_moved(const struct mt_frame_entry *entry, uint64_t frame, unsigned instruction,
                             bool is_address) {
    if (is_address)
        return mt_peek64_plainly(frame, instruction) != entry->instruction;
    return mt_peek32(frame, instruction) != entry->instruction || frame_code(frame) != entry->code;
}

/* Re-reads every link from entry `join` outwards; an entry is only followed when the one above it still links to it.
 * The addresses are known beforehand, so the loads do not wait for each other. *ret_kept: how many entries from the
 * root on are as they were. false when the chain has changed below.
 *
 * Deep recursion spends most of its recording here, so the loop is made twice, for each size of an instruction. */
static inline __attribute__((always_inline)) bool verify_entries(const struct mt_self *self, uint32_t join,
                                                                 bool is_address, uint32_t *ret_kept) {
    const unsigned previous = layout->frame_previous, instruction = layout->frame_instruction;
    const struct mt_frame_entry *root = self->frames, *entry = &root[join], *changed = entry + 1;
    uint64_t frame = entry->frame;
    for (; entry > root; entry--) {
        uint64_t outer = entry[-1].frame;
        if (__builtin_expect(mt_peek64_plainly(frame, previous) != outer, 0))
            return false;
        if (has_moved(entry, frame, instruction, is_address))
            changed = entry;
        frame = outer;
    }
    if (mt_peek64_plainly(frame, previous) != 0)
        return false;
    if (has_moved(root, frame, instruction, is_address))
        changed = root;
    *ret_kept = (uint32_t)(changed - root);
    return true;
}

static bool verify(const struct mt_self *self, uint32_t join, uint32_t *ret_kept) {
    mt_peek_anew();
    return layout->instruction_size == 8 ? verify_entries(self, join, true, ret_kept)
                                         : verify_entries(self, join, false, ret_kept);
}

/* The frame has moved on. At level `objects` its code object is still the one that was looked at: another can't have
 * come to its address without an event in between. */
static inline void renew_entry(struct mt_frame_entry *entry) {
    if (__builtin_expect(memtrace_image.level == MT_LEVEL_OBJECTS && entry->code_id != MT_SHIM_FRAME &&
                             frame_code(entry->frame) == entry->code,
                         1))
        entry->instruction = frame_instruction(entry->frame);
    else
        fill_entry(entry, entry->frame);
}

uint32_t mt_python_walk_slowly(struct mt_self *self) {
    uint64_t state = own_thread_state(self);
    if (memtrace_image.python_state != MT_PYTHON_PROVEN && (state == 0 || !prove(state)))
        state = 0;
    uint64_t leaf = state != 0 ? first_frame(state) : 0;
    if (leaf == 0) {
        self->frame_count = 0;
        return 0;
    }

    /* Where does the chain of now join the chain of the last event? Mostly at its end, or one call up or down. */
    uint32_t pending = 0;
    int64_t join = -1;
    int64_t count = self->frame_count;
    for (uint64_t frame = leaf; frame != 0; frame = mt_peek64(frame, layout->frame_previous)) {
        for (int64_t i = count - 1; i >= 0 && i >= count - JOIN_LOOKS; i--)
            if (self->frames[i].frame == frame) {
                join = i;
                break;
            }
        if (join >= 0 || pending == PENDING_LOOKS)
            break;
        if (pending == self->frame_capacity && !mt_self_grow_frames(self))
            return walk_whole(self, leaf);
        self->pending[pending++] = frame;
    }
    if (join < 0)
        return walk_whole(self, leaf);

    uint32_t kept;
    if (!verify(self, (uint32_t)join, &kept))
        return walk_whole(self, leaf);
    while ((uint64_t)join + 1 + pending > self->frame_capacity)
        if (!mt_self_grow_frames(self))
            return walk_whole(self, leaf);
    for (uint32_t i = kept; i <= (uint32_t)join; i++)
        renew_entry(&self->frames[i]);
    for (uint32_t i = 0; i < pending; i++)
        fill_entry(&self->frames[join + 1 + i], self->pending[pending - 1 - i]);
    self->frame_count = (uint32_t)join + 1 + pending;
    return kept;
}

static bool find_node(uint32_t parent, struct mt_frame_entry *entry) {
    if (entry->code_id == MT_SHIM_FRAME) {
        entry->node = parent;
        return true;
    }
    if (entry->code_version == 0 && !mt_code_at(layout, entry->code, &entry->code_id, &entry->code_version))
        return false;
    uint64_t hash = (((uint64_t)parent << 32 | entry->code_version) + entry->instruction * 0x9E3779B97F4A7C15u) *
                    0xD6E8FEB86659FD93u;
    struct edge *edge = &edges[hash >> (64 - EDGE_BITS)];
    if (edge->instruction != entry->instruction || edge->parent != parent ||
        edge->code_version != entry->code_version || edge->node == 0) {
        uint32_t offset = mt_code_offset(layout, entry->code, entry->instruction), node;
        if (!mt_stack_child(parent, entry->code_id, mt_code_line(layout, entry->code, offset), &node))
            return false;
        *edge = (struct edge){entry->instruction, parent, entry->code_version, node};
    }
    entry->node = edge->node;
    return true;
}

/* Looks again at the code objects of the innermost kept frames; returns how many entries still stand. */
static uint32_t recheck_codes(struct mt_self *self, uint32_t kept) {
    uint32_t count = self->frame_count, first = count > HEAP_RECHECKS ? count - HEAP_RECHECKS : 0;
    for (uint32_t i = first; i < kept; i++) {
        struct mt_frame_entry *entry = &self->frames[i];
        uint32_t id, version;
        if (entry->code_id == MT_SHIM_FRAME ||
            (mt_code_at(layout, entry->code, &id, &version) && version == entry->code_version))
            continue;
        for (uint32_t j = i; j < kept; j++)
            self->frames[j].code_version = 0;
        return i;
    }
    return kept;
}

uint32_t mt_python_stack_slowly(struct mt_self *self, uint32_t kept) {
    uint32_t count = self->frame_count;
    if (memtrace_image.level == MT_LEVEL_HEAP)
        kept = recheck_codes(self, kept);
    for (uint32_t i = kept; i < count; i++) {
        if (!find_node(i > 0 ? self->frames[i - 1].node : 0, &self->frames[i])) {
            self->frame_count = i;
            memtrace_image.dropped[MT_DROP_MEMORY]++;
            break;
        }
    }
    return self->frame_count > 0 ? self->frames[self->frame_count - 1].node : 0;
}

/* --- at a safe point -----------------------------------------------------------------------------------------------
 */

static uint64_t skip_shims(uint64_t frame) {
    while (frame != 0 && is_shim(frame))
        frame = mt_peek64(frame, layout->frame_previous);
    return frame;
}

bool mt_python_is_proven(void) {
    return memtrace_image.python_state == MT_PYTHON_PROVEN;
}

uint64_t mt_python_innermost(const struct mt_self *self) {
    uint64_t state = own_thread_state(self);
    return state != 0 ? mt_python_innermost_of(state) : 0;
}

uint64_t mt_python_innermost_of(uint64_t thread_state) {
    return skip_shims(first_frame(thread_state));
}

uint64_t mt_python_thread_id(uint64_t thread_state) {
    return mt_peek64(thread_state, layout->thread_id);
}

uint64_t mt_python_caller(uint64_t frame) {
    return skip_shims(mt_peek64(frame, layout->frame_previous));
}

uint64_t mt_python_code(uint64_t frame) {
    return frame_code(frame);
}

uint32_t mt_python_line(uint64_t frame) {
    uint64_t code = frame_code(frame);
    return mt_code_line(layout, code, mt_code_offset(layout, code, frame_instruction(frame)));
}

/* Opcodes of Include/opcode.h, the same in 3.9 to 3.11. */
enum { RETURN_VALUE = 83, YIELD_VALUE = 86, YIELD_FROM = 72 };

bool mt_python_is_at_yield(uint64_t frame) {
    uint64_t code = frame_code(frame);
    uint64_t first = code + layout->code_bytecode;
    bool is_object = layout->line_table != MT_LINES_LOCATION; /* before 3.11 the instructions are a bytes object */
    if (is_object)
        first = mt_peek64(code, layout->code_bytecode) + layout->bytes_data;
    unsigned offset = mt_code_offset(layout, code, frame_instruction(frame));
    uint8_t opcode = mt_peek8(first, offset);
    /* A frame that waits for another generator stands before the instruction, which it will execute again. */
    return opcode == YIELD_VALUE || (is_object && opcode != RETURN_VALUE && mt_peek8(first, offset + 2) == YIELD_FROM);
}

bool mt_python_has_line(uint64_t code, uint32_t line) {
    uint64_t size = layout->line_table == MT_LINES_LOCATION
                        ? mt_peek64(code, layout->var_size) * 2
                        : mt_peek64(mt_peek64(code, layout->code_bytecode), layout->var_size);
    if (line < mt_peek32(code, layout->code_first_line))
        return false;
    for (uint64_t offset = 0; offset < size; offset += 2)
        if (mt_code_line(layout, code, (uint32_t)offset) == line)
            return true;
    return false;
}

bool mt_python_code_id(struct mt_self *self, uint64_t code, uint32_t *ret) {
    uint32_t version;
    bool locked = mt_lock(self);
    bool ok = mt_code_at(layout, code, ret, &version);
    mt_unlock(self, locked);
    return ok;
}
