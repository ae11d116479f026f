/*
 * The C library's heap as heap 0 of the block, with a header in front of each block that says who asked for it: what
 * highwater_malloc.c is without HIGHWATER_OWNERS. The linker sends the calls here, all of them or none: a block that was
 * handed out past this file must not be freed through it. The flags are in files of this folder, for newlib and newlib-nano
 * with -DHIGHWATER_WRAP_NEWLIB, and for any other library without:
 *
 *     LDFLAGS += @path/to/ports/baremetal/newlib-owners.flags
 *     LDFLAGS += @path/to/ports/baremetal/malloc-owners.flags
 *
 * What is counted is what was asked for.
 */
#include "highwater.h"

#if HIGHWATER_ENABLED && HIGHWATER_OWNERS

#include "highwater_wrap.h"

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

/* newlib's functions are made of each other: what they call of these while they run is the library's own and passes
 * through. Guarded by LOCK, which whoever is inside holds. */
#ifdef HIGHWATER_WRAP_NEWLIB
static int inside;
#define ENTER_LIBRARY() (__malloc_lock(reent), (void)inside++)
#define LEAVE_LIBRARY() ((void)inside--, __malloc_unlock(reent))

static int is_inside(struct _reent *reent)
{
    int is;
    __malloc_lock(reent);
    is = inside;
    __malloc_unlock(reent);
    return is;
}
#define INSIDE is_inside(reent)
#else
#define ENTER_LIBRARY() ((void)0)
#define LEAVE_LIBRARY() ((void)0)
#define INSIDE 0
#endif

/* A block with room for the header; NULL when there is none. */
static void *obtain(FIRST size_t bytes)
{
    uint32_t whole = highwater_owned_whole((uint32_t)bytes, HIGHWATER_OWNED_ALIGN);
    void *block = NULL;
    if (whole != 0) {
        ENTER_LIBRARY();
        block = REAL(malloc)(PASS whole);
        LEAVE_LIBRARY();
    }
    return block;
}

static void *take(FIRST size_t bytes, const void *caller)
{
    return highwater_on_owned_alloc(HEAP, obtain(PASS bytes), (uint32_t)bytes, caller);
}

static void give(FIRST void *part)
{
    if (part != NULL) {
        void *block = highwater_on_owned_free(HEAP, part);
        ENTER_LIBRARY();
        REAL(free)(PASS block);
        LEAVE_LIBRARY();
    }
}

static void *take_zeroed(FIRST size_t count, size_t bytes, const void *caller)
{
    size_t all = count * bytes;
    unsigned char *part;
    if (bytes != 0 && count > HIGHWATER_OWNER_SIZE / bytes) {
        highwater_on_failure(HEAP);
        return NULL;
    }
    part = (unsigned char *)take(PASS all, caller);
    if (part != NULL) {
        while (all != 0) {
            part[--all] = 0;
        }
    }
    return part;
}

/* The block of a part, header included, made larger or smaller; NULL when it cannot be, and the old one is as it was. */
static void *resize(FIRST void *part, size_t bytes)
{
    uint32_t whole = highwater_owned_grown(part, (uint32_t)bytes);
    unsigned char *from = (unsigned char *)highwater_owned_block(part);
    unsigned char *moved = NULL;
    if (whole == 0) {
        return NULL;
    }
    ENTER_LIBRARY();
#ifdef HIGHWATER_WRAP_NEWLIB
    moved = (unsigned char *)REAL(realloc)(PASS from, whole);
#else
    /* Another library's realloc may call malloc and free by the names that lead here. */
    {
        uint32_t old = highwater_owned_grown(part, highwater_owned_size(part));
        uint32_t index;
        moved = whole <= old ? from : (unsigned char *)REAL(malloc)(PASS whole);
        if (moved != NULL && moved != from) {
            for (index = 0; index < old; index++) {
                moved[index] = from[index];
            }
            REAL(free)(PASS from);
        }
    }
#endif
    LEAVE_LIBRARY();
    return moved;
}

static void *take_again(FIRST void *part, size_t bytes, const void *caller)
{
    if (part == NULL) {
        return take(PASS bytes, caller);
    }
    if (bytes == 0) {
        give(PASS part);
        return NULL;
    }
    return highwater_on_owned_realloc(HEAP, resize(PASS part, bytes), (uint32_t)bytes, caller);
}

