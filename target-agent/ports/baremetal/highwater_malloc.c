/*
 * Counts the C library's heap as heap 0 of the block, without a change to its sources: the linker sends the calls here.
 *
 *     -Wl,--wrap=malloc,--wrap=free,--wrap=calloc,--wrap=realloc
 *
 * newlib and newlib-nano also allocate by themselves (strdup, printf), past these names. Compile this file with
 * -DHIGHWATER_WRAP_NEWLIB there, and wrap what they all go through:
 *
 *     -Wl,--wrap=_malloc_r,--wrap=_free_r,--wrap=_calloc_r,--wrap=_realloc_r
 *
 * What is counted is what a block can hold (malloc_usable_size), a few bytes more than was asked for, because a block does
 * not remember what was asked for. With HIGHWATER_OWNERS it does: highwater_owners.c is in place of this file then.
 */
#include "highwater.h"

#if HIGHWATER_ENABLED && !HIGHWATER_OWNERS

#include "highwater_wrap.h"

#ifdef HIGHWATER_WRAP_NEWLIB
#define USABLE(block) ((uint32_t)_malloc_usable_size_r(reent, block))
#else
#define USABLE(block) ((uint32_t)malloc_usable_size(block))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifdef HIGHWATER_WRAP_NEWLIB
/* calloc and realloc may be made of malloc and free: what happens inside is not counted twice. Guarded by LOCK. */
static int inside;
#define INSIDE inside
#define ENTER_LIBRARY() (inside++)
#define LEAVE_LIBRARY() (inside--)
#else
#define INSIDE 0
#define ENTER_LIBRARY() ((void)0)
#define LEAVE_LIBRARY() ((void)0)
#endif

void *WRAP(malloc)(FIRST size_t bytes)
{
    void *block;
    LOCK();
    block = REAL(malloc)(PASS bytes);
    if (!INSIDE) {
        if (block != NULL) {
            highwater_on_alloc(HIGHWATER_HEAP(0), USABLE(block));
        } else if (bytes != 0) {
            highwater_on_failure_of(HIGHWATER_HEAP(0), (uint32_t)bytes);
        }
    }
    UNLOCK();
    return block;
}

void WRAP(free)(FIRST void *block)
{
    LOCK();
    if (block != NULL && !INSIDE) {
        highwater_on_free(HIGHWATER_HEAP(0), USABLE(block));
    }
    REAL(free)(PASS block);
    UNLOCK();
}

void *WRAP(calloc)(FIRST size_t count, size_t bytes)
{
    void *block;
    LOCK();
    ENTER_LIBRARY();
    block = REAL(calloc)(PASS count, bytes);
    LEAVE_LIBRARY();
    if (!INSIDE) {
        if (block != NULL) {
            highwater_on_alloc(HIGHWATER_HEAP(0), USABLE(block));
        } else if (count != 0 && bytes != 0) {
            highwater_on_failure_of(HIGHWATER_HEAP(0), (uint32_t)(count * bytes));
        }
    }
    UNLOCK();
    return block;
}

void *WRAP(realloc)(FIRST void *block, size_t bytes)
{
    void *moved;
    uint32_t old = 0;
    LOCK();
    if (block != NULL) {
        old = USABLE(block);
    }
    ENTER_LIBRARY();
    moved = REAL(realloc)(PASS block, bytes);
    LEAVE_LIBRARY();
    if (!INSIDE) {
        if (moved == NULL && bytes != 0) {
            highwater_on_failure_of(HIGHWATER_HEAP(0), (uint32_t)bytes);
        } else if (moved == NULL && block != NULL) {
            highwater_on_free(HIGHWATER_HEAP(0), old);
        } else if (moved != NULL && block == NULL) {
            highwater_on_alloc(HIGHWATER_HEAP(0), USABLE(moved));
        } else if (moved != NULL) {
            highwater_on_realloc(HIGHWATER_HEAP(0), old, USABLE(moved));
        }
    }
    UNLOCK();
    return moved;
}

#ifdef __cplusplus
}
#endif

#else

typedef int highwater_malloc_is_switched_off;

#endif
