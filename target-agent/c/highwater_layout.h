/*
 * The layout of the block, made from src/layout.rs by a test of this repository; do not edit.
 */
#ifndef HIGHWATER_LAYOUT_H
#define HIGHWATER_LAYOUT_H

/* First word of an initialised block: the bytes hwtr read as a little-endian word. */
#define HIGHWATER_MAGIC UINT32_C(0x72747768)

/* Version of this layout, major << 16 | minor. A host reads every block with its own major: a newer minor only makes tables longer or strides wider. 1.1 has two more words behind each heap's frame. */
#define HIGHWATER_ABI UINT32_C(0x10001)

/* The word the agent paints unused stack with. No valid address, instruction or small number looks like it. */
#define HIGHWATER_PAINT UINT32_C(0xcccccccc)

/* Bytes at the low end of each painted stack that must stay painted: when one of them changes, the stack is spent. */
#define HIGHWATER_GUARD_BYTES UINT32_C(0x20)

/* Word indices in the header. */
#define HIGHWATER_HEADER_MAGIC 0 /* MAGIC, written last. */
#define HIGHWATER_HEADER_ABI 1 /* ABI. */
#define HIGHWATER_HEADER_SIZE 2 /* Size of the whole block in bytes. */
#define HIGHWATER_HEADER_BUILD_ID_LOW 3 /* Low word of the firmware's build id, as in the symbol HIGHWATER_BUILD_ID. */
#define HIGHWATER_HEADER_BUILD_ID_HIGH 4 /* High word of the firmware's build id. */
#define HIGHWATER_HEADER_PAINT 5 /* The word stacks are painted with, see PAINT. */
#define HIGHWATER_HEADER_BOOTS 6 /* Counts the starts of the firmware since the last power cycle, when the block lies in uninitialised RAM; else 1. */
#define HIGHWATER_HEADER_HEARTBEAT 7 /* Grows while the firmware runs: the host tells a stalled or cached block by it. */
#define HIGHWATER_HEADER_RUNNING 8 /* Index of the running thread's slot plus one; 0 when unknown. */
#define HIGHWATER_HEADER_HEAPS 9 /* Where the heap frames are, see table. */
#define HIGHWATER_HEADER_MARKS 10 /* Where the marks are. */
#define HIGHWATER_HEADER_THREADS 11 /* Where the thread table is. */
#define HIGHWATER_HEADER_REGIONS 12 /* Where the region table is. */
#define HIGHWATER_HEADER_REFUSED 13 /* Registrations that found no free slot, since the start. */
#define HIGHWATER_HEADER_WORDS 16 /* Words in the header; 14 and 15 are reserved and zero. */

/* Word indices in a heap's frame. All counters wrap; used = allocated - freed stays right when they do. */
#define HIGHWATER_HEAP_FIRST 0 /* Lamport's counter at the lowest address: written last. */
#define HIGHWATER_HEAP_FREED 1 /* Bytes given back since the start. */
#define HIGHWATER_HEAP_FREES 2 /* Calls of free since the start. */
#define HIGHWATER_HEAP_ALLOCATED 3 /* Bytes handed out since the start. */
#define HIGHWATER_HEAP_ALLOCS 4 /* Calls of alloc that succeeded since the start. */
#define HIGHWATER_HEAP_FAILURES 5 /* Calls of alloc that failed since the start. */
#define HIGHWATER_HEAP_PEAK 6 /* The most bytes ever in use at once. */
#define HIGHWATER_HEAP_LAST 7 /* Lamport's counter at the highest address: written first. */
#define HIGHWATER_HEAP_FRAME 8 /* Words in the frame. */
#define HIGHWATER_HEAP_FAILED_SIZE 8 /* Bytes that the last failed allocation asked for; 0 when none failed. It stands alone, behind the frame, and may be newer than the frame's count of failures. Since 1.1. */
#define HIGHWATER_HEAP_OWNERS 9 /* How many callers the owner header in front of each block names; 0 when blocks have none. It stands alone. Since 1.1. */
#define HIGHWATER_HEAP_WORDS 10 /* Words for a heap: the stride in the header. A block of ABI 1.0 has the frame only. */

/* Word indices in the header that each block of a heap begins with, when heap::OWNERS says how many callers it names. The block is what the allocator inside hands out, and begins at an address that is aligned as the caller asked: text   offset 0           size asked for | log2 of the alignment << 27          4           return address of the innermost caller, 0 when unknown          8           the next one, when the depth is more than 1, and so on up to the depth          front       what the caller got; front is the header's size rounded up to the alignment  The header is written when the block is handed out, before it is counted. With the sizes a reader goes from block to block between two holes; the sum of the sizes and the number of blocks must be what the counters say. */
#define HIGHWATER_OWNER_ASKED 0 /* size | log2(alignment) << 27: see pack. */
#define HIGHWATER_OWNER_CALLERS 1 /* The first of the return addresses. */
#define HIGHWATER_OWNER_MAX_DEPTH 8 /* The most callers that a header names. */

/* The bits of ASKED that hold the size. */
#define HIGHWATER_OWNER_SIZE UINT32_C(0x7ffffff)

