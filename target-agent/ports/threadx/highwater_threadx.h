/*
 * ThreadX: the last line of tx_user.h (and TX_INCLUDE_USER_DEFINE_FILE for the build).
 *
 *     #include "highwater_threadx.h"
 *
 * Threads register when they are created and go when they are deleted. ThreadX has no hooks in its byte pools: call
 * highwater_on_alloc and highwater_on_free beside tx_byte_allocate and tx_byte_release, or let the host walk the pool.
 */
#ifndef HIGHWATER_THREADX_H
#define HIGHWATER_THREADX_H

/* Assembly includes tx_user.h too. */
#ifndef __ASSEMBLER__

#include "highwater.h"

#if HIGHWATER_ENABLED

/* The byte ThreadX fills stacks with. */
#if !defined(TX_DISABLE_STACK_FILLING) && HIGHWATER_PAINT_WORD != 0xefefefef
#error "build all with -DHIGHWATER_PAINT_WORD=0xefefefefu, or set it in highwater_config.h"
#endif
#ifdef TX_ENABLE_RANDOM_NUMBER_STACK_FILLING
#error "each stack has a fill of its own with TX_ENABLE_RANDOM_NUMBER_STACK_FILLING: highwater cannot tell it from use"
#endif

#if defined(TX_THREAD_USER_EXTENSION) || defined(TX_THREAD_CREATE_INTERNAL_EXTENSION) ||                               \
    defined(TX_THREAD_DELETE_PORT_COMPLETION)
#error "another tool has the thread extensions: call the functions of highwater.h from its hooks instead"
#endif

/* Registers a thread. ThreadX paints all of the stack, before its first frame is made, unless that is switched off. */
static inline highwater_thread_id highwater_threadx_created(const char *name, const void *base, uint32_t bytes,
                                                            uint32_t priority, highwater_function entry)
{
    highwater_thread thread;
    highwater_thread_new(&thread, name, HIGHWATER_THREAD_USER, base, bytes);
    highwater_thread_priority(&thread, (uint8_t)priority);
#ifndef TX_DISABLE_STACK_FILLING
    highwater_thread_painted(&thread);
#endif
    highwater_thread_entry(&thread, entry);
    return highwater_register_thread(&thread);
}

/* A thread keeps its id: 4 bytes of RAM for each. */
#define TX_THREAD_USER_EXTENSION ULONG highwater_id;

/* From tx_thread_create, before the thread is among the others. The stack's size is what ThreadX uses of it: its guard words
 * are left out when TX_ENABLE_STACK_CHECKING is on. */
#define TX_THREAD_CREATE_INTERNAL_EXTENSION(thread)                                                                    \
    (thread)->highwater_id = highwater_threadx_created(                                                                \
        (thread)->tx_thread_name, (thread)->tx_thread_stack_start, (uint32_t)(thread)->tx_thread_stack_size,           \
        (uint32_t)(thread)->tx_thread_priority, (highwater_function)(thread)->tx_thread_entry);

/* From tx_thread_delete. TX_THREAD_DELETE_EXTENSION is the port's own. */
#define TX_THREAD_DELETE_PORT_COMPLETION(thread)                                                                       \
    (void)highwater_retire_thread((highwater_thread_id)(thread)->highwater_id);

#endif
#endif
#endif
