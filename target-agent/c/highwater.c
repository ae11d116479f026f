/* The functions of highwater.h: the block itself, its tables and counters. Compiles as C99 and as C++. */

#include "highwater.h"

#if HIGHWATER_ENABLED

#if HIGHWATER_THREADS > 255 || HIGHWATER_HEAPS > 255 || HIGHWATER_REGIONS > 255
#error "the block's table of contents counts to 255"
#endif
#if HIGHWATER_THREADS < 1 || HIGHWATER_REGIONS < 1
#error "a block has room for one thread and one region at least"
#endif

/* ---- Sections that no interrupt divides, and the order of stores ---- */

#if !defined(HIGHWATER_ENTER) && defined(__GNUC__) && defined(__arm__)
#if !defined(__ARM_ARCH_PROFILE) || __ARM_ARCH_PROFILE != 'M'
#error "other Arm profiles have no PRIMASK: define HIGHWATER_ENTER and HIGHWATER_LEAVE, see highwater_config.h"
#endif
static inline uint32_t enter(void)
{
    uint32_t before;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(before) : : "memory");
    return before;
}
static inline void leave(uint32_t before)
{
    __asm__ volatile("msr primask, %0" : : "r"(before) : "memory");
}
#define HIGHWATER_ENTER() enter()
#define HIGHWATER_LEAVE(before) leave(before)
#elif !defined(HIGHWATER_ENTER) && defined(__GNUC__) && defined(__riscv)
static inline uint32_t enter(void)
{
    uint32_t before;
    __asm__ volatile("csrrci %0, mstatus, 8" : "=r"(before) : : "memory");
    return before;
}
static inline void leave(uint32_t before)
{
    __asm__ volatile("csrs mstatus, %0" : : "r"(before & 8) : "memory");
}
#define HIGHWATER_ENTER() enter()
#define HIGHWATER_LEAVE(before) leave(before)
#elif !defined(HIGHWATER_ENTER)
#error "define HIGHWATER_ENTER and HIGHWATER_LEAVE for this processor, see highwater_config.h"
#endif

#if !defined(HIGHWATER_PUBLISH) && defined(__GNUC__)
/* Cortex-M0 to M3 complete their stores in program order, and only the compiler must do the same. ARMv7E-M may be an M7,
 * v8-M an M55 or M85: those get a barrier. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_7M__)
#define HIGHWATER_PUBLISH() __asm__ volatile("" : : : "memory")
#elif defined(__arm__)
#define HIGHWATER_PUBLISH() __asm__ volatile("dmb" : : : "memory")
#elif defined(__riscv)
#define HIGHWATER_PUBLISH() __asm__ volatile("fence rw, w" : : : "memory")
#endif
#endif
#ifndef HIGHWATER_PUBLISH
#error "define HIGHWATER_PUBLISH for this processor, see highwater_config.h"
#endif

/* ---- The block ---- */

#ifdef __GNUC__
#define ALIGNED __attribute__((used, aligned(64)))
#else
#define ALIGNED
#endif
#ifdef HIGHWATER_SECTION
#define PLACED __attribute__((section(HIGHWATER_SECTION)))
#else
#define PLACED
#endif

ALIGNED PLACED volatile uint32_t HIGHWATER[(HIGHWATER_USED + 15) / 16 * 16];

const uint32_t HIGHWATER_BUILD_ID[2] = {HIGHWATER_BUILD_ID_LOW, HIGHWATER_BUILD_ID_HIGH};

/* Where a table is, as the header tells it: an offset and a stride in bytes, and how many entries there are. */
#define TABLE(at, words, count) ((uint32_t)(at) * 4 | (uint32_t)(words) << 18 | (uint32_t)(count) << 24)

/* Fails to compile when the block is too large for its own table of contents. */
typedef char highwater_block_fits[HIGHWATER_AT_REGIONS * 4 < 65536 ? 1 : -1];

/* An id is the index of a slot plus one in the low byte, so that none is zero, and as much of the slot's generation as
 * fits above it. */
#define INDEX(id) (((id) & 0xff) - 1)

