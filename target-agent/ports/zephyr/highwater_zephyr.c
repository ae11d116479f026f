/*
 * Zephyr: threads register by the hooks of user tracing, the system heap is counted by its listener.
 *
 * The kernel fills stacks itself (CONFIG_INIT_STACKS). The lowest word is left out when CONFIG_STACK_SENTINEL keeps its
 * check there.
 */
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/heap_listener.h>

#include "highwater.h"

#ifdef CONFIG_STACK_SENTINEL
#define SENTINEL 4
#else
#define SENTINEL 0
#endif

void sys_trace_thread_create_user(struct k_thread *thread);
void sys_trace_thread_abort_user(struct k_thread *thread);
void sys_trace_thread_priority_set_user(struct k_thread *thread, int priority);
void sys_trace_thread_switched_in_user(void);

/* The lowest address that a thread may use: what it is registered under. */
static const void *lowest(const struct k_thread *thread)
{
    return (const void *)(thread->stack_info.start + SENTINEL);
}

/* The kernel calls this when the thread is set up, and before it can run. Priorities are negative for cooperative threads;
 * the block keeps the low byte. */
void sys_trace_thread_create_user(struct k_thread *thread)
{
    highwater_thread registered;
    /* The kernel's own threads may be set up before the block is: it is made ready by the first of them. */
    static int ready;
    if (!ready) {
        ready = 1;
        (void)highwater_init();
    }
    highwater_thread_new(&registered, k_thread_name_get(thread), HIGHWATER_THREAD_USER, lowest(thread),
                         (uint32_t)(thread->stack_info.size - SENTINEL));
    highwater_thread_priority(&registered, (uint8_t)thread->base.prio);
    highwater_thread_painted(&registered);
    highwater_thread_entry(&registered, (highwater_function)(uintptr_t)thread->entry.pEntry);
    (void)highwater_register_thread(&registered);
}

void sys_trace_thread_abort_user(struct k_thread *thread)
{
    (void)highwater_retire_thread(highwater_find_thread(lowest(thread)));
}

void sys_trace_thread_priority_set_user(struct k_thread *thread, int priority)
{
    highwater_set_priority(highwater_find_thread(lowest(thread)), (uint8_t)priority);
}

#ifdef CONFIG_HIGHWATER_SWITCHES
void sys_trace_thread_switched_in_user(void)
{
    highwater_set_running(highwater_find_thread(lowest(k_current_get())));
}
#endif

#ifdef CONFIG_HIGHWATER_SYSTEM_HEAP
extern struct k_heap _system_heap;

static void allocated(uintptr_t heap, void *block, size_t bytes)
{
    (void)heap;
    (void)block;
    highwater_on_alloc(HIGHWATER_HEAP(0), (uint32_t)bytes);
}

static void freed(uintptr_t heap, void *block, size_t bytes)
{
    (void)heap;
    (void)block;
    highwater_on_free(HIGHWATER_HEAP(0), (uint32_t)bytes);
}

static HEAP_LISTENER_ALLOC_DEFINE(on_alloc, HEAP_ID_FROM_POINTER(&_system_heap.heap), allocated);
static HEAP_LISTENER_FREE_DEFINE(on_free, HEAP_ID_FROM_POINTER(&_system_heap.heap), freed);

static int listen(void)
{
    heap_listener_register(&on_alloc);
    heap_listener_register(&on_free);
    (void)highwater_register_heap(0, "system heap", _system_heap.heap.init_mem, (uint32_t)_system_heap.heap.init_bytes);
    return 0;
}

SYS_INIT(listen, POST_KERNEL, 0);
#endif
