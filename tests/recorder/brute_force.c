/* The recorder's books against a naive model: random traces, and after every event the live blocks, the totals, the
 * whole composition of the peak and the stops that were met are compared.  Runs the accounting core without its hooks.
 *
 * usage: brute_force TRACES SEED        short traces over a few stacks
 *        brute_force TRACES SEED wide   long traces over so many stacks that sites are recycled; sites are compared now
 * and then */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "image_reader.h"
#include "model.h"
#include "recorder/python_stops.h"
#include "recorder/account.h"
#include "recorder/header.h"
#include "recorder/marks.h"
#include "recorder/pool.h"
#include "recorder/python.h"
#include "recorder/stacks.h"
#include "recorder/stops.h"
#include "recorder/window.h"

struct mt_image_header memtrace_image = {.python_state = MT_PYTHON_PROVEN};

/* There is no interpreter to be told of a thread. */
void mt_python_stops_meet_thread(void) {}

/* The stack of the next event is what the trace says. */
static uint32_t next_stack;

uint32_t mt_python_walk_slowly(struct mt_self *self) {
    return 0;
}

uint32_t mt_python_stack_slowly(struct mt_self *self, uint32_t kept) {
    return next_stack;
}

/* --- the made-up process -------------------------------------------------------------------------------------------
 */

#define STACKS_NARROW 4
#define STACKS_WIDE 3000
#define LENGTH_NARROW 60
#define LENGTH_WIDE 30000
#define COMPARE_WIDE 200 /* events from one comparison of all sites to the next */
#define THREADS 3
#define MARKS 3
#define PLACES 48       /* addresses where blocks may stand */
#define PLACES_APART 40 /* from here on none is in another's block */
#define PAGES 24        /* where ranges may */
#define PAGE 4096u
#define FIRST_PAGE 0x7f3000000000u

static const enum mt_allocator block_allocators[] = {MT_MALLOC, MT_PYOBJECT_MALLOC};
static const enum mt_allocator range_allocators[] = {MT_MMAP, MT_MREMAP};
enum { BLOCK_ALLOCATORS = 2, RANGE_ALLOCATORS = 2, ALLOCATORS = BLOCK_ALLOCATORS + RANGE_ALLOCATORS };

struct place {
    uint64_t address;
    bool alive;
    uint64_t size;
    int key;
};

static struct place places[PLACES];
static struct mt_self *threads[THREADS];
static unsigned stacks = STACKS_NARROW;
static struct model model;
static int last_key[THREADS], last_key_at_peak[THREADS]; /* of each thread's last allocation; -1: none */
static uint64_t random_state;
static uint64_t trace_number;

static uint64_t random_number(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545F4914F6CDD1Du >> 16;
}

static unsigned below(unsigned limit) {
    return (unsigned)(random_number() % limit);
}

static int key_of(unsigned stack, unsigned thread, unsigned allocator, unsigned generation) {
    return (int)(((stack * THREADS + thread) * ALLOCATORS + allocator) * MARKS + generation);
}

static int key_of_site(const struct mt_site *site) {
    unsigned allocator = 0;
    while (allocator < ALLOCATORS &&
           site->allocator != (allocator < BLOCK_ALLOCATORS ? block_allocators[allocator]
                                                            : range_allocators[allocator - BLOCK_ALLOCATORS]))
        allocator++;
    return key_of(site->stack - 1, site->thread, allocator, site->generation);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "trace %llu, event %llu: ", (unsigned long long)trace_number, (unsigned long long)model.events);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* --- comparison ------------------------------------------------------------------------------------------------------
 */

static void compare_sums(void) {
    static struct model_sum now[MODEL_KEYS], peak[MODEL_KEYS];
    size_t used = (size_t)model.keys * sizeof now[0];
    memset(now, 0, used);
    memset(peak, 0, used);
    model_sum_image(key_of_site, now, peak);
    for (int key = 0; key < model.keys; key++) {
        if (memcmp(&now[key], &model.now[key], sizeof now[key]) != 0)
            fail("site %d holds %lld bytes in %lld blocks instead of %lld in %lld", key, (long long)now[key].bytes,
                 (long long)now[key].blocks, (long long)model.now[key].bytes, (long long)model.now[key].blocks);
        if (memcmp(&peak[key], &model.peak[key], sizeof peak[key]) != 0)
            fail("at the peak site %d held %lld bytes in %lld blocks instead of %lld in %lld", key,
                 (long long)peak[key].bytes, (long long)peak[key].blocks, (long long)model.peak[key].bytes,
                 (long long)model.peak[key].blocks);
    }
}