uint32_t highwater_init(void)
{
    uint32_t magic = ~HIGHWATER_MAGIC;
    uint32_t boots = 1;
    uint32_t index;
#ifdef __GNUC__
    /* The magic word is kept inverted in flash: a search of memory for it finds the block only. */
    __asm__("" : "+r"(magic));
#endif
    magic = ~magic;
    if (HIGHWATER[HIGHWATER_HEADER_MAGIC] == magic && HIGHWATER[HIGHWATER_HEADER_SIZE] == sizeof HIGHWATER) {
        boots = HIGHWATER[HIGHWATER_HEADER_BOOTS] + 1;
    }
    HIGHWATER[HIGHWATER_HEADER_MAGIC] = 0;
    HIGHWATER_PUBLISH();

    for (index = 0; index < HIGHWATER_USED; index++) {
        HIGHWATER[index] = 0;
    }
    HIGHWATER[HIGHWATER_HEADER_ABI] = HIGHWATER_ABI;
    HIGHWATER[HIGHWATER_HEADER_SIZE] = sizeof HIGHWATER;
    HIGHWATER[HIGHWATER_HEADER_BUILD_ID_LOW] = HIGHWATER_BUILD_ID[0];
    HIGHWATER[HIGHWATER_HEADER_BUILD_ID_HIGH] = HIGHWATER_BUILD_ID[1];
    HIGHWATER[HIGHWATER_HEADER_PAINT] = HIGHWATER_PAINT_WORD;
    HIGHWATER[HIGHWATER_HEADER_BOOTS] = boots;
    HIGHWATER[HIGHWATER_HEADER_HEAPS] = TABLE(HIGHWATER_AT_HEAPS, HIGHWATER_HEAP_WORDS, HIGHWATER_HEAPS);
    HIGHWATER[HIGHWATER_HEADER_MARKS] = TABLE(HIGHWATER_AT_MARKS, HIGHWATER_MARK_WORDS, HIGHWATER_THREADS);
    HIGHWATER[HIGHWATER_HEADER_THREADS] = TABLE(HIGHWATER_AT_THREADS, HIGHWATER_THREAD_WORDS, HIGHWATER_THREADS);
    HIGHWATER[HIGHWATER_HEADER_REGIONS] = TABLE(HIGHWATER_AT_REGIONS, HIGHWATER_REGION_WORDS, HIGHWATER_REGIONS);

    HIGHWATER_PUBLISH();
    HIGHWATER[HIGHWATER_HEADER_MAGIC] = magic;
    return boots;
}

void highwater_heartbeat(void)
{
    HIGHWATER[HIGHWATER_HEADER_HEARTBEAT] += 1;
}

/* ---- Tables: what threads and regions have in common ---- */

/* The shape of a table for `change`: from its first counter to its last, and from one slot to the next, in bytes. */
#define SHAPE(words, count) ((uint32_t)(4 * (words)) | (uint32_t)(4 + 4 * (words) * (count)) << 8)

/* The marks of a thread. */
static inline volatile uint32_t *marks(highwater_thread_id id)
{
    return HIGHWATER + HIGHWATER_AT_MARKS + INDEX(id) * HIGHWATER_MARK_WORDS;
}

/* Moves on by bytes, which spares the code that turns words into bytes. */
static inline volatile uint32_t *skip(volatile uint32_t *word, uint32_t bytes)
{
    return word + bytes / 4;
}

/*
 * Changes one slot of the table that begins at the counter `first`, and gives the id that goes with it, or
 * HIGHWATER_NONE.
 *
 * With `words` and HIGHWATER_NONE: fills a free slot with them; the first is the tag's place and ignored. Without words:
 * frees the slot that `id` names. It is one function for threads and regions, and for both ways, because that is shorter
 * than four.
 */
