/* The recorder's image: the memory layout that the recorder keeps inside the recorded process and that
 * readers decode from outside, live or from a core file.  docs/image-format.md describes it for people who
 * write another reader; this header is the authority.
 *
 * Rules that both sides rely on:
 *  - Everything is little-endian x86-64; every pointer is an absolute address in the recorded process.
 *  - The header is the exported symbol `memtrace_image`: page-aligned data of the recorder library.  A reader
 *    without symbols finds it by MT_IMAGE_MAGIC at a page boundary of any writable mapping; `self` must equal
 *    the address where it was found.
 *  - `major` changes when an old reader would misread; `minor` when fields or records were only appended.
 *    Records are read with the stride that the header gives, so records may grow at their end.
 *  - All memory is private and anonymous (or the library's own dirty data), so every kind of core holds it.
 *  - At every instruction of the recorder the following holds, so that a stop anywhere can be read:
 *      * a record below its pool's `count` is complete;
 *      * the composition of the peak is exact: for every site, the values at the peak are (peak_bytes,
 *        peak_blocks) if its `epoch` equals the shard's, else (bytes, blocks).  The commit of a new peak is the
 *        single store of a new shard epoch, so a reader sums the sites and trusts that sum;
 *      * a live block appears at least once in the shadow, the block table or a thread's in-flight descriptor; readers
 *        drop duplicates by address, and count the old block of a descriptor as struct mt_thread says;
 *      * a map, a munmap or an mremap changes all ranges that it touches at one instant: `ranges_changed`;
 *      * a thread inside an event has `operation` set; what it is about to do may or may not have happened.
 */
#ifndef MEMTRACE_IMAGE_H
#define MEMTRACE_IMAGE_H

#include <stdint.h>

#define MT_IMAGE_MAGIC "memtrace image\n" /* 16 bytes with its terminating NUL */
#define MT_IMAGE_SYMBOL "memtrace_image"
#define MT_STOP_HOOK_SYMBOL "memtrace_stop_hook"
#define MT_IMAGE_MAJOR 2
#define MT_IMAGE_MINOR 3

enum mt_level { MT_LEVEL_NONE = 0, MT_LEVEL_HEAP = 1, MT_LEVEL_OBJECTS = 2 };

/* `state` of the header. */
enum mt_recording {
    MT_RECORDING_NEVER = 0, /* loaded, and has not recorded yet */
    MT_RECORDING_ON = 1,
    MT_RECORDING_STOPPED = 2, /* everything recorded stays readable as it was at the stop */
    MT_RECORDING_DORMANT = 3, /* loaded into a process that it was not meant for: only passes calls through */
};

/* `request`: written by a debugger while the process is stopped, obeyed and reset to 0 at the entry of the next
 * event of any thread. `request_argument`: for START the level; for MARK the generation that it begins, which is one
 * more than the header's, so that at every instant a mark is either still to come or there (0: whichever is next); for
 * STOP the same when a mark is to be set first, else 0. MARK: nothing can have happened between the stop at which it
 * was written and the event that obeys it, so the mark shows the moment of the stop. */
enum mt_request {
    MT_REQUEST_NONE = 0,
    MT_REQUEST_START = 1,
    MT_REQUEST_STOP = 2,
    MT_REQUEST_MARK = 3,
    MT_REQUEST_PYTHON = 4, /* look at struct mt_python_stops; the recorder does so after any other request too */
};

/* Stops: conditions on memory at which the recorder calls memtrace_stop_hook, after the event that met one of them and
 * with its lock released. A debugger has a breakpoint there. It writes slots of `stops` (kind last) and then
 * MT_STOPS_CHANGED into `stops_state`, while the process stands still; the recorder looks at them at the end of the
 * next event. Once at the recorder's start, before anything is recorded, the hook is called with NULL: slots that a
 * debugger writes there are good from the first event on. */