static void compare_totals(void) {
    const struct mt_shard *shard = mt_shard();
    if (shard->live_bytes != model.total || shard->live_blocks != model.blocks || shard->peak_bytes != model.maximum ||
        shard->events != model.events)
        fail("live %lld bytes, %lld blocks, peak %lld, %llu events instead of %lld, %lld, %lld, %llu",
             (long long)shard->live_bytes, (long long)shard->live_blocks, (long long)shard->peak_bytes,
             (unsigned long long)shard->events, (long long)model.total, (long long)model.blocks,
             (long long)model.maximum, (unsigned long long)model.events);
}

static void compare_threads(void) {
    for (unsigned t = 0; t < THREADS; t++) {
        const struct mt_thread *thread = &threads[t]->image;
        uint32_t at_peak = thread->peak_epoch == mt_shard()->epoch ? thread->peak_site : thread->last_site;
        int last = thread->last_site != 0 ? key_of_site(image_site(thread->last_site)) : -1;
        int last_at_peak = at_peak != 0 ? key_of_site(image_site(at_peak)) : -1;
        if (last != last_key[t] || last_at_peak != last_key_at_peak[t])
            fail("thread %u last allocated at site %d, at the peak %d, instead of %d, %d", t, last, last_at_peak,
                 last_key[t], last_key_at_peak[t]);
    }
}

static void compare_block(const struct block *block, uint64_t *found, const char *where) {
    for (unsigned i = 0; i < PLACES; i++) {
        if (!places[i].alive || places[i].address != block->address)
            continue;
        if (places[i].size != block->size || places[i].key != key_of_site(image_site(block->site)))
            fail("block %#llx in the %s has %llu bytes instead of %llu, or another site",
                 (unsigned long long)block->address, where, (unsigned long long)block->size,
                 (unsigned long long)places[i].size);
        if (*found & 1ull << i)
            fail("block %#llx is there twice", (unsigned long long)block->address);
        *found |= 1ull << i;
        return;
    }
    fail("dead block %#llx of %llu bytes in the %s", (unsigned long long)block->address,
         (unsigned long long)block->size, where);
}

/* The block table whole, and of the shadow the slots where this process puts blocks. The whole shadow is for the
 * trace's end. */
static void compare_blocks(void) {
    const struct mt_shard *shard = mt_shard();
    uint64_t found = 0, alive = 0;
    for (uint64_t p = 0; p < shard->table_pages.count; p++) {
        const struct mt_table_slot *page = *(struct mt_table_slot *const *)image_record(&shard->table_pages, p);
        for (unsigned s = 1; s < MT_TABLE_SLOTS; s++) {
            struct block block = {MT_SLOT_ADDRESS(page[s].key), MT_SLOT_SIZE(page[s].key, page[s].value),
                                  MT_SLOT_SITE(page[s].value)};
            if (page[s].key != 0)
                compare_block(&block, &found, "table");
        }
    }
    for (unsigned i = 0; i < PLACES; i++) {
        uint64_t address = places[i].address;
        const uint64_t *table = (const uint64_t *)shard->shadow_root;
        alive |= (uint64_t)places[i].alive << i;
        if ((address & 15) != 0 || (table = (const uint64_t *)table[address >> MT_SHADOW_MIDDLE_SHIFT]) == NULL ||
            (table = (const uint64_t *)table[address >> MT_SHADOW_BOTTOM_SHIFT & (MT_SHADOW_ENTRIES - 1)]) == NULL)
            continue;
        uint64_t leaf = MT_SHADOW_LEAF(table[address >> MT_SHADOW_LEAF_SHIFT & (MT_SHADOW_ENTRIES - 1)]);
        if (leaf == 0)
            continue;
        uint32_t slot = ((const uint32_t *)leaf)[address >> 4 & (MT_SHADOW_LEAF_SLOTS - 1)];
        struct block block = {address, slot & MT_SHADOW_MAX, slot >> MT_SHADOW_SIZE_BITS};
        if (slot != 0)
            compare_block(&block, &found, "shadow");
    }
    if (found != alive)
        fail("live blocks are missing: %#llx instead of %#llx", (unsigned long long)found, (unsigned long long)alive);
}

