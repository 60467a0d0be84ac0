/* What the driver reads in the stopped process besides the recorder's image: two boards, written by two parties that
 * know nothing of the recorder. The program says what it is about to do and what it holds; the library below the
 * recorder says what really was given and taken.
 *
 * Both are exact at every instruction. A thread writes only its own part; what belongs together becomes valid by one
 * store. Nobody reads the boards but the driver, from outside, so no thread ever waits for another because of them. */
#ifndef MEMTRACE_TESTS_INSTANTS_BOARD_H
#define MEMTRACE_TESTS_INSTANTS_BOARD_H

#include <stdint.h>

#define PROGRAM_BOARD_SYMBOL "instants_program_board"
#define BELOW_BOARD_SYMBOL "instants_below_board"
#define BOARD_EXPORT __attribute__((visibility("default")))

#define WORKERS 4
#define SLOTS 300 /* blocks of a worker */
#define RANGES 24 /* maps of a worker */
#define CELLS 8   /* blocks on their way to the next worker */
#define BELOW_THREADS 64

/* A block or map that the program holds. address 0: none. */
struct held {
    uint64_t address;
    uint64_t size;
    uint64_t seed;   /* what it is filled with */
    uint64_t domain; /* whose functions it was got from (worker.h) */
};

#define TOUCHED 2

struct operation {
    uint64_t call;    /* which call to an allocator of this thread it is, from 1; 0: none, a block only changes hands */
    uint32_t is_free; /* the recorder notes it before the allocator hears of it; all others after */
    uint32_t is_range;
    uint64_t old_address; /* 0: none */
    uint64_t old_size;
    uint64_t new_size;
    int64_t bytes; /* what it changes if it succeeds */
    int64_t blocks;
    uint64_t touched[TOUCHED]; /* the places (struct held) that it changes; 0: none */
};

/* One worker. It is in the middle of `operation` while begun != ended. */
struct program_thread {
    uint32_t tid;
    uint32_t finished;
    uint64_t begun;
    uint64_t ended;
    struct operation operation;
    struct held slots[SLOTS];
    struct held ranges[RANGES];
    struct held cells[CELLS]; /* filled by this worker, emptied by the next one */
};

struct program_board {
    uint32_t threads; /* workers in use */
    uint32_t each;    /* single steps: step through this operation whatever it does; 0: only when the recorder grows */
    char label[32];   /* single steps: what is about to be done */
    struct program_thread thread[WORKERS];
};

/* Counts of one thread, after a whole number of calls. */
struct below_counts {
    int64_t bytes;
    int64_t blocks;
    uint64_t calls;
    int64_t last_bytes; /* what the last call changed */
    int64_t last_blocks;
    uint64_t last_address; /* what it gave; 0: nothing */
};

struct below_thread {
    uint32_t tid;
    uint32_t reserved;
    uint64_t version; /* counts[version & 1] is valid */
    struct below_counts counts[2];
};

struct below_board {
    uint64_t threads;
    int64_t total; /* bytes, over all threads, in the order in which the calls returned here */
    int64_t highest;
    struct below_thread thread[BELOW_THREADS];
};

#endif
