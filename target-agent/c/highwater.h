/*
 * highwater: the block in RAM that tells where a firmware's memory goes, for firmware in C and C++.
 *
 * The same block as the Rust crate `highwater-agent` makes, word by word: layout and meaning are described in
 * src/layout.rs there. The host finds it by its symbol, HIGHWATER, and reads it over the debug port while the core runs.
 * The agent never waits for the host, and does not know whether there is one.
 *
 *     highwater_init();
 *     highwater_register_heap(0, "heap", heap_start, heap_size);
 *
 *     highwater_thread thread;
 *     highwater_thread_new(&thread, "main", HIGHWATER_THREAD_MAIN, stack_base, stack_size);
 *     highwater_thread_painted(&thread);
 *     highwater_register_thread(&thread);
 *
 * What it asks of a firmware:
 *
 * - C99 or C++, a 32-bit processor: Cortex-M from the M0 on, or riscv32 in machine mode. Elsewhere the macros of the
 *   critical section must be given, see highwater_config.h. No compare-and-swap is used.
 * - One core writes a block. With symmetric multiprocessing PRIMASK is not enough: give HIGHWATER_ENTER and
 *   HIGHWATER_LEAVE that take a lock across the cores too. Cores that run images of their own have a block each.
 * - A Cortex-M7 with its data cache on keeps the block in DTCM or in memory that is not cached (HIGHWATER_SECTION), since
 *   a debug port reads memory and not the cache.
 *
 * Every word is written by a single volatile store, so that a debugger never sees half a word; words that must agree are
 * framed by two counters. No function allocates or waits. Unless one says otherwise, all may be called from threads and
 * from interrupts, once highwater_init has returned. The costs are those of GCC 12 at -Os on a Cortex-M4.
 */
#ifndef HIGHWATER_H
#define HIGHWATER_H

#include <stdint.h>

#ifdef HIGHWATER_CONFIG_FILE
#include HIGHWATER_CONFIG_FILE
#else
#include "highwater_config.h"
#endif
#include "highwater_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A registered thread. It names this one thread only: once the thread is retired, it names none, also when another
 * thread took its slot. */
typedef uint32_t highwater_thread_id;

/* A registered region; as above. */
typedef uint32_t highwater_region_id;

/* No thread, no region: what registering gives when the block is full. The host shows how often that happened. It is
 * zero, as a static variable is from the start, and every function ignores it. */
#define HIGHWATER_NONE UINT32_C(0)

/* Any function, for highwater_thread_entry: cast to it. */
typedef void (*highwater_function)(void);

/* A thread to register, held as the block holds it. */
typedef struct highwater_thread {
    uint32_t words[HIGHWATER_THREAD_WORDS];
} highwater_thread;

/* A region to register, held as the block holds it. */
typedef struct highwater_region {
    uint32_t words[HIGHWATER_REGION_WORDS];
} highwater_region;

/* The counters of one heap. */
typedef struct highwater_heap {
    volatile uint32_t words[HIGHWATER_HEAP_WORDS];
} highwater_heap;

#if HIGHWATER_ENABLED

/* Where the parts of the block begin, in words. */
#define HIGHWATER_AT_HEAPS HIGHWATER_HEADER_WORDS
#define HIGHWATER_AT_MARKS (HIGHWATER_AT_HEAPS + HIGHWATER_HEAPS * HIGHWATER_HEAP_WORDS)
#define HIGHWATER_AT_THREADS (HIGHWATER_AT_MARKS + HIGHWATER_THREADS * HIGHWATER_MARK_WORDS)
#define HIGHWATER_AT_REGIONS (HIGHWATER_AT_THREADS + 2 + HIGHWATER_THREADS * HIGHWATER_THREAD_WORDS)
#define HIGHWATER_USED (HIGHWATER_AT_REGIONS + 2 + HIGHWATER_REGIONS * HIGHWATER_REGION_WORDS)

/* The block, rounded up to 64 bytes. */
extern volatile uint32_t HIGHWATER[(HIGHWATER_USED + 15) / 16 * 16];

/* Which build this is; the host compares it with the block's. */
extern const uint32_t HIGHWATER_BUILD_ID[2];

/*
 * Makes the block ready, and counts this start of the firmware. Gives the number of starts.
 *
 * Call it once, before the first allocation and before any other function: what was registered or counted before is
 * forgotten. The magic word is written last, so that the host sees a block that is whole or none.
 *
 * Safety: static data is set up; nothing else uses the block yet.
 * Cost: 132 bytes of flash, about 5 instructions for each word of the block and 40 more. Interrupts stay as they are.
 */