static void compare_ranges(void) {
    const struct mt_pool_ref *pool = &mt_shard()->ranges;
    int found = 0;
    for (uint64_t i = 0; i < pool->count; i++) {
        const struct mt_range *range = image_record(pool, i);
        int m = 0;
        if (range->state == 0)
            continue;
        while (m < model.range_count && model.ranges[m].start != range->start)
            m++;
        if (m == model.range_count || model.ranges[m].end != range->end ||
            model.ranges[m].key != key_of_site(image_site(range->site)))
            fail("range %#llx-%#llx should not be", (unsigned long long)range->start, (unsigned long long)range->end);
        found++;
    }
    if (found != model.range_count)
        fail("%d ranges instead of %d", found, model.range_count);
}

static bool compare_one_of_all(void *context, const struct block *block) {
    uint64_t *found = context;
    if (block->address < FIRST_PAGE || block->address >= FIRST_PAGE + PAGES * PAGE)
        compare_block(block, found, "image");
    return true;
}

static void compare_all_blocks(void) {
    uint64_t found = 0;
    image_each_block(compare_one_of_all, &found);
}

/* --- events ----------------------------------------------------------------------------------------------------------
 */

static unsigned actor, stack;

static uint64_t choose_size(void) {
    static const uint64_t sizes[] = {0, 1, 8, 64, 64, 64, 100, 127, 128, 128, 4000, 5ull << 30, (1ull << 40) + 5};
    return sizes[below(sizeof sizes / sizeof sizes[0])];
}

/* Slots and windows as they are described, each looked at after every event. */
#define STOPS 3
static struct mt_stop stops[STOPS];
static uint64_t ended_address;                 /* of the block that this event ended; 0: none */
static int64_t born_size = -1;                 /* of this event; -1: nothing was allocated */
static int64_t total_before;                   /* the last event */
static int64_t counted[THREADS], counted_peak; /* while windows count */

static void set_stop(void) {
    static const enum mt_stop_kind kinds[] = {MT_STOP_NONE, MT_STOP_HEAP, MT_STOP_HEAP,
                                              MT_STOP_PEAK, MT_STOP_FREE, MT_STOP_ALLOCATION};
    unsigned slot = below(STOPS);
    int64_t around = below(2) ? model.total : model.maximum;
    int64_t argument = around + (int64_t)choose_size() - (int64_t)(below(2) ? choose_size() : 0);
    stops[slot] = (struct mt_stop){.kind = kinds[below(sizeof kinds / sizeof kinds[0])],
                                   .argument = argument > 0 ? (uint64_t)argument : 0};
    if (stops[slot].kind == MT_STOP_FREE)
        stops[slot].argument = places[PLACES_APART + below(PLACES - PLACES_APART)].address;
    if (stops[slot].kind == MT_STOP_ALLOCATION)
        stops[slot].argument = choose_size() + below(2);
    memtrace_image.stops[slot] = stops[slot];
    memtrace_image.stops_state |= MT_STOPS_CHANGED;
}

static bool stop_is_met(struct mt_stop *stop, int64_t maximum_before) {
    int64_t argument = (int64_t)stop->argument;
    bool was_over = stop->is_over;
    if (stop->kind == MT_STOP_HEAP) {
        stop->is_over = model.total > argument;
        return stop->is_over && !was_over;
    }
    if (stop->kind == MT_STOP_ALLOCATION)
        return born_size >= argument;
    if (stop->kind == MT_STOP_FREE)
        return ended_address == stop->argument;
    if (stop->kind != MT_STOP_PEAK)
        return false;
    if (model.total < total_before)
        stop->is_over = false;
    if (stop->is_over || model.total <= argument || model.total <= maximum_before)
        return false;
    stop->is_over = true;
    return true;
}

static void compare_stops(int64_t maximum_before) {
    uint32_t expected = 0;
    uint32_t state = 0; /* what has to be looked at from now on */
    for (unsigned i = 0; i < STOPS; i++) {
        expected |= (uint32_t)stop_is_met(&stops[i], maximum_before) << i;
        if (stops[i].is_over || (stops[i].kind == MT_STOP_ALLOCATION && stops[i].argument <= MT_SHADOW_MAX))
            state |= MT_STOPS_ACTIVE;
        if (stops[i].kind == MT_STOP_FREE)
            state |= MT_STOPS_ENDS;
        if (memtrace_image.stops[i].is_over != stops[i].is_over)
            fail("stop %u is over: %u", i, memtrace_image.stops[i].is_over);
    }
    if (threads[actor]->stop.fired != expected)
        fail("stops %#x fired instead of %#x", threads[actor]->stop.fired, expected);
    if (expected != 0 && threads[actor]->stop.live_bytes != model.total)
        fail("a stop told of %lld live bytes", (long long)threads[actor]->stop.live_bytes);
    if (memtrace_image.stops_state != state)
        fail("the state of stops is %u instead of %u", memtrace_image.stops_state, state);
    threads[actor]->stop.fired = 0;
    born_size = -1;
    ended_address = 0;
}

