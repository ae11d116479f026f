/*
 * What the agent is built with. Each setting can be given to the compiler instead (-DHIGHWATER_THREADS=12), or this
 * file be replaced: copy it to a folder that comes earlier in the include path, or name another with
 * -DHIGHWATER_CONFIG_FILE='"my_config.h"'.
 */
#ifndef HIGHWATER_CONFIG_H
#define HIGHWATER_CONFIG_H

/* 0: nothing is compiled in, and every function is an empty macro. */
#ifndef HIGHWATER_ENABLED
#define HIGHWATER_ENABLED 1
#endif

/* How many threads (stacks), heaps and named regions the block has room for, each at most 255, and one thread and one
 * region at least; each heap needs a region too. RAM, rounded up to 64 bytes: 80, and 32 for each thread, 40 for each heap, 20 for each region. */
#ifndef HIGHWATER_THREADS
#define HIGHWATER_THREADS 8
#endif
#ifndef HIGHWATER_HEAPS
#define HIGHWATER_HEAPS 1
#endif
#ifndef HIGHWATER_REGIONS
#define HIGHWATER_REGIONS 4
#endif

/* How many callers each block of a heap names in a header in front of it, where a port or a wrapped allocator writes one: 0
 * for none and nothing compiled in, 1 for 8 bytes a block, 3 for 16; at most 8. With more than one, those behind the first
 * are found by frame pointers: clang with -fno-omit-frame-pointer for Cortex-M. GCC leaves no way from frame to frame, and
 * they stay unknown. */
#ifndef HIGHWATER_OWNERS
#define HIGHWATER_OWNERS 0
#endif

/* How many blocks a table of owners has room for, where a port is told of blocks but cannot enlarge them (Mbed OS): 12 bytes
 * of RAM for each, and one region of the block. */
#ifndef HIGHWATER_OWNER_ROWS
#define HIGHWATER_OWNER_ROWS 0
#endif

/* The word that marks stack nobody used yet. A kernel that fills stacks by itself has one of its own: the ports name it. */
#ifndef HIGHWATER_PAINT_WORD
#define HIGHWATER_PAINT_WORD HIGHWATER_PAINT
#endif

/* Which build this is: two words that differ from build to build, so that the host notices a wrong ELF. The CMake file
 * derives them from the project's version. */
#ifndef HIGHWATER_BUILD_ID_LOW
#define HIGHWATER_BUILD_ID_LOW 0
#endif
#ifndef HIGHWATER_BUILD_ID_HIGH
#define HIGHWATER_BUILD_ID_HIGH 0
#endif

/* The section of the block. In one that the startup code does not clear, the block counts the starts of the firmware:
 *
 *     #define HIGHWATER_SECTION ".noinit.HIGHWATER"
 *
 * On a Cortex-M7 with its data cache on, name one that lies in DTCM or in memory that is not cached. */

/* Who called the function that this stands in, for HIGHWATER_OWNERS. GCC and clang have it; elsewhere give a pointer:
 *
 *     #define HIGHWATER_CALLER() ((const void *)__return_address())
 */

/* Critical sections and the order of stores. The defaults mask interrupts by PRIMASK (Cortex-M) or mstatus.MIE (riscv32);
 * elsewhere these three must be given:
 *
 *     #define HIGHWATER_ENTER()        a uint32_t: masks interrupts, and gives the mask as it was
 *     #define HIGHWATER_LEAVE(before)  puts the mask back
 *     #define HIGHWATER_PUBLISH()      keeps the stores before it ahead of those after it, as seen by the debug port */

#endif
