/*
 * FreeRTOS: a header in front of each block of heap_1, 2, 4 or 5 that says who asked for it, and the heap's counters as heap
 * 0. Compile it with HIGHWATER_OWNERS, and let the linker send the calls here, all of them or none:
 *
 *     LDFLAGS += -Wl,--wrap=pvPortMalloc,--wrap=vPortFree,--wrap=pvPortCalloc
 *
 * traceMALLOC comes when the block is made, and cannot enlarge it: highwater_freertos.h leaves it alone then.
 */
#include "highwater.h"

#if HIGHWATER_ENABLED && HIGHWATER_OWNERS

#include <stddef.h>

#define HEAP HIGHWATER_HEAP(0)

/* A frame of its own, so that the caller is the program. */
#ifdef __GNUC__
#define CALLED __attribute__((noinline))
#else
#define CALLED
#endif

#ifdef __cplusplus
extern "C" {
#endif

void *__real_pvPortMalloc(size_t bytes);
void __real_vPortFree(void *block);
void *__wrap_pvPortMalloc(size_t bytes);
void __wrap_vPortFree(void *part);
void *__wrap_pvPortCalloc(size_t count, size_t bytes);

/* FreeRTOS hands out nothing for 0 bytes. */
static void *take(size_t bytes, const void *caller)
{
    uint32_t whole = bytes != 0 ? highwater_owned_whole((uint32_t)bytes, HIGHWATER_OWNED_ALIGN) : 0;
    void *block = whole != 0 ? __real_pvPortMalloc(whole) : NULL;
    return highwater_on_owned_alloc(HEAP, block, (uint32_t)bytes, caller);
}

CALLED void *__wrap_pvPortMalloc(size_t bytes)
{
    return take(bytes, HIGHWATER_CALLER());
}

CALLED void __wrap_vPortFree(void *part)
{
    if (part != NULL) {
        __real_vPortFree(highwater_on_owned_free(HEAP, part));
    }
}

/* heap_4's own calls pvPortMalloc by a name that the linker does not see. */
CALLED void *__wrap_pvPortCalloc(size_t count, size_t bytes)
{
    const void *caller = HIGHWATER_CALLER();
    size_t left = count * bytes;
    unsigned char *part;
    if (bytes != 0 && count > HIGHWATER_OWNER_SIZE / bytes) {
        highwater_on_failure(HEAP);
        return NULL;
    }
    part = (unsigned char *)take(left, caller);
    if (part != NULL) {
        while (left != 0) {
            part[--left] = 0;
        }
    }
    return part;
}

#ifdef __cplusplus
}
#endif

#else

typedef int highwater_freertos_is_switched_off;

#endif