static void compare_windows(void) {
    if (mt_window_counts) {
        counted[actor] += model.total - total_before;
        counted_peak = model.total > counted_peak ? model.total : counted_peak;
    }
    if ((int64_t)(threads[actor]->allocated - threads[actor]->freed) != counted[actor] ||
        mt_shard()->window_peak_bytes != counted_peak)
        fail("thread %u counted %lld bytes and a peak of %lld instead of %lld, %lld", actor,
             (long long)(threads[actor]->allocated - threads[actor]->freed), (long long)mt_shard()->window_peak_bytes,
             (long long)counted[actor], (long long)counted_peak);
}

static void choose_actor(void) {
    actor = below(THREADS);
    stack = below(stacks);
    next_stack = 1 + stack;
}

static int choose_key(unsigned allocator) {
    return key_of(stack, actor, allocator, memtrace_image.generation);
}

static void end_event(void) {
    int64_t maximum_before = model.maximum;
    model_end_event(&model);
    compare_stops(maximum_before);
    compare_windows();
    total_before = model.total;
    if (model.total >= maximum_before)
        memcpy(last_key_at_peak, last_key, sizeof last_key);
}

static void kill_place(struct place *place) {
    model_change(&model, place->key, -(int64_t)place->size, -1);
    place->alive = false;
    ended_address = place->address;
}

/* Small blocks are dense or not as the place is, so that one address is always looked for where it was put. */
static void enter_place(struct place *place, uint64_t size, int key) {
    if (place->alive)
        kill_place(place);
    *place = (struct place){place->address, true, size, key};
    model_change(&model, key, (int64_t)size, 1);
    last_key[actor] = key;
    born_size = (int64_t)size;
}

static bool is_dense(const struct place *place) {
    return place - places >= PLACES / 2;
}

static void birth(void) {
    struct place *place = &places[below(PLACES)];
    uint64_t size = choose_size();
    if (place->alive && below(16) != 0) /* a death is seldom missed */
        return;
    bool ends_nothing = place->alive && place->size == 0; /* of a missed free only the bytes tell */
    if (place->alive && is_dense(place))                  /* the new block must go where the old one stands */
        size = place->size;
    unsigned allocator = is_dense(place);
    mt_record_birth(threads[actor], place->address, size, block_allocators[allocator], is_dense(place));
    enter_place(place, size, choose_key(allocator));
    if (ends_nothing)
        ended_address = 0;
    end_event();
}

static struct place *choose_alive(void) {
    unsigned first = below(PLACES);
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &places[(first + i) % PLACES];
        if (place->alive)
            return place;
    }
    return &places[first];
}

static void death(void) {
    struct place *place = choose_alive();
    uint64_t ignored = mt_shard()->frees_ignored;
    bool was_alive = place->alive;
    mt_record_death(threads[actor], place->address);
    if (!was_alive) {
        if (mt_shard()->frees_ignored != ignored + 1)
            fail("the free of an unknown block was not counted as ignored");
        for (unsigned i = 0; i < STOPS; i++)
            if ((threads[actor]->stop.fired >> i & 1) !=
                (stops[i].kind == MT_STOP_FREE && stops[i].argument == place->address))
                fail("stop %u at the end of an unknown block: %#x fired", i, threads[actor]->stop.fired);
        threads[actor]->stop.fired = 0;
        return;
    }
    kill_place(place);
    end_event();
}

/* While a block is on the move, it still counts. */
static void compare_in_flight(struct place *place) {
    const struct mt_thread *thread = &threads[actor]->image;
    compare_totals();
    if (stacks == STACKS_NARROW)
        compare_sums();
    if (thread->operation != MT_OP_REALLOCATE || thread->address != place->address || thread->size != place->size ||
        key_of_site(image_site(thread->site)) != place->key)
        fail("the moving block %#llx is not in the descriptor", (unsigned long long)place->address);
}