uint32_t highwater_init(void);

/*
 * Shows the host that the firmware runs. Call it from one place that is reached now and then, such as the tick.
 *
 * Safety: from one place only.
 * Cost: 16 bytes of flash, 6 instructions. Interrupts stay as they are.
 */
void highwater_heartbeat(void);

/*
 * Describes a thread whose stack has `size` bytes from `base` on, both multiples of 4. Its priority is 0, its stack not
 * painted and its entry function unknown, until the functions below say otherwise.
 *
 * Safety: the name is NULL, or stays where it is for as long as the thread is registered. In flash, where a literal is,
 * the host reads it from the ELF; in RAM from the target.
 * Cost: inline, about 10 instructions.
 */
static inline void highwater_thread_new(highwater_thread *thread, const char *name, enum highwater_thread_kind kind,
                                        const void *base, uint32_t size)
{
    thread->words[HIGHWATER_THREAD_TAG] = 0;
    thread->words[HIGHWATER_THREAD_BASE] = (uint32_t)(uintptr_t)base;
    thread->words[HIGHWATER_THREAD_SIZE] = size;
    thread->words[HIGHWATER_THREAD_INFO] = (uint32_t)kind;
    thread->words[HIGHWATER_THREAD_NAME] = (uint32_t)(uintptr_t)name;
    thread->words[HIGHWATER_THREAD_ENTRY] = 0;
}

/*
 * Gives it this priority, as the kernel counts it.
 *
 * Cost: inline, about 5 instructions.
 */
static inline void highwater_thread_priority(highwater_thread *thread, uint8_t priority)
{
    uint32_t info = thread->words[HIGHWATER_THREAD_INFO] & ~((uint32_t)0xff << 16);
    thread->words[HIGHWATER_THREAD_INFO] = info | (uint32_t)priority << 16;
}

/*
 * Says that its stack was painted with HIGHWATER_PAINT_WORD: by highwater_paint, or by a kernel that uses that word.
 *
 * Cost: inline, about 3 instructions.
 */
static inline void highwater_thread_painted(highwater_thread *thread)
{
    thread->words[HIGHWATER_THREAD_INFO] |= HIGHWATER_PAINTED;
}

/*
 * Names the first function that runs on its stack. The host follows its calls in the ELF and says how deep they can go.
 *
 * Cost: inline, one store.
 */
static inline void highwater_thread_entry(highwater_thread *thread, highwater_function entry)
{
    thread->words[HIGHWATER_THREAD_ENTRY] = (uint32_t)(uintptr_t)entry;
}

/*
 * Registers a thread and its stack. Its marks start empty and its state unknown. HIGHWATER_NONE when the block has room
 * for no more; the refusal is counted in the block.
 *
 * Safety: the stack stays where it is until the thread is retired.
 * Cost: 16 bytes of flash, and 164 that all registering and retiring shares; about 65 instructions and 12 for each slot
 * in use before the free one, most of them with interrupts masked.
 */
highwater_thread_id highwater_register_thread(const highwater_thread *thread);

/*
 * Takes a thread out of the block, when it has ended and its stack may go. Says whether `id` still named one: zero when it did not.
 *
 * Safety: none; an old `id` is ignored.
 * Cost: 24 bytes of flash, and what it shares with highwater_register_thread; about 55 instructions and 12 for each slot
 * before the thread's, most of them with interrupts masked.
 */
uint32_t highwater_retire_thread(highwater_thread_id id);

/*
 * Finds the thread whose stack was registered with this lowest address; HIGHWATER_NONE when there is none. For kernels that
 * leave no room for an id in their threads.
 *
 * Safety: none; another thread may retire it meanwhile, and then the id is an old one.
 * Cost: 44 bytes of flash; about 9 instructions for each slot that is looked at. Interrupts stay as they are.
 */
highwater_thread_id highwater_find_thread(const void *base);

/*
 * Says what a thread is doing. Ignored when `id` names no thread any more.
 *
 * Safety: none; an old `id` is ignored.
 * Cost: 34 bytes of flash, and 52 that it shares; 34 instructions, most of them with interrupts masked.
 */
void highwater_set_state(highwater_thread_id id, enum highwater_thread_state state);

/*
 * Says which priority a thread has now. Ignored when `id` names no thread any more.
 *
 * Safety: none; an old `id` is ignored.
 * Cost: as highwater_set_state.
 */
void highwater_set_priority(highwater_thread_id id, uint8_t priority);