#define MT_STOPS 16
enum mt_stop_kind {
    MT_STOP_NONE = 0,
    MT_STOP_HEAP = 1,       /* live bytes rose above `argument`; again only after they had fallen to it */
    MT_STOP_ALLOCATION = 2, /* one request of at least `argument` bytes was met */
    MT_STOP_PEAK = 3,  /* live bytes are at a new maximum, above `argument`; once a climb: again only after they fell */
    MT_STOP_FREE = 4,  /* the block at `argument` ends: freed, moved, or unmapped */
    MT_STOP_COUNT = 5, /* the signed 8-byte word at `argument` is at least `limit`; then it is off (kind 0) */
    /* A new object of the CPython type at `argument` has begun to live: at the next event of its thread. `limit`: where
     * in its block the object begins, behind the headers that its type asks for. Then it is off. From image 2.2 on. */
    MT_STOP_TYPE = 6,
};
struct mt_stop {
    uint32_t kind;     /* enum mt_stop_kind */
    uint32_t is_over;  /* the recorder's own: HEAP and PEAK have stopped and wait to fall; a debugger writes 0 */
    uint64_t argument; /* bytes or an address */
    int64_t limit;
};
enum mt_stops_state {
    MT_STOPS_ACTIVE = 1,  /* the recorder's own: some of them have to be compared with every event */
    MT_STOPS_CHANGED = 2, /* written by a debugger */
    MT_STOPS_ENDS = 4,    /* the recorder's own: or with what every event ends */
};
/* What happens at a stop. */
enum mt_stop_action {
    MT_STOP_ACTION_HOOK = 0,   /* the hook is called, no more */
    MT_STOP_ACTION_REPORT = 1, /* a report or a core is written, and the process ends (environment contract) */
};

/* The last slot belongs to the limit of the environment contract, where there is one (`limit_state`). */
#define MT_LIMIT_SLOT (MT_STOPS - 1)
enum mt_limit_state {
    MT_LIMIT_NONE = 0,      /* not asked for */
    MT_LIMIT_SET = 1,       /* `limit_bytes` */
    MT_LIMIT_NOT_FOUND = 2, /* a share was asked for of a limit that is not there */
    MT_LIMIT_BAD = 3,       /* what was asked for is no size */
};
/* How the recorder tells a tracer that the limit is passed: a breakpoint instruction with this in rax, and the address
 * of the event in rdi. The status that the process then ends with. */
#define MT_LIMIT_TRAP 0x6d656d7472616365ULL
#define MT_LIMIT_EXIT 99

/* The hook's only argument (but for that call): what happened. It lies on the stack of the thread that calls. */
struct mt_stop_event {
    uint32_t fired;       /* bit n: slot n of `stops` */
    uint32_t thread;      /* index into the thread pool */
    uint32_t operation;   /* enum mt_operation of the event */
    uint32_t site;        /* site that the event allocated from; 0: it allocated nothing */
    uint64_t address;     /* the block that was born (moved: its new place); of a free: the block that ended */
    uint64_t size;        /* its requested bytes */
    uint64_t old_address; /* of a move: the block that ended; else 0 */
    int64_t net_bytes;    /* what the event changed live bytes by */
    int64_t live_bytes;   /* after it */
    uint64_t object;      /* the one that a slot of TYPE has met; 0: none did. From image 2.2 on, as the next */
    uint32_t object_site; /* that its block was allocated from */
    uint32_t reserved;
};

/* How calls come to the recorder. While they do not, requests are not obeyed. */
enum mt_hooked {
    MT_HOOKED_NOT = 0,   /* loaded by dlopen and not attached yet (or written by a recorder of image 2.0) */
    MT_HOOKED_FIRST = 1, /* preloaded: found before all others */
    MT_HOOKED_SLOTS = 2, /* attached (attach.h) */
    MT_HOOKED_OUT = 3,   /* detached: what was recorded stays readable */
};

/* What the process's Python is to the recorder. */
enum mt_python_state {
    MT_PYTHON_NONE = 0,        /* no CPython seen */
    MT_PYTHON_FOUND = 1,       /* seen; frames not yet proven because none has run */
    MT_PYTHON_PROVEN = 2,      /* the self-test at the first frame passed: stacks are recorded */
    MT_PYTHON_UNSUPPORTED = 3, /* version or flavour without a layout: native allocations only */
    MT_PYTHON_REFUSED = 4,     /* the self-test failed: `python_problem` says at what; no stacks */
};

