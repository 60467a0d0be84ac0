/* What comes over a slow link: how much, how fast, and how long the rest will take. */
#ifndef MEMTRACE_TRAFFIC_H
#define MEMTRACE_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_traffic {
    uint64_t bytes;        /* that have come */
    uint64_t nanoseconds;  /* that they took */
    uint64_t bytes_before; /* `bytes` when the work at hand began */
    uint64_t expected;     /* bytes that the work at hand reads at most; 0: nobody said */
    uint64_t last;         /* CLOCK_MONOTONIC when the last ones came */
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t mt_traffic_now(void);
void mt_traffic_add(struct mt_traffic *traffic, uint64_t bytes, uint64_t since);
/* Work begins that reads at most `bytes`. */
void mt_traffic_expect(struct mt_traffic *traffic, uint64_t bytes);
/* A line for who waits; false: nothing comes, or not for long. `from`: "the remote stub". */
bool mt_traffic_line(const struct mt_traffic *traffic, const char *from, char *line, size_t size);

#endif