/*
 * Says which thread runs; HIGHWATER_NONE when none does. For the kernel's context switch.
 *
 * Safety: from the context switch only.
 * Cost: 12 bytes of flash, 4 instructions. Interrupts stay as they are.
 */
void highwater_set_running(highwater_thread_id id);

/*
 * Records the stack pointer of the thread that is switched out. Optional, for the kernel's context switch, after the
 * thread's registers are saved.
 *
 * Safety: not for one thread from two places at once.
 * Cost: 44 bytes of flash, and 52 that it shares; 38 instructions in each context switch that calls it.
 * Interrupts stay as they are.
 */
void highwater_on_switch(highwater_thread_id out, const void *sp);

/*
 * Describes the `size` bytes from `base` on. A heap goes through highwater_register_heap instead.
 *
 * Safety: the name as in highwater_thread_new.
 * Cost: inline, about 7 instructions.
 */
static inline void highwater_region_new(highwater_region *region, const char *name, enum highwater_region_kind kind,
                                        const void *base, uint32_t size)
{
    region->words[HIGHWATER_REGION_TAG] = 0;
    region->words[HIGHWATER_REGION_INFO] = (uint32_t)kind;
    region->words[HIGHWATER_REGION_BASE] = (uint32_t)(uintptr_t)base;
    region->words[HIGHWATER_REGION_SIZE] = size;
    region->words[HIGHWATER_REGION_NAME] = (uint32_t)(uintptr_t)name;
}

/*
 * Registers a region of memory by name. HIGHWATER_NONE when the block has room for no more; the refusal is counted.
 *
 * Safety: none.
 * Cost: as highwater_register_thread.
 */
highwater_region_id highwater_register_region(const highwater_region *region);

/*
 * Registers the memory of heap `index`, the one whose counters are HIGHWATER_HEAP(index). A heap that consists of several
 * pieces is registered piece by piece. HIGHWATER_NONE when the block has room for no more regions.
 *
 * Safety: the name as in highwater_thread_new.
 * Cost: inline, as highwater_register_region.
 */
static inline highwater_region_id highwater_register_heap(uint8_t index, const char *name, const void *base,
                                                          uint32_t size)
{
    highwater_region region;
    highwater_region_new(&region, name, HIGHWATER_REGION_HEAP, base, size);
    region.words[HIGHWATER_REGION_INFO] |= (uint32_t)index << 8;
    return highwater_register_region(&region);
}

/*
 * Takes a region out of the block, before its memory is given back. Says whether `id` still named one: zero when it did not.
 *
 * Safety: none; an old `id` is ignored.
 * Cost: as highwater_retire_thread.
 */
uint32_t highwater_retire_region(highwater_region_id id);

/*
 * The counters of heap `index`, a constant below HIGHWATER_HEAPS: that the block has such a heap is checked when the
 * firmware is built.
 *
 * Cost: none, it is an address.
 */
#define HIGHWATER_HEAP(index)                                                                                          \
    ((highwater_heap *)(uintptr_t)&HIGHWATER[HIGHWATER_AT_HEAPS + (index) * HIGHWATER_HEAP_WORDS +                     \
                                             0 * sizeof(char[(index) < HIGHWATER_HEAPS ? 1 : -1])])

/*
 * Counts a block of `bytes` bytes that was handed out. Call it after the allocation, best while the allocator's own lock
 * is held.
 *
 * Safety: `heap` is HIGHWATER_HEAP.
 * Cost: 54 bytes of flash, 23 instructions, most of them with interrupts masked.
 */
void highwater_on_alloc(highwater_heap *heap, uint32_t bytes);

/*
 * Counts a block of `bytes` bytes that is given back. Call it before the block is free, so that another thread's
 * allocation of the same memory cannot be counted first.
 *
 * Safety: `heap` is HIGHWATER_HEAP.
 * Cost: 42 bytes of flash, 17 instructions, most of them with interrupts masked.
 */
void highwater_on_free(highwater_heap *heap, uint32_t bytes);

/*
 * Counts a block of `old_bytes` bytes that became one of `new_bytes` bytes: a free and an allocation at once, so that the
 * number of blocks stays right and the peak does not count both.
 *
 * Safety: `heap` is HIGHWATER_HEAP.
 * Cost: 64 bytes of flash, 28 instructions, most of them with interrupts masked.
 */
void highwater_on_realloc(highwater_heap *heap, uint32_t old_bytes, uint32_t new_bytes);