/* Who was asked for the memory. Values are stable: they are in files. */
enum mt_allocator {
    MT_ALLOCATOR_NONE = 0,
    MT_MALLOC = 1,
    MT_CALLOC = 2,
    MT_REALLOC = 3,
    MT_REALLOCARRAY = 4,
    MT_POSIX_MEMALIGN = 5,
    MT_ALIGNED_ALLOC = 6,
    MT_MEMALIGN = 7,
    MT_VALLOC = 8,
    MT_PVALLOC = 9,
    MT_MMAP = 10,
    MT_MREMAP = 11,
    MT_SBRK = 12,
    MT_PYMEM_RAW_MALLOC = 16,
    MT_PYMEM_RAW_CALLOC = 17,
    MT_PYMEM_RAW_REALLOC = 18,
    MT_PYMEM_MALLOC = 19,
    MT_PYMEM_CALLOC = 20,
    MT_PYMEM_REALLOC = 21,
    MT_PYOBJECT_MALLOC = 22,
    MT_PYOBJECT_CALLOC = 23,
    MT_PYOBJECT_REALLOC = 24,
    MT_ALLOCATOR_COUNT = 25,
};

/* A growing array of fixed-size records that never move. Record i (0-based) is at
 *   *(uint64_t *)(directory + 8 * (i >> chunk_shift)) + (i & ((1 << chunk_shift) - 1)) * stride
 * `directory` may be replaced by a longer copy; entries never change. */
struct mt_pool_ref {
    uint64_t directory;
    uint32_t stride;
    uint32_t chunk_shift;
    uint64_t count;
};

/* Stack node: a path of Python frames, outermost first, ends here. Record 0 of the pool is the empty stack
 * (no Python frame); its fields are 0. */
struct mt_stack_node {
    uint32_t parent; /* node index; 0: this is an outermost frame */
    uint32_t code;   /* index into the code pool */
    uint32_t line;   /* line number of the instruction being executed; 0: unknown */
    uint32_t sites;  /* first site of this node + 1; 0: none (the recorder's own list) */
};

/* A function's identity, copied at first sight. Strings are offsets into the string pool. */
struct mt_code {
    uint32_t file;
    uint32_t function; /* qualified name from 3.11, plain name before */
    uint32_t first_line;
    uint32_t reserved;
};

/* Everything allocated by one (stack, thread, allocator, generation). Record 0 is never used.
 * state 0: free for reuse (all numbers are 0 to a reader), 1: in use. */
struct mt_site {
    uint32_t stack;
    uint16_t thread; /* index into the thread pool */
    uint8_t allocator;
    uint8_t state;
    uint64_t epoch;
    int64_t bytes;      /* live now */
    int64_t peak_bytes; /* see the rule at the top */
    uint32_t blocks;
    uint32_t peak_blocks;
    uint32_t generation;
    uint32_t next; /* next site of the same node + 1 (the recorder's own list) */
};

/* `operation` of a thread. */
enum mt_operation {
    MT_IDLE = 0,
    MT_OP_ALLOCATE = 1,
    MT_OP_FREE = 2,
    /* The old block lives in the descriptor and still counts. The tables do not have it: what they have at its address
     * is another thread's block, for the real realloc gives the address up. Only while `new_address` equals `address`
     * may it stand in both. */
    MT_OP_REALLOCATE = 3,
    MT_OP_SETTLE = 4, /* its successor `new_address` is being entered; when it is in the tables, the old is gone */
};

/* One thread that has allocated. Slots of dead threads are used again when nothing of theirs lives.
 * The recorder keeps private fields behind these; the pool's stride covers them. */
struct mt_thread {
    uint32_t tid;
    uint32_t state;       /* 0 free, 1 in use */
    char name[16];        /* the kernel's name of the thread, as last seen */
    uint64_t start_event; /* `events` when it was first seen */
    uint32_t last_site;   /* site of its last allocation; 0: none */
    uint32_t peak_site;   /* the same at the peak, if peak_epoch equals the shard's epoch; else last_site */
    uint64_t peak_epoch;
    /* in-flight descriptor */
    uint32_t operation;
    uint32_t site;    /* of the old block, for REALLOCATE and SETTLE */
    uint64_t address; /* old block */
    uint64_t size;    /* its requested bytes */
    uint64_t new_address;
};