/* Word indices in a row of a table of owners, which a region of the kind Owners names: for heaps whose blocks have no room for a header. The table begins with one word, how often a block found no free row or was given back without one; the rows are behind it. They change while the frame of the heap is open, so that what was read between two equal looks at the frame is whole, and the heap's counters count the blocks that have a row. */
#define HIGHWATER_OWNER_ROW_PART 0 /* Address of what the program got; 0 when the row is free. */
#define HIGHWATER_OWNER_ROW_ASKED 1 /* Bytes that were asked for. */
#define HIGHWATER_OWNER_ROW_CALLER 2 /* Return address of the caller, 0 when unknown. */
#define HIGHWATER_OWNER_ROW_WORDS 3 /* Words in a row. */

/* Word indices in a thread's pair of marks. */
#define HIGHWATER_MARK_LOWEST 0 /* Lowest SP seen at a context switch; falls only, until the slot is used again. 0 when never seen. */
#define HIGHWATER_MARK_SAVED 1 /* SP saved at the thread's last switch out. 0 when never seen. */
#define HIGHWATER_MARK_WORDS 2 /* Words in a pair. */

/* Word indices in a thread's slot. */
#define HIGHWATER_THREAD_TAG 0 /* LIVE or EMPTY, and the generation. */
#define HIGHWATER_THREAD_BASE 1 /* Lowest address of the stack. */
#define HIGHWATER_THREAD_SIZE 2 /* Size of the stack in bytes. */
#define HIGHWATER_THREAD_INFO 3 /* kind | state << 8 | priority << 16 | flags << 24; the state and the priority may be newer than the rest of the frame. The only flag is PAINTED. */
#define HIGHWATER_THREAD_NAME 4 /* Address of the name, NUL-terminated or ended by the host's bound; 0 when there is none. */
#define HIGHWATER_THREAD_ENTRY 5 /* Address of the thread's entry function, from which the host works out its static worst case; 0 when unknown. */
#define HIGHWATER_THREAD_WORDS 6 /* Words in a slot. */

/* Word indices in a region's slot. */
#define HIGHWATER_REGION_TAG 0 /* LIVE or EMPTY, and the generation. */
#define HIGHWATER_REGION_INFO 1 /* kind | index << 8; the index of a heap is that of its frame. */
#define HIGHWATER_REGION_BASE 2 /* Lowest address. */
#define HIGHWATER_REGION_SIZE 3 /* Size in bytes. */
#define HIGHWATER_REGION_NAME 4 /* Address of the name, NUL-terminated or ended by the host's bound; 0 when there is none. */
#define HIGHWATER_REGION_WORDS 5 /* Words in a slot. */

/* Bit of thread::INFO: the stack was painted, with the word that the header names. */
#define HIGHWATER_PAINTED UINT32_C(0x1000000)

/* Top bit of a tag: the slot is in use. */
#define HIGHWATER_LIVE UINT32_C(0x80000000)

/* Top bit of a tag: the slot is free. */
#define HIGHWATER_EMPTY UINT32_C(0x0)

/* The bits of a tag that hold the generation. */
#define HIGHWATER_GENERATION UINT32_C(0x7fffffff)

/* What a thread is, the low byte of thread::INFO. */
enum highwater_thread_kind {
    HIGHWATER_THREAD_MAIN = 1, /* The main thread. */
    HIGHWATER_THREAD_ISR = 2, /* The interrupt or scheduler stack (MSP); not a thread of its own. */
    HIGHWATER_THREAD_IDLE = 3, /* The idle thread. */
    HIGHWATER_THREAD_TIMER = 4, /* The kernel's timer thread. */
    HIGHWATER_THREAD_USER = 5 /* Any other thread. */
};

/* What a thread is doing, the second byte of thread::INFO. */
enum highwater_thread_state {
    HIGHWATER_STATE_UNKNOWN = 0, /* Not told. */
    HIGHWATER_STATE_READY = 1, /* Can run, and waits for its turn. */
    HIGHWATER_STATE_RUNNING = 2, /* Runs now. */
    HIGHWATER_STATE_BLOCKED = 3, /* Waits for an event. */
    HIGHWATER_STATE_DELAYED = 4, /* Waits for time to pass. */
    HIGHWATER_STATE_ENDED = 5 /* Has ended; its stack may be reused. */
};

/* What a registered region is, the low byte of region::INFO. */
enum highwater_region_kind {
    HIGHWATER_REGION_VECTORS = 1, /* A vector table. */
    HIGHWATER_REGION_DATA = 2, /* Static data. */
    HIGHWATER_REGION_HEAP = 3, /* A heap; the second byte is the index of its frame. */
    HIGHWATER_REGION_BUFFER = 4, /* A buffer, static or in a heap. */
    HIGHWATER_REGION_BOOTLOADER = 5, /* A bootloader. */
    HIGHWATER_REGION_CODE = 6, /* Program code. */
    HIGHWATER_REGION_OTHER = 7, /* Anything else. */
    HIGHWATER_REGION_OWNERS = 8 /* A table of a heap's blocks and who asked for each; the second byte is the index of the heap's frame. */
};

#endif