/*
 * Counts an allocation that failed, of a size that is not known.
 *
 * Safety: `heap` is HIGHWATER_HEAP.
 * Cost: inline, as highwater_on_failure_of.
 */
#define highwater_on_failure(heap) highwater_on_failure_of(heap, 0)

/*
 * Counts an allocation of `bytes` bytes that failed.
 *
 * Safety: `heap` is HIGHWATER_HEAP.
 * Cost: 36 bytes of flash, 14 instructions, most of them with interrupts masked.
 */
void highwater_on_failure_of(highwater_heap *heap, uint32_t bytes);

#if HIGHWATER_OWNERS
/*
 * Owners: blocks that begin with a header for the host, of the size that was asked for and HIGHWATER_OWNERS callers. An
 * allocator is wrapped so:
 *
 *     uint32_t whole = highwater_owned_whole(bytes, HIGHWATER_OWNED_ALIGN);
 *     block = whole != 0 ? allocate(whole) : NULL;
 *     return highwater_on_owned_alloc(heap, block, bytes, HIGHWATER_CALLER());
 *
 *     release(highwater_on_owned_free(heap, part));
 *
 *     whole = highwater_owned_grown(part, bytes);
 *     block = whole != 0 ? reallocate(highwater_owned_block(part), whole) : NULL;
 *     return highwater_on_owned_realloc(heap, block, bytes, HIGHWATER_CALLER());
 *
 * `block` is the allocator's, `part` what the program gets of it. Every block that is freed so must have been handed out so.
 * A header that the program wrote over is not noticed: the allocator is then given an address that it never handed out.
 */

/* The alignment of blocks that ask for none, and what their headers say. */
#define HIGHWATER_OWNED_ALIGN UINT32_C(8)

/* The address that the function this stands in returns to. Put it into the function that the program calls, and keep that
 * from being inlined. */
#if !defined(HIGHWATER_CALLER) && defined(__GNUC__)
#define HIGHWATER_CALLER() ((const void *)__builtin_return_address(0))
#elif !defined(HIGHWATER_CALLER)
#error "define HIGHWATER_CALLER for this compiler, see highwater_config.h"
#endif

/*
 * Bytes from the start of a block to the program's part of it; `align` is 8 or a larger power of two.
 *
 * Cost: inline; a constant where `align` is one.
 */
static inline uint32_t highwater_owned_front(uint32_t align)
{
    return (uint32_t)(4 * (HIGHWATER_OWNER_CALLERS + HIGHWATER_OWNERS) + align - 1) & ~(align - 1);
}

/*
 * Bytes to ask an allocator for, so that there is room for `bytes` bytes and the header; 0 when a header cannot say that
 * many, which is more than any microcontroller has. The block must be aligned to `align`, as above.
 *
 * Cost: inline, about 4 instructions.
 */
static inline uint32_t highwater_owned_whole(uint32_t bytes, uint32_t align)
{
    return bytes <= HIGHWATER_OWNER_SIZE ? highwater_owned_front(align) + bytes : 0;
}

/*
 * The block that a part belongs to.
 *
 * Safety: `part` is what highwater_on_owned_alloc and its like gave.
 * Cost: 26 bytes of flash, 9 instructions.
 */
void *highwater_owned_block(void *part);

/*
 * Bytes that were asked for when this part was handed out.
 *
 * Safety: as above.
 * Cost: 14 bytes of flash and highwater_owned_block; 13 instructions.
 */
uint32_t highwater_owned_size(void *part);

/*
 * As highwater_owned_whole for a block that is to become one of `bytes` bytes and keeps its header until it has.
 *
 * Safety: as above.
 * Cost: 24 bytes of flash and highwater_owned_block; 18 instructions.
 */
uint32_t highwater_owned_grown(void *part, uint32_t bytes);

/*
 * Writes the header of a block that was handed out and counts it; gives the program's part. Where `block` is NULL, counts a
 * failure and gives NULL. `caller` may be NULL when it is not known.
 *
 * Safety: `heap` is HIGHWATER_HEAP; the block is aligned to HIGHWATER_OWNED_ALIGN and has highwater_owned_whole bytes.
 * Cost: 102 bytes of flash beside highwater_on_failure_of; 43 instructions with one caller, half of them with interrupts masked.
 */
void *highwater_on_owned_alloc(highwater_heap *heap, void *block, uint32_t bytes, const void *caller);

/*
 * The same for a block that is aligned to more: `align` is a power of two, 16 or more.
 *
 * Safety and cost: as above.
 */
