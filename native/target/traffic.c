#include "target/traffic.h"

#include <stdio.h>
#include <time.h>

#define SECOND 1000000000u
#define RECENTLY (SECOND / 2)
#define LEAST_SECONDS 1.0 /* what takes less is not worth a line */
#define MEGABYTE 1e6

uint64_t mt_traffic_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

void mt_traffic_add(struct mt_traffic *traffic, uint64_t bytes, uint64_t since) {
    traffic->last = mt_traffic_now();
    traffic->nanoseconds += traffic->last - since;
    traffic->bytes += bytes;
}

void mt_traffic_expect(struct mt_traffic *traffic, uint64_t bytes) {
    traffic->bytes_before = traffic->bytes;
    traffic->expected = bytes;
}

bool mt_traffic_line(const struct mt_traffic *traffic, const char *from, char *line, size_t size) {
    if (traffic->bytes == 0 || traffic->nanoseconds == 0 || mt_traffic_now() - traffic->last > RECENTLY)
        return false;
    double speed = (double)traffic->bytes / ((double)traffic->nanoseconds / SECOND);
    uint64_t read = traffic->bytes - traffic->bytes_before;
    uint64_t left = traffic->expected > read ? traffic->expected - read : 0;
    double seconds = (double)left / speed, all = (double)traffic->expected / speed;
    if (all < LEAST_SECONDS)
        return false;
    if (read * 50 < traffic->expected)
        snprintf(line, size, "reading %.0f MB from %s, about %.0f s; Ctrl-C ends it",
                 (double)traffic->expected / MEGABYTE, from, seconds);
    else
        snprintf(line, size, "%.0f of %.0f MB read from %s, about %.0f s more; Ctrl-C ends it", (double)read / MEGABYTE,
                 (double)traffic->expected / MEGABYTE, from, seconds);
    return true;
}
