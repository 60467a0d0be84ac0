/* The driver's three ways to stop a program, and what they share. Each returns whether everything held. */
#ifndef MEMTRACE_TESTS_INSTANTS_INSTANTS_H
#define MEMTRACE_TESTS_INSTANTS_INSTANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tracee.h"

struct plan {
    const char *recorder; /* libmemtrace-recorder.so */
    const char *below;    /* the library below it */
    const char *program;  /* for Python: the interpreter */
    const char *script;
    uint64_t stops;
    uint64_t seed;
    uint64_t stride; /* single steps: the loops of long operations are looked at every so many instructions */
};

/* random_stops.c: four threads of the allocating program, stopped at random instructions. */
bool random_stops(const struct plan *plan);
/* single_steps.c: chosen operations of the allocating program, or of a Python program, instruction by instruction. */
bool single_steps(const struct plan *plan);
/* python_stops.c: a Python program with threads, stopped at random instructions. */
bool python_stops(const struct plan *plan);

/* A started program's standard output. */
#define RESULT_BYTES 256
struct result {
    int read_end, write_end;
    char text[RESULT_BYTES];
};
void result_open(struct result *result);
/* After the program has ended: all that it wrote. */
void result_close(struct result *result);

/* Starts a program recorded, and leaves it before its first instruction. */
void start_recorded(struct tracee *tracee, const struct plan *plan, char *const *argv, const char *level,
                    const char *variable, int output);
/* Runs it without recorder or driver; its output. */
void run_bare(char *const *argv, char output[RESULT_BYTES]);

/* Random numbers of the driver's own. */
uint64_t chance(uint64_t limit);
void chance_seed(uint64_t seed);

/* How often the stopped threads stood inside the recorder, and at how many different instructions of it. */
struct coverage {
    uint64_t start, end;   /* the recorder's code */
    uint8_t *seen;         /* one for each byte of it */
    uint64_t stops;        /* all */
    uint64_t inside;       /* with a thread inside */
    uint64_t locked;       /* with the recorder's lock held */
    uint64_t in_flight;    /* threads inside an event, over all stops */
    uint64_t instructions; /* different ones */
};
bool coverage_has(const struct coverage *coverage, uint64_t instruction);
/* One stop; true when a thread is inside. */
bool coverage_note(struct coverage *coverage, const struct tracee *tracee);
void coverage_print(const struct coverage *coverage, const char *what);

#endif