static uint32_t change(const uint32_t *words, uint32_t id, volatile uint32_t *first, uint32_t shape)
{
    uint32_t stride = shape & 0xff;
    volatile uint32_t *last = skip(first, shape >> 8);
    volatile uint32_t *slot = first + 1;
    uint32_t found = 0;
    uint32_t before = HIGHWATER_ENTER();
    do {
        uint32_t tag = *slot;
        found = ((found & 0xff) + 1) | tag << 8;
        if (((tag & HIGHWATER_LIVE) != 0 ? found : HIGHWATER_NONE) == id) {
            *last += 1;
            HIGHWATER_PUBLISH();
            if (words != 0) {
                while ((stride -= 4) != 0) {
                    *skip(slot, stride) = words[stride / 4];
                }
                tag |= HIGHWATER_LIVE;
            } else {
                tag = (tag + 1) & HIGHWATER_GENERATION;
                if (first == HIGHWATER + HIGHWATER_AT_THREADS) {
                    /* The marks are cleared here and not when the slot is used again: the host reads them before the
                     * table, and must not take the old thread's for the new one's. */
                    marks(id)[HIGHWATER_MARK_LOWEST] = 0;
                    marks(id)[HIGHWATER_MARK_SAVED] = 0;
                }
            }
            *slot = tag;
            HIGHWATER_PUBLISH();
            *first += 1;
            goto out;
        }
        slot = skip(slot, stride);
    } while (slot != last);
    found = HIGHWATER_NONE;
    if (words != 0) {
        HIGHWATER[HIGHWATER_HEADER_REFUSED] += 1;
    }
out:
    HIGHWATER_LEAVE(before);
    return found;
}

/* ---- Threads ---- */

#define THREADS HIGHWATER + HIGHWATER_AT_THREADS, SHAPE(HIGHWATER_THREAD_WORDS, HIGHWATER_THREADS)

highwater_thread_id highwater_register_thread(const highwater_thread *thread)
{
    return change(thread->words, HIGHWATER_NONE, THREADS);
}

uint32_t highwater_retire_thread(highwater_thread_id id)
{
    return id == HIGHWATER_NONE ? 0 : change(0, id, THREADS);
}

highwater_thread_id highwater_find_thread(const void *base)
{
    volatile uint32_t *slot = HIGHWATER + HIGHWATER_AT_THREADS + 1;
    uint32_t number;
    for (number = 1; number <= HIGHWATER_THREADS; number++) {
        uint32_t tag = slot[HIGHWATER_THREAD_TAG];
        if ((tag & HIGHWATER_LIVE) != 0 && slot[HIGHWATER_THREAD_BASE] == (uint32_t)(uintptr_t)base) {
            return tag << 8 | number;
        }
        slot += HIGHWATER_THREAD_WORDS;
    }
    return HIGHWATER_NONE;
}

/* The slot of a thread that is not retired; else NULL. */
static volatile uint32_t *live(highwater_thread_id id)
{
    volatile uint32_t *slot = HIGHWATER + HIGHWATER_AT_THREADS + 1 + INDEX(id) * HIGHWATER_THREAD_WORDS;
    if (INDEX(id) < HIGHWATER_THREADS && (*slot & HIGHWATER_LIVE) != 0 && (*slot << 8 ^ id) <= 0xff) {
        return slot;
    }
    return (volatile uint32_t *)0;
}

/* Changes one byte of a thread's description. It is one word, so the frame's counters need not change. */
static void change_info(highwater_thread_id id, uint32_t byte, uint32_t shift)
{
    uint32_t before = HIGHWATER_ENTER();
    volatile uint32_t *slot = live(id);
    if (slot != (volatile uint32_t *)0) {
        slot[HIGHWATER_THREAD_INFO] = (slot[HIGHWATER_THREAD_INFO] & ~((uint32_t)0xff << shift)) | byte << shift;
    }
    HIGHWATER_LEAVE(before);
}

void highwater_set_state(highwater_thread_id id, enum highwater_thread_state state)
{
    change_info(id, (uint32_t)state, 8);
}

void highwater_set_priority(highwater_thread_id id, uint8_t priority)
{
    change_info(id, priority, 16);
}

void highwater_set_running(highwater_thread_id id)
{
    HIGHWATER[HIGHWATER_HEADER_RUNNING] = id & 0xff;
}

void highwater_on_switch(highwater_thread_id out, const void *sp)
{
    if (live(out) != (volatile uint32_t *)0) {
        volatile uint32_t *mark = marks(out);
        uint32_t saved = (uint32_t)(uintptr_t)sp;
        /* Zero stands for "never", and one less than zero is above every stack pointer. */
        if (saved <= mark[HIGHWATER_MARK_LOWEST] - 1) {
            mark[HIGHWATER_MARK_LOWEST] = saved;
        }
        mark[HIGHWATER_MARK_SAVED] = saved;
    }
}

/* ---- Regions ---- */

#define REGIONS HIGHWATER + HIGHWATER_AT_REGIONS, SHAPE(HIGHWATER_REGION_WORDS, HIGHWATER_REGIONS)