/* Block table: pages of MT_TABLE_SLOTS slots; slot 0 of each page is the recorder's own. A slot with key 0 is empty.
 *   key   = address | (size >> 32) << 48
 *   value = (uint64_t)site << 32 | (size & 0xffffffff)
 * value is written before key; pages are records of the `table_pages` pool (8-byte addresses of pages). */
#define MT_TABLE_SLOTS 256
struct mt_table_slot {
    uint64_t key;
    uint64_t value;
};
#define MT_SLOT_ADDRESS(key) ((key)&0xffffffffffffULL)
#define MT_SLOT_SIZE(key, value) (((key) >> 48 << 32) | ((value)&0xffffffffULL))
#define MT_SLOT_SITE(value) ((uint32_t)((value) >> 32))

/* Shadow: one 32-bit slot for every 16 bytes of address space, reached by a three-level radix tree, for blocks of at
 * most MT_SHADOW_MAX bytes that start at a 16-byte boundary.  slot = site << 7 | size; 0: no block starts here.
 * Bits of an address: root index 46..36, middle 35..25, bottom 24..14, slot 13..4.
 * root and middle entries are addresses of the next table (0: none); a bottom entry is
 * leaf address | live slots << 48. */
#define MT_SHADOW_MAX 127
#define MT_SHADOW_SIZE_BITS 7
#define MT_SHADOW_ENTRIES 2048    /* of root, middle and bottom tables */
#define MT_SHADOW_LEAF_SLOTS 1024 /* a leaf is 4 KiB and covers 16 KiB */
#define MT_SHADOW_LEAF_SHIFT 14
#define MT_SHADOW_BOTTOM_SHIFT 25
#define MT_SHADOW_MIDDLE_SHIFT 36
#define MT_SHADOW_LEAF(entry) ((entry)&0xffffffffffffULL)

/* `state` of a range. An event that changes ranges leaves the old ones as they are, enters what is to be instead, and
 * then changes over by one store to `ranges_changed` of the shard. */
enum mt_range_state {
    MT_RANGE_UNUSED = 0,
    MT_RANGE_LIVE = 1,
    MT_RANGE_LEAVING = 2,  /* live while `ranges_changed` is 0 */
    MT_RANGE_ARRIVING = 3, /* live while `ranges_changed` is not 0 */
};

/* Address ranges that came from the kernel (mmap, mremap, sbrk). */
struct mt_range {
    uint64_t start;
    uint64_t end; /* requested end, not rounded to a page: bytes = end - start */
    uint32_t site;
    uint32_t state;    /* enum mt_range_state */
    uint32_t links[2]; /* the recorder's own tree */
    uint64_t priority; /* the recorder's own */
};

/* Counts of one shard. Blocks are sharded by address; today there is one shard. */
struct mt_shard {
    uint32_t lock;
    uint32_t ranges_changed; /* see enum mt_range_state */
    uint64_t epoch;          /* see the rule at the top; starts at 1 */
    int64_t live_bytes;
    int64_t live_blocks;
    int64_t peak_bytes;
    uint64_t peak_event;  /* `events` at the peak */
    uint64_t peak_time;   /* CLOCK_MONOTONIC ns, as of the last clock sample before it */
    uint32_t peak_thread; /* thread slot that set the peak */
    uint32_t reserved2;
    int64_t look_from;         /* the recorder's own: of live bytes (recorder/account.c) */
    int64_t window_peak_bytes; /* the highest since the last line of Python that was measured */
    int64_t look_closely_from; /* the recorder's own, likewise */
    uint64_t reserved3[2];
    uint64_t events;                /* recorded births, deaths and moves */
    uint64_t frees_ignored;         /* of blocks that were not recorded (older than the recording) */
    struct mt_pool_ref table_pages; /* of uint64_t */
    uint64_t shadow_root;
    struct mt_pool_ref ranges;
};

enum mt_drop { MT_DROP_SIGNAL, MT_DROP_MEMORY, MT_DROP_LIMIT, MT_DROP_KINDS = 8 };