void *highwater_on_owned_aligned_alloc(highwater_heap *heap, void *block, uint32_t bytes, uint32_t align,
                                       const void *caller);

/*
 * Counts a part that is given back, and gives the block that the allocator may free. Call it before the block is free.
 *
 * Safety: `heap` is HIGHWATER_HEAP; the part came from it.
 * Cost: 28 bytes of flash beside highwater_owned_block and highwater_on_free; 34 instructions.
 */
void *highwater_on_owned_free(highwater_heap *heap, void *part);

/*
 * Counts a block that was made larger or smaller, and gives the program's part; `moved` is where the allocator copied it
 * to. Where that is NULL, counts a failure and gives NULL. It is aligned to HIGHWATER_OWNED_ALIGN, however the old one was.
 *
 * Safety: `heap` is HIGHWATER_HEAP; the block has the old header, and highwater_owned_grown bytes.
 * Cost: 104 bytes of flash beside highwater_on_realloc; 57 instructions, and the copy of a block that was aligned to more.
 */
void *highwater_on_owned_realloc(highwater_heap *heap, void *moved, uint32_t bytes, const void *caller);
#endif

#if HIGHWATER_OWNER_ROWS
/*
 * A table of owners: for one heap whose blocks have no room for a header. These count too, in place of highwater_on_alloc
 * and its like: the blocks that have a row. How often one had none is told to the host, which then says "at least".
 */
extern volatile uint32_t HIGHWATER_ROWS[1 + HIGHWATER_OWNER_ROWS * HIGHWATER_OWNER_ROW_WORDS];

/*
 * Tells the host of the table, as that of heap `index`. HIGHWATER_NONE when the block has room for no more regions.
 *
 * Safety: once, after highwater_init and before the functions below.
 * Cost: as highwater_register_region.
 */
highwater_region_id highwater_register_rows(uint8_t index);

/*
 * Counts a block of `bytes` bytes that `caller` asked for, and notes it; a failure where `part` is NULL.
 *
 * Safety: `heap` is HIGHWATER_HEAP of the table's index. These three are called one at a time, by whoever holds the
 * allocator's lock.
 * Cost: 68 bytes of flash and 110 shared; about 45 instructions and 5 for each row that is looked at, 30 of them with
 * interrupts masked.
 */
void highwater_rows_on_alloc(highwater_heap *heap, const void *part, uint32_t bytes, const void *caller);

/*
 * Counts a block that is given back, when it has a row. Call it before or after the block is free.
 *
 * Safety and cost: as above.
 */
void highwater_rows_on_free(highwater_heap *heap, const void *part);

/*
 * Counts a block that became one of `bytes` bytes at `part`. Where `part` is NULL, a failure; with 0 bytes, a free.
 *
 * Safety and cost: as above.
 */
void highwater_rows_on_realloc(highwater_heap *heap, const void *old, const void *part, uint32_t bytes,
                               const void *caller);
#endif

/*
 * Paints the stack of a thread that does not run yet.
 *
 * Safety: `base` is the stack's lowest address, 4-aligned, and valid for writes of `bytes` bytes. Nothing uses that memory
 * yet; the kernel's first frame goes there afterwards.
 * Cost: 22 bytes of flash, 4 instructions for each word. Interrupts stay as they are.
 */
void highwater_paint(void *base, uint32_t bytes);

/*
 * Says whether the guard of a painted stack is whole, for a firmware that checks its own stacks: 1 or 0.
 *
 * Safety: `base` is the stack's lowest address, 4-aligned, and valid for reads of HIGHWATER_GUARD_BYTES bytes.
 * Cost: 28 bytes of flash; at most 8 words are read. Interrupts stay as they are.
 */
int highwater_guard_is_whole(const void *base);

/*
 * Paints the stack this code runs on, from its lowest address up to the stack pointer.
 *
 * An interrupt that comes meanwhile uses the memory below the stack pointer and is done with it before painting goes on,
 * so interrupts may stay on.
 *
 * Safety: `base` is the lowest address of the current stack (PSP's or MSP's, whichever is in use), 4-aligned, and
 * everything from there to the stack pointer belongs to it.
 * Cost: inline, 22 bytes of flash, 4 instructions for each word. Interrupts stay as they are.
 */