highwater_region_id highwater_register_region(const highwater_region *region)
{
    return change(region->words, HIGHWATER_NONE, REGIONS);
}

uint32_t highwater_retire_region(highwater_region_id id)
{
    return id == HIGHWATER_NONE ? 0 : change(0, id, REGIONS);
}

/* ---- Heaps ---- */

/* Opens a heap's frame; gives what to close it with. The caller masks interrupts. */
static inline uint32_t open_frame(highwater_heap *heap)
{
    uint32_t changes = heap->words[HIGHWATER_HEAP_LAST] + 1;
    heap->words[HIGHWATER_HEAP_LAST] = changes;
    HIGHWATER_PUBLISH();
    return changes;
}

static inline void close_frame(highwater_heap *heap, uint32_t changes)
{
    HIGHWATER_PUBLISH();
    heap->words[HIGHWATER_HEAP_FIRST] = changes;
}

static inline uint32_t add(highwater_heap *heap, uint32_t word, uint32_t amount)
{
    uint32_t sum = heap->words[word] + amount;
    heap->words[word] = sum;
    return sum;
}

static inline void count_alloc(highwater_heap *heap, uint32_t bytes, uint32_t freed)
{
    uint32_t used = add(heap, HIGHWATER_HEAP_ALLOCATED, bytes) - freed;
    add(heap, HIGHWATER_HEAP_ALLOCS, 1);
    if (used > heap->words[HIGHWATER_HEAP_PEAK]) {
        heap->words[HIGHWATER_HEAP_PEAK] = used;
    }
}

void highwater_on_alloc(highwater_heap *heap, uint32_t bytes)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    count_alloc(heap, bytes, heap->words[HIGHWATER_HEAP_FREED]);
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

void highwater_on_free(highwater_heap *heap, uint32_t bytes)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    add(heap, HIGHWATER_HEAP_FREED, bytes);
    add(heap, HIGHWATER_HEAP_FREES, 1);
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

void highwater_on_realloc(highwater_heap *heap, uint32_t old_bytes, uint32_t new_bytes)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    uint32_t freed = add(heap, HIGHWATER_HEAP_FREED, old_bytes);
    add(heap, HIGHWATER_HEAP_FREES, 1);
    count_alloc(heap, new_bytes, freed);
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

void highwater_on_failure_of(highwater_heap *heap, uint32_t bytes)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    add(heap, HIGHWATER_HEAP_FAILURES, 1);
    heap->words[HIGHWATER_HEAP_FAILED_SIZE] = bytes;
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

#if HIGHWATER_OWNERS

/* ---- Owners ---- */

#if HIGHWATER_OWNERS > 8
#error "a header names 8 callers at most"
#endif

/* Where the part of a block that asks for no alignment begins. */
#define FRONT highwater_owned_front(HIGHWATER_OWNED_ALIGN)

#if HIGHWATER_OWNERS > 1
/*
 * Writes the callers behind `caller`. clang keeps a pair { frame below, return address } of each function and its address in
 * r7, when it is told to. The pairs are believed when they lead to the caller that is known already, each at most 1 KiB
 * above the last; else the callers stay unknown.
 */
static void note_outer(volatile uint32_t *to, uint32_t caller)
{
    uint32_t left = HIGHWATER_OWNERS - 1;
#if defined(__clang__) && defined(__arm__)
    const volatile uint32_t *frame = (const volatile uint32_t *)__builtin_frame_address(0);
    uint32_t frames = HIGHWATER_OWNERS + 4;
    uint32_t found = 0;
    while (left != 0 && frames-- != 0) {
        uint32_t above = frame[0];
        uint32_t back = frame[1];
        if (found != 0 && (back & 1) == 0) {
            break;
        } else if (found != 0) {
            *to++ = back;
            left--;
        } else if (back == caller) {
            found = 1;
        }
        if (above - (uint32_t)(uintptr_t)frame - 1 >= 1024 || (above & 3) != 0) {
            break;
        }
        frame = (const volatile uint32_t *)(uintptr_t)above;
    }
#else
    (void)caller;
#endif
    while (left-- != 0) {
        *to++ = 0;
    }
}
#endif

/*
 * Writes a header whose first word is `asked`, and gives the part. Padding behind it ends with how far back the block
 * begins. Callers are odd, as return addresses of Cortex-M are anyway, so that the two are told apart.
 */