CALLED void *WRAP(malloc)(FIRST size_t bytes)
{
    return INSIDE ? REAL(malloc)(PASS bytes) : take(PASS bytes, HIGHWATER_CALLER());
}

CALLED void WRAP(free)(FIRST void *part)
{
    if (INSIDE) {
        REAL(free)(PASS part);
    } else {
        give(PASS part);
    }
}

CALLED void *WRAP(calloc)(FIRST size_t count, size_t bytes)
{
    return INSIDE ? REAL(calloc)(PASS count, bytes) : take_zeroed(PASS count, bytes, HIGHWATER_CALLER());
}

CALLED void *WRAP(realloc)(FIRST void *part, size_t bytes)
{
    return INSIDE ? REAL(realloc)(PASS part, bytes) : take_again(PASS part, bytes, HIGHWATER_CALLER());
}

#ifdef HIGHWATER_WRAP_NEWLIB

#include <reent.h>

void *REAL(memalign)(FIRST size_t align, size_t bytes);
void *WRAP(memalign)(FIRST size_t align, size_t bytes);
size_t __real__malloc_usable_size_r(struct _reent *reent, void *block);
size_t __wrap__malloc_usable_size_r(struct _reent *reent, void *part);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *part, size_t bytes);
void *__wrap_memalign(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap__Znwj(size_t bytes);
void *__wrap__Znaj(size_t bytes);
void *__real__Znwj(size_t bytes);
void *__real__Znaj(size_t bytes);

static void *take_aligned(FIRST size_t align, size_t bytes, const void *caller)
{
    uint32_t whole = 0;
    void *block = NULL;
    if (align <= HIGHWATER_OWNED_ALIGN) {
        return take(PASS bytes, caller);
    }
    if ((align & (align - 1)) == 0 && align <= HIGHWATER_OWNER_SIZE) {
        whole = highwater_owned_whole((uint32_t)bytes, (uint32_t)align);
    }
    if (whole != 0) {
        ENTER_LIBRARY();
        block = REAL(memalign)(PASS align, whole);
        LEAVE_LIBRARY();
    }
    return highwater_on_owned_aligned_alloc(HEAP, block, (uint32_t)bytes, (uint32_t)align, caller);
}

CALLED void *WRAP(memalign)(FIRST size_t align, size_t bytes)
{
    return INSIDE ? REAL(memalign)(PASS align, bytes) : take_aligned(PASS align, bytes, HIGHWATER_CALLER());
}

size_t __wrap__malloc_usable_size_r(struct _reent *reent, void *part)
{
    return INSIDE ? __real__malloc_usable_size_r(reent, part) : highwater_owned_size(part);
}

/* The outer names: on a Cortex-M0 the library's malloc returns to itself, and would be the caller. */
CALLED void *__wrap_malloc(size_t bytes)
{
    return take(_REENT, bytes, HIGHWATER_CALLER());
}

CALLED void *__wrap_calloc(size_t count, size_t bytes)
{
    return take_zeroed(_REENT, count, bytes, HIGHWATER_CALLER());
}

CALLED void *__wrap_realloc(void *part, size_t bytes)
{
    return take_again(_REENT, part, bytes, HIGHWATER_CALLER());
}

CALLED void *__wrap_memalign(size_t align, size_t bytes)
{
    return take_aligned(_REENT, align, bytes, HIGHWATER_CALLER());
}

CALLED void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    return take_aligned(_REENT, align, bytes, HIGHWATER_CALLER());
}

/* C++: operator new and operator new[]. Where there is no room, the library's own call handlers and throw; the failure is
 * counted there. */
static void *take_object(size_t bytes, const void *caller)
{
    void *block = obtain(_REENT, bytes != 0 ? bytes : 1);
    return block != NULL ? highwater_on_owned_alloc(HEAP, block, (uint32_t)bytes, caller) : NULL;
}

CALLED void *__wrap__Znwj(size_t bytes)
{
    void *part = take_object(bytes, HIGHWATER_CALLER());
    return part != NULL ? part : __real__Znwj(bytes);
}

CALLED void *__wrap__Znaj(size_t bytes)
{
    void *part = take_object(bytes, HIGHWATER_CALLER());
    return part != NULL ? part : __real__Znaj(bytes);
}

#else

size_t __wrap_malloc_usable_size(void *part);

size_t __wrap_malloc_usable_size(void *part)
{
    return highwater_owned_size(part);
}

#endif

#ifdef __cplusplus
}
#endif

#else

typedef int highwater_owners_are_switched_off;

#endif
