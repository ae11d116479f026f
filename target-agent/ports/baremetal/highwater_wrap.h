/* The names that the linker's --wrap gives to the functions of a heap, as highwater_malloc.c and highwater_owners.c use them:
 * WRAP(malloc) is what the program calls, REAL(malloc) what the library has. */
#ifndef HIGHWATER_WRAP_H
#define HIGHWATER_WRAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef HIGHWATER_WRAP_NEWLIB
struct _reent;
#define WRAP(name) __wrap__##name##_r
#define REAL(name) __real__##name##_r
#define FIRST struct _reent *reent,
#define PASS reent,
size_t _malloc_usable_size_r(struct _reent *reent, void *block);
/* The library's lock of its heap; one thread may take it twice. */
void __malloc_lock(struct _reent *reent);
void __malloc_unlock(struct _reent *reent);
#define LOCK() __malloc_lock(reent)
#define UNLOCK() __malloc_unlock(reent)
#else
#define WRAP(name) __wrap_##name
#define REAL(name) __real_##name
#define FIRST
#define PASS
size_t malloc_usable_size(void *block);
#define LOCK() ((void)0)
#define UNLOCK() ((void)0)
#endif

void *REAL(malloc)(FIRST size_t bytes);
void REAL(free)(FIRST void *block);
void *REAL(calloc)(FIRST size_t count, size_t bytes);
void *REAL(realloc)(FIRST void *block, size_t bytes);
void *WRAP(malloc)(FIRST size_t bytes);
void WRAP(free)(FIRST void *block);
void *WRAP(calloc)(FIRST size_t count, size_t bytes);
void *WRAP(realloc)(FIRST void *block, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