static inline void *note(void *block, uint32_t front, uint32_t asked, const void *caller)
{
    volatile uint32_t *header = (volatile uint32_t *)block;
    uint32_t address = (uint32_t)(uintptr_t)caller;
    if (address != 0) {
        address |= 1;
    }
    header[HIGHWATER_OWNER_ASKED] = asked;
    header[HIGHWATER_OWNER_CALLERS] = address;
#if HIGHWATER_OWNERS > 1
    note_outer(header + HIGHWATER_OWNER_CALLERS + 1, address);
#endif
    if (front != 4 * (HIGHWATER_OWNER_CALLERS + HIGHWATER_OWNERS)) {
        header[front / 4 - 1] = front;
    }
    return (void *)(header + front / 4);
}

/* Counts a block whose header was written. */
static void count_owned(highwater_heap *heap, uint32_t bytes)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    heap->words[HIGHWATER_HEAP_OWNERS] = HIGHWATER_OWNERS;
    count_alloc(heap, bytes, heap->words[HIGHWATER_HEAP_FREED]);
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

void *highwater_owned_block(void *part)
{
    uint32_t *word = (uint32_t *)part;
    uint32_t last = word[-1];
    return (void *)(word - (last != 0 && (last & 1) == 0 ? last : FRONT) / 4);
}

uint32_t highwater_owned_size(void *part)
{
    const uint32_t *header = (const uint32_t *)highwater_owned_block(part);
    return header[HIGHWATER_OWNER_ASKED] & HIGHWATER_OWNER_SIZE;
}

uint32_t highwater_owned_grown(void *part, uint32_t bytes)
{
    uint32_t front = (uint32_t)((uintptr_t)part - (uintptr_t)highwater_owned_block(part));
    return bytes <= HIGHWATER_OWNER_SIZE ? front + bytes : 0;
}

void *highwater_on_owned_alloc(highwater_heap *heap, void *block, uint32_t bytes, const void *caller)
{
    if (block == (void *)0) {
        highwater_on_failure_of(heap, bytes);
        return block;
    }
    block = note(block, FRONT, bytes | (uint32_t)3 << 27, caller);
    count_owned(heap, bytes);
    return block;
}

void *highwater_on_owned_aligned_alloc(highwater_heap *heap, void *block, uint32_t bytes, uint32_t align,
                                       const void *caller)
{
    uint32_t log2 = 3;
    if (block == (void *)0) {
        highwater_on_failure_of(heap, bytes);
        return block;
    }
    while ((uint32_t)1 << log2 < align) {
        log2++;
    }
    block = note(block, highwater_owned_front(align), bytes | log2 << 27, caller);
    count_owned(heap, bytes);
    return block;
}

void *highwater_on_owned_free(highwater_heap *heap, void *part)
{
    uint32_t *block = (uint32_t *)highwater_owned_block(part);
    highwater_on_free(heap, block[HIGHWATER_OWNER_ASKED] & HIGHWATER_OWNER_SIZE);
    return (void *)block;
}

void *highwater_on_owned_realloc(highwater_heap *heap, void *moved, uint32_t bytes, const void *caller)
{
    uint32_t asked, old, front, left;
    volatile uint8_t *byte;
    if (moved == (void *)0) {
        highwater_on_failure_of(heap, bytes);
        return moved;
    }
    asked = ((const uint32_t *)moved)[HIGHWATER_OWNER_ASKED];
    old = asked & HIGHWATER_OWNER_SIZE;
    front = highwater_owned_front((uint32_t)1 << (asked >> 27));
    if (front != FRONT) {
        byte = (volatile uint8_t *)moved + FRONT;
        for (left = old < bytes ? old : bytes; left != 0; left--) {
            *byte = byte[front - FRONT];
            byte++;
        }
    }
    moved = note(moved, FRONT, bytes | (uint32_t)3 << 27, caller);
    highwater_on_realloc(heap, old, bytes);
    return moved;
}

#endif

#if HIGHWATER_OWNER_ROWS

/* ---- A table of owners ---- */

volatile uint32_t HIGHWATER_ROWS[1 + HIGHWATER_OWNER_ROWS * HIGHWATER_OWNER_ROW_WORDS];