/* What was alive when a mark was set. The last MT_MARKS_KEPT are kept: mark n is record n % MT_MARKS_KEPT. The blocks
 * that are born after it carry its generation. */
#define MT_MARKS_KEPT 16
#define MT_MARK_NAME 32
struct mt_mark {
    uint32_t generation; /* 1 for the first mark of a session; 0: record unused or being rewritten */
    uint32_t reserved;
    char name[MT_MARK_NAME]; /* NUL-terminated; empty: none was given */
    uint64_t event;          /* `events` when it was set */
    uint64_t time;           /* CLOCK_MONOTONIC ns */
    int64_t live_bytes;
    int64_t live_blocks;
    uint64_t sums; /* address of sum_count struct mt_mark_sum */
    uint64_t sum_count;
    uint64_t sum_capacity; /* the recorder's own */
};
struct mt_mark_sum {
    uint32_t stack;
    uint16_t thread;
    uint8_t allocator;
    uint8_t reserved;
    uint32_t generation;
    uint32_t blocks;
    int64_t bytes;
};

struct mt_image_header {
    char magic[16];
    uint16_t major;
    uint16_t minor;
    uint32_t header_size;
    uint64_t self;
    uint32_t pid;
    uint32_t state;      /* enum mt_recording */
    uint32_t level;      /* enum mt_level */
    uint32_t generation; /* bumped by a mark; starts at 0 */
    uint64_t session;    /* counts starts of recording */
    /* written by the debugger */
    uint32_t request;
    uint32_t request_argument;
    uint32_t stops_state; /* sum of enum mt_stops_state */
    uint32_t stop_action; /* enum mt_stop_action */
    uint64_t limit_bytes;
    uint32_t limit_state; /* enum mt_limit_state */
    uint32_t hooked;      /* enum mt_hooked */
    uint64_t stop_reserved[3];
    uint64_t python_stops; /* address of struct mt_python_stops (python_stops.h); 0: this recorder has none */
    uint64_t attached;     /* CLOCK_REALTIME ns when the recorder was last attached to the running process; 0: never */
    uint64_t stop_hook;    /* address of memtrace_stop_hook */
    /* clocks */
    uint64_t start_realtime;  /* CLOCK_REALTIME ns when recording began */
    uint64_t start_monotonic; /* CLOCK_MONOTONIC ns at the same moment */
    uint64_t clock_monotonic; /* last clock sample */
    uint64_t clock_event;     /* `events` at that sample */
    /* Python */
    uint32_t python_version; /* PY_VERSION_HEX; 0: none */
    uint32_t python_state;   /* enum mt_python_state */
    uint32_t python_free_threaded;
    uint32_t python_rewrapped; /* times the allocator tables were found replaced and were wrapped again */
    char python_problem[96];   /* for UNSUPPORTED and REFUSED: one line; NUL-terminated */
    /* health */
    uint64_t dropped[MT_DROP_KINDS]; /* events not recorded, by enum mt_drop */
    uint64_t recorder_bytes;         /* mapped by the recorder for its own use */
    uint64_t reserved_bytes;         /* PROT_NONE reservations made through us, outside the totals */
    uint64_t file_map_bytes;         /* file mappings made through us, outside the totals */
    /* pools */
    uint64_t strings; /* byte pool: directory of chunks of 1 << string_chunk_shift bytes; a string never
                       * crosses a chunk, and is NUL-terminated UTF-8 */
    uint32_t string_chunk_shift;
    uint32_t shard_count;
    uint64_t string_bytes;
    struct mt_pool_ref codes;
    struct mt_pool_ref stacks;
    struct mt_pool_ref sites;
    struct mt_pool_ref threads;
    struct mt_pool_ref marks;        /* MT_MARKS_KEPT records of struct mt_mark once a mark was set; else none */
    char request_name[MT_MARK_NAME]; /* for MARK: its name, NUL-terminated; written before `request` */
    char python_allocator[32];       /* CPython's own name of its allocators, as for PYTHONMALLOC; empty: not known */
    struct mt_stop stops[MT_STOPS];
    struct mt_shard shards[1]; /* shard_count of them */
};

#endif