#if defined(__GNUC__) && defined(__arm__)
static inline void highwater_paint_below_sp(void *base)
{
    void *end;
    /* Assembly, so that it keeps nothing on the stack it paints. */
    __asm__ volatile("mov %[end], sp\n\t"
                     "b 2f\n"
                     "1:\n\t"
                     "str %[paint], [%[at]]\n\t"
                     "add %[at], %[at], #4\n"
                     "2:\n\t"
                     "cmp %[at], %[end]\n\t"
                     "blo 1b"
                     : [at] "+l"(base), [end] "=&l"(end)
                     : [paint] "l"(HIGHWATER_PAINT_WORD)
                     : "memory", "cc");
}
#elif defined(__GNUC__) && defined(__riscv)
static inline void highwater_paint_below_sp(void *base)
{
    __asm__ volatile("j 2f\n"
                     "1:\n\t"
                     "sw %[paint], 0(%[at])\n\t"
                     "addi %[at], %[at], 4\n"
                     "2:\n\t"
                     "bltu %[at], sp, 1b"
                     : [at] "+r"(base)
                     : [paint] "r"(HIGHWATER_PAINT_WORD)
                     : "memory");
}
#endif

#else

/* Switched off: arguments are looked at by the compiler and used by nothing. What gives a value gives zero. */
static inline uint32_t highwater_nothing(void)
{
    return 0;
}

/* Not evaluated; the choice makes a pointer of an array of any size. */
#define HIGHWATER_UNUSED(argument) ((void)sizeof(1 ? (argument) : 0))
#define highwater_init() highwater_nothing()
#define highwater_heartbeat() ((void)0)
#define highwater_thread_new(thread, name, kind, base, size)                                                           \
    ((void)(thread), HIGHWATER_UNUSED(name), HIGHWATER_UNUSED(kind), HIGHWATER_UNUSED(base), HIGHWATER_UNUSED(size))
#define highwater_thread_priority(thread, priority) ((void)(thread), HIGHWATER_UNUSED(priority))
#define highwater_thread_painted(thread) ((void)(thread))
#define highwater_thread_entry(thread, entry) ((void)(thread), HIGHWATER_UNUSED(entry))
#define highwater_register_thread(thread) ((void)(thread), highwater_nothing())
#define highwater_retire_thread(id) (HIGHWATER_UNUSED(id), highwater_nothing())
#define highwater_find_thread(base) (HIGHWATER_UNUSED(base), highwater_nothing())
#define highwater_set_state(id, state) (HIGHWATER_UNUSED(id), HIGHWATER_UNUSED(state))
#define highwater_set_priority(id, priority) (HIGHWATER_UNUSED(id), HIGHWATER_UNUSED(priority))
#define highwater_set_running(id) (HIGHWATER_UNUSED(id))
#define highwater_on_switch(out, sp) (HIGHWATER_UNUSED(out), HIGHWATER_UNUSED(sp))
#define highwater_region_new(region, name, kind, base, size)                                                           \
    ((void)(region), HIGHWATER_UNUSED(name), HIGHWATER_UNUSED(kind), HIGHWATER_UNUSED(base), HIGHWATER_UNUSED(size))
#define highwater_register_region(region) ((void)(region), highwater_nothing())
#define highwater_register_heap(index, name, base, size)                                                               \
    (HIGHWATER_UNUSED(index), HIGHWATER_UNUSED(name), HIGHWATER_UNUSED(base), HIGHWATER_UNUSED(size), highwater_nothing())
#define highwater_retire_region(id) (HIGHWATER_UNUSED(id), highwater_nothing())
#define HIGHWATER_HEAP(index) ((highwater_heap *)0)
#define highwater_on_alloc(heap, bytes) (HIGHWATER_UNUSED(heap), HIGHWATER_UNUSED(bytes))
#define highwater_on_free(heap, bytes) (HIGHWATER_UNUSED(heap), HIGHWATER_UNUSED(bytes))
#define highwater_on_realloc(heap, old_bytes, new_bytes)                                                                      \
    (HIGHWATER_UNUSED(heap), HIGHWATER_UNUSED(old_bytes), HIGHWATER_UNUSED(new_bytes))
#define highwater_on_failure(heap) (HIGHWATER_UNUSED(heap))
#define highwater_on_failure_of(heap, bytes) (HIGHWATER_UNUSED(heap), HIGHWATER_UNUSED(bytes))
#define highwater_paint(base, bytes) (HIGHWATER_UNUSED(base), HIGHWATER_UNUSED(bytes))
#define highwater_guard_is_whole(base) (HIGHWATER_UNUSED(base), (int)highwater_nothing() + 1)
#define highwater_paint_below_sp(base) (HIGHWATER_UNUSED(base))

#endif

#ifdef __cplusplus
}
#endif

#endif