highwater_region_id highwater_register_rows(uint8_t index)
{
    highwater_region region;
    highwater_region_new(&region, (const char *)0, HIGHWATER_REGION_OWNERS, (const void *)(uintptr_t)HIGHWATER_ROWS,
                         sizeof HIGHWATER_ROWS);
    region.words[HIGHWATER_REGION_INFO] |= (uint32_t)index << 8;
    return highwater_register_region(&region);
}

/* The row of a part, or a free one for NULL; NULL when there is none. */
static volatile uint32_t *row_of(const void *part)
{
    volatile uint32_t *row = HIGHWATER_ROWS + 1;
    uint32_t left;
    for (left = HIGHWATER_OWNER_ROWS; left != 0; left--) {
        if (row[HIGHWATER_OWNER_ROW_PART] == (uint32_t)(uintptr_t)part) {
            return row;
        }
        row += HIGHWATER_OWNER_ROW_WORDS;
    }
    return (volatile uint32_t *)0;
}

/* Fills a row anew and counts what it was and what it is, as one change. */
static void change_row(highwater_heap *heap, volatile uint32_t *row, const void *part, uint32_t bytes,
                       const void *caller)
{
    uint32_t before = HIGHWATER_ENTER();
    uint32_t changes = open_frame(heap);
    uint32_t freed = heap->words[HIGHWATER_HEAP_FREED];
    if (row[HIGHWATER_OWNER_ROW_PART] != 0) {
        freed = add(heap, HIGHWATER_HEAP_FREED, row[HIGHWATER_OWNER_ROW_ASKED]);
        add(heap, HIGHWATER_HEAP_FREES, 1);
    }
    row[HIGHWATER_OWNER_ROW_PART] = (uint32_t)(uintptr_t)part;
    if (part != (const void *)0) {
        row[HIGHWATER_OWNER_ROW_ASKED] = bytes;
        row[HIGHWATER_OWNER_ROW_CALLER] = (uint32_t)(uintptr_t)caller;
        count_alloc(heap, bytes, freed);
    }
    close_frame(heap, changes);
    HIGHWATER_LEAVE(before);
}

void highwater_rows_on_alloc(highwater_heap *heap, const void *part, uint32_t bytes, const void *caller)
{
    volatile uint32_t *row;
    if (part == (const void *)0) {
        highwater_on_failure_of(heap, bytes);
        return;
    }
    row = row_of((const void *)0);
    if (row != (volatile uint32_t *)0) {
        change_row(heap, row, part, bytes, caller);
    } else {
        HIGHWATER_ROWS[0] += 1;
    }
}

void highwater_rows_on_free(highwater_heap *heap, const void *part)
{
    volatile uint32_t *row;
    if (part == (const void *)0) {
        return;
    }
    row = row_of(part);
    if (row != (volatile uint32_t *)0) {
        change_row(heap, row, (const void *)0, 0, (const void *)0);
    } else {
        HIGHWATER_ROWS[0] += 1;
    }
}

void highwater_rows_on_realloc(highwater_heap *heap, const void *old, const void *part, uint32_t bytes,
                               const void *caller)
{
    volatile uint32_t *row = old != (const void *)0 ? row_of(old) : (volatile uint32_t *)0;
    if (part != (const void *)0 && row != (volatile uint32_t *)0) {
        change_row(heap, row, part, bytes, caller);
    } else if (part != (const void *)0 || bytes != 0) {
        if (part != (const void *)0 && old != (const void *)0) {
            HIGHWATER_ROWS[0] += 1;
        }
        highwater_rows_on_alloc(heap, part, bytes, caller);
    } else {
        highwater_rows_on_free(heap, old);
    }
}

#endif

/* ---- Stacks ---- */

void highwater_paint(void *base, uint32_t bytes)
{
    volatile uint32_t *word = (volatile uint32_t *)base;
    uint32_t left;
    for (left = bytes / 4; left != 0; left--) {
        *word++ = HIGHWATER_PAINT_WORD;
    }
}

int highwater_guard_is_whole(const void *base)
{
    const volatile uint32_t *word = (const volatile uint32_t *)base;
    uint32_t left;
    for (left = HIGHWATER_GUARD_BYTES / 4; left != 0; left--) {
        if (*word++ != HIGHWATER_PAINT_WORD) {
            return 0;
        }
    }
    return 1;
}

#else

/* ISO C wants something in every file. */
typedef int highwater_is_switched_off;

#endif
