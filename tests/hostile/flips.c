/* flips CORE SEED ROUNDS: damages a copy of a core of CPython in many ways, one round after the other, and asks
 * memtrace about each. Every command must answer, or refuse in one line, in bounded time and memory. CORE is written
 * to: give a copy. Meant to be built with sanitizers. */
#define _GNU_SOURCE 1

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "heap/census.h"
#include "memtrace.h"

#define MAX_CHANGES 64
#define MAX_SEGMENTS 4096
#define SECONDS_ALLOWED 60.0
#define KILOBYTES_ALLOWED (3L << 20)

struct segment {
    uint64_t address, size, offset;
};

struct change {
    uint64_t offset;
    uint64_t before;
};

static int file;
static struct segment segments[MAX_SEGMENTS];
static size_t segment_count;
static uint64_t total_size;
static uint64_t *objects;
static uint32_t object_count;
static uint64_t state;

static void give_up(const char *what) {
    fprintf(stderr, "flips: %s\n", what);
    exit(1);
}

/* xorshift64*: the same rounds for the same seed everywhere. */
static uint64_t next_random(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(uint64_t limit) {
    return limit ? next_random() % limit : 0;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* --- the core --------------------------------------------------------------------------------------------------------
 */

static void read_segments(void) {
    Elf64_Ehdr header;
    if (pread(file, &header, sizeof header, 0) != sizeof header)
        give_up("no core");
    for (unsigned i = 0; i < header.e_phnum && segment_count < MAX_SEGMENTS; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header.e_phoff + i * sizeof segment);
        if (pread(file, &segment, sizeof segment, at) != sizeof segment)
            give_up("the core's segments can't be read");
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_W) || segment.p_filesz == 0)
            continue;
        segments[segment_count++] = (struct segment){segment.p_vaddr, segment.p_filesz, segment.p_offset};
        total_size += segment.p_filesz;
    }
}

/* The place in the file of an address; 0: the core does not have it. */
static uint64_t offset_of(uint64_t address) {
    for (size_t i = 0; i < segment_count; i++)
        if (address >= segments[i].address && address - segments[i].address + 8 <= segments[i].size)
            return segments[i].offset + (address - segments[i].address);
    return 0;
}

static uint64_t anywhere(void) {
    uint64_t at = below(total_size - 8);
    for (size_t i = 0; i < segment_count; i++) {
        if (at + 8 <= segments[i].size)
            return segments[i].offset + at;
        at = at > segments[i].size ? at - segments[i].size : 0;
    }
    return segments[0].offset;
}

static void list_objects(const char *core) {
    struct mt_target *target;
    struct mt_python *python;
    struct mt_census *census;
    if (mt_target_open_core(core, NULL, &target) || mt_python_open(target, NULL, &python) ||
        mt_census_create(python, NULL, &census))
        give_up("the core is not readable before it is damaged");
    object_count = census->count;
    objects = malloc(object_count * sizeof *objects);
    memcpy(objects, census->addresses, object_count * sizeof *objects);
    mt_census_destroy(census);
    mt_python_destroy(python);
    mt_target_destroy(target);
}

/* --- damage ----------------------------------------------------------------------------------------------------------
 */

/* A word as wrong memory has them: an object, near an object, small, huge, noise. */
static uint64_t odd_word(void) {
    switch (below(6)) {
    case 0:
        return objects[below(object_count)];
    case 1:
        return objects[below(object_count)] + below(64);
    case 2:
        return below(4096);
    case 3:
        return UINT64_MAX - below(4096);
    case 4:
        return 1ULL << below(64);
    default:
        return next_random();
    }
}

static void put(struct change *changes, size_t *count, uint64_t offset, uint64_t word) {
    uint64_t before;
    if (offset == 0 || *count >= MAX_CHANGES || pread(file, &before, 8, (off_t)offset) != 8)
        return;
    changes[(*count)++] = (struct change){offset, before};
    if (pwrite(file, &word, 8, (off_t)offset) != 8)
        give_up("the core can't be written");
}

static size_t damage(struct change *changes) {
    size_t count = 0, wanted = 1 + below(below(2) ? 4 : MAX_CHANGES);
    unsigned way = (unsigned)below(4);
    for (size_t i = 0; i < wanted; i++) {
        uint64_t object = objects[below(object_count)], at, word;
        switch (way) {
        case 0: /* one bit, anywhere */
            at = anywhere();
            if (pread(file, &word, 8, (off_t)at) == 8)
                put(changes, &count, at, word ^ 1ULL << below(64));
            break;
        case 1: /* the type of an object */
            put(changes, &count, offset_of(object + 8), odd_word());
            break;
        case 2: /* what is in it, or in front of it */
            put(changes, &count, offset_of(object - 32 + 8 * below(16)), odd_word());
            break;
        default: /* a pool's header */
            put(changes, &count, offset_of((object & ~(uint64_t)4095) + 8 * below(6)), odd_word());
        }
    }
    return count;
}

static void mend(const struct change *changes, size_t count) {
    while (count-- > 0)
        if (pwrite(file, &changes[count].before, 8, (off_t)changes[count].offset) != 8)
            give_up("the core can't be mended");
}

/* --- questions -------------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *words;
    bool takes_address;
} questions[] = {
    {"summary --json", false},           {"types --limit 5", false},   {"who-holds --type dict --limit 5", false},
    {"instances --limit 5 list", false}, {"threads --limit 5", false}, {"object ", true},
    {"holds --limit 5 ", true},          {"who-holds --json ", true},  {"path --all-roots --limit 20 ", true},
};

static unsigned ask(const char *core) {
    struct mt_session *session;
    unsigned refused = 0;
    if (mt_answer_status(mt_session_open_core(NULL, core, NULL, &session)))
        return 1;
    char address[32];
    snprintf(address, sizeof address, "0x%llx", (unsigned long long)objects[below(object_count)]);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        char line[128];
        double begun = now();
        snprintf(line, sizeof line, "%s%s", questions[i].words, questions[i].takes_address ? address : "");
        const struct mt_answer *answer = mt_session_run(session, line);
        const char *text = mt_answer_text(answer);
        if (now() - begun > SECONDS_ALLOWED)
            give_up("a command took too long");
        if (*text == '\0')
            give_up("an answer without a word");
        if (mt_answer_status(answer)) {
            refused++;
            if (strchr(text, '\n'))
                give_up("an error of several lines");
        }
    }
    mt_session_destroy(session);
    return refused;
}

int main(int argc, char **argv) {
    if (argc != 4)
        give_up("usage: flips CORE SEED ROUNDS");
    file = open(argv[1], O_RDWR | O_CLOEXEC);
    state = strtoull(argv[2], NULL, 0) * 2 + 1;
    unsigned long rounds = strtoul(argv[3], NULL, 0), refused = 0, answered = 0;
    read_segments();
    list_objects(argv[1]);
    for (unsigned long round = 0; round < rounds; round++) {
        struct change changes[MAX_CHANGES];
        size_t count = damage(changes);
        unsigned no = ask(argv[1]);
        refused += no;
        answered += sizeof questions / sizeof questions[0] - no;
        mend(changes, count);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (usage.ru_maxrss > KILOBYTES_ALLOWED)
        give_up("too much memory");
    printf("%lu rounds: %lu answers, %lu refusals, %ld MB\n", rounds, answered, refused, usage.ru_maxrss >> 10);
    return 0;
}