static void move(void) {
    struct place *old = choose_alive();
    if (!old->alive)
        return;
    if (!mt_record_move_begin(threads[actor], old->address))
        fail("block %#llx is unknown to a move", (unsigned long long)old->address);
    compare_in_flight(old);
    switch (below(6)) {
    case 0:
        mt_record_move_restore(threads[actor]);
        return;
    case 1:
        mt_record_move_end(threads[actor]);
        kill_place(old);
        break;
    default: {
        struct place *place = below(3) == 0 ? old : &places[below(PLACES)];
        if (place->alive && place != old)
            place = old;
        uint64_t size = choose_size();
        unsigned allocator = is_dense(place);
        kill_place(old);
        mt_record_move_settle(threads[actor], place->address, size, block_allocators[allocator], is_dense(place));
        enter_place(place, size, choose_key(allocator));
        if (place == old)
            ended_address = 0; /* it stays */
    }
    }
    end_event();
}

static uint64_t choose_page(void) {
    return FIRST_PAGE + below(PAGES) * (uint64_t)PAGE;
}

static uint64_t choose_length(uint64_t start) {
    uint64_t pages = 1 + below(6), room = (FIRST_PAGE + PAGES * PAGE - start) / PAGE;
    uint64_t length = (pages < room ? pages : room) * PAGE;
    return below(2) ? length : length - below(PAGE - 1);
}

static void map(void) {
    uint64_t start = choose_page(), length = choose_length(start);
    int key = choose_key(BLOCK_ALLOCATORS);
    mt_record_map(threads[actor], start, length, MT_MMAP);
    model_cut(&model, start, length);
    model_map(&model, start, length, key);
    last_key[actor] = key;
    born_size = (int64_t)length;
    end_event();
}

/* What the kernel answers to the next call. */
static bool kernel_refuses;
static uint64_t kernel_moves_to;

static int answer_munmap(void *address, size_t size) {
    return kernel_refuses ? -1 : 0;
}

static void *answer_mremap(void *address, size_t old_size, size_t new_size, int flags, ...) {
    return kernel_refuses ? MAP_FAILED : (void *)kernel_moves_to;
}

static void unmap(void) {
    uint64_t start = choose_page(), length = choose_length(start);
    kernel_refuses = below(8) == 0;
    int result = mt_record_munmap(threads[actor], (void *)start, length, answer_munmap);
    if (result != (kernel_refuses ? -1 : 0))
        fail("munmap returned %d", result);
    if (!kernel_refuses && model_cut(&model, start, length))
        end_event();
}

static uint64_t page_up(uint64_t address) {
    return (address + PAGE - 1) / PAGE * PAGE;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
    return a < b + b_size && b < a + a_size;
}

static void remap(void) {
    uint64_t from = choose_page(), from_length = choose_length(from);
    bool in_place = below(2);
    uint64_t to = in_place ? from : choose_page(), to_length = choose_length(to);
    int key = choose_key(BLOCK_ALLOCATORS + 1);
    if (!in_place && overlap(from, from_length + PAGE, to, to_length + PAGE))
        return; /* the kernel refuses */
    uint64_t from_end = page_up(from + from_length), to_end = page_up(to + to_length);
    for (int i = 0; in_place && to_end > from_end && i < model.range_count; i++)
        if (model.ranges[i].start < to_end && model.ranges[i].end > from_end)
            return; /* it grows only into nothing */
    kernel_refuses = below(8) == 0;
    kernel_moves_to = to;
    void *result =
        mt_record_mremap(threads[actor], (void *)from, from_length, to_length, MREMAP_MAYMOVE, NULL, answer_mremap);
    if (result != (kernel_refuses ? MAP_FAILED : (void *)to))
        fail("mremap returned %p", result);
    if (kernel_refuses)
        return;
    bool known = model_cut(&model, from, from_length);
    bool replaced = to != from && model_cut(&model, to, to_length);
    if (known) {
        model_map(&model, to, to_length, key);
        last_key[actor] = key;
        born_size = (int64_t)to_length;
    }
    if (known || replaced)
        end_event();
}

/* A mark is no event; its copy must be what is alive. */
static void set_mark(void) {
    static struct model_sum copied[MODEL_KEYS];
    memset(copied, 0, (size_t)model.keys * sizeof copied[0]);
    mt_mark_set();
    uint32_t generation = memtrace_image.generation;
    const struct mt_mark *mark = image_record(&memtrace_image.marks, generation % MT_MARKS_KEPT);
    const struct mt_mark_sum *sums = (const struct mt_mark_sum *)mark->sums;
    for (uint64_t i = 0; i < mark->sum_count; i++) {
        const struct mt_site site = {.stack = sums[i].stack,
                                     .thread = sums[i].thread,
                                     .allocator = sums[i].allocator,
                                     .generation = sums[i].generation};
        struct model_sum *sum = &copied[key_of_site(&site)];
        sum->bytes += sums[i].bytes;
        sum->blocks += sums[i].blocks;
    }
    if (mark->generation != generation || mark->live_bytes != model.total || mark->live_blocks != model.blocks ||
        memcmp(copied, model.now, (size_t)model.keys * sizeof copied[0]) != 0)
        fail("mark %u is not what was alive", generation);
}

static void random_event(void) {
    choose_actor();
    if (below(8) == 0)
        set_stop();
    if (below(64) == 0)
        mt_window_count(threads[actor], !mt_window_counts);
    unsigned kind = below(64);
    if (kind < 24)
        birth();
    else if (kind < 40)
        death();
    else if (kind < 50)
        move();
    else if (kind < 56)
        map();
    else if (kind < 60)
        unmap();
    else if (kind < 63)
        remap();
    else if (memtrace_image.generation + 1 < MARKS)
        set_mark();
}

static void compare(void) {
    compare_totals();
    if (stacks == STACKS_NARROW || model.events % COMPARE_WIDE == 0)
        compare_sums();
    compare_threads();
    compare_blocks();
    compare_ranges();
}

static void clear(void) {
    memtrace_image.generation = 0;
    mt_account_clear();
    memset(stops, 0, sizeof stops);
    memcpy(memtrace_image.stops, stops, sizeof stops);
    mt_stops_restart();
    total_before = 0;
    for (unsigned i = 0; i < PLACES; i++)
        places[i].alive = false;
    for (unsigned t = 0; t < THREADS; t++)
        last_key[t] = last_key_at_peak[t] = -1;
    model_clear(&model);
}

static bool set_up(void) {
    if (!mt_stacks_init() || !mt_account_init())
        return false;
    for (unsigned t = 0; t < THREADS; t++) {
        if ((threads[t] = mt_pool_reserve(&memtrace_image.threads)) == NULL)
            return false;
        threads[t]->index = t;
        threads[t]->image.state = 1;
        mt_pool_publish(&memtrace_image.threads);
    }
    for (uint32_t s = 0; s < stacks; s++) {
        uint32_t node;
        if (!mt_stack_child(0, 0, s + 1, &node) || node != s + 1)
            return false;
    }
    /* The first half of the places belongs to the malloc family, eight bytes apart or large; the second to small
     * objects. */
    for (uint64_t i = 0; i < PLACES; i++)
        places[i].address = i < 8              ? 0x555500001000 + i * 8
                            : i < 16           ? 0x555500400000 + i * 0x10010
                            : i < PLACES / 2   ? 0x7ffff7000010 + i * 16
                            : i < PLACES_APART ? 0x7f0000000000 + i * 16
                                               : 0x7f00000fff00 + i * 0x4000;
    model.keys = (int)stacks * THREADS * ALLOCATORS * MARKS;
    return true;
}

int main(int argc, char **argv) {
    bool wide = argc == 4 && strcmp(argv[3], "wide") == 0;
    if (argc != 3 && !wide)
        return 2;
    stacks = wide ? STACKS_WIDE : STACKS_NARROW;
    uint64_t traces = strtoull(argv[1], NULL, 0), events = 0;
    random_state = strtoull(argv[2], NULL, 0) * 0x9E3779B97F4A7C15u + 1;
    if (!set_up()) {
        fprintf(stderr, "the accounting core can't be set up\n");
        return 1;
    }
    for (trace_number = 0; trace_number < traces; trace_number++) {
        unsigned length = 5 + below(wide ? LENGTH_WIDE : LENGTH_NARROW);
        clear();
        for (unsigned i = 0; i < length; i++) {
            random_event();
            compare();
        }
        if (trace_number % 64 == 0)
            compare_all_blocks();
        events += model.events;
    }
    printf("{\"traces\":%llu,\"events\":%llu,\"site_records\":%llu}\n", (unsigned long long)traces,
           (unsigned long long)events, (unsigned long long)memtrace_image.sites.count);
    return 0;
}
