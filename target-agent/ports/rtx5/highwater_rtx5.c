/*
 * RTX5 (CMSIS-RTX, Keil, Mbed OS): compile this file with the kernel's headers, nothing else changes.
 *
 * Threads register when they are created and go when they are destroyed, by the kernel's event hooks, which are weak
 * functions: EVR_RTX_DISABLE must not be defined, and Event Recorder must not have them too.
 *
 * The kernel's own fill is optional, and Mbed OS fills stacks with another word: stacks are painted here. The lowest word
 * of a stack is the kernel's check and is left out.
 */
#include "highwater.h"

#if HIGHWATER_ENABLED

#include "rtx_os.h"

/* 0: context switches cost nothing, and the host does not know who runs. */
#ifndef HIGHWATER_RTX5_SWITCHES
#define HIGHWATER_RTX5_SWITCHES 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

void EvrRtxThreadCreated(osThreadId_t thread_id, uint32_t thread_addr, const char *name);
void EvrRtxThreadDestroyed(osThreadId_t thread_id);
void EvrRtxThreadSwitched(osThreadId_t thread_id);

/* The lowest word that a thread may use. */
static uint32_t *lowest(const osRtxThread_t *thread)
{
    return (uint32_t *)thread->stack_mem + 1;
}

/* The kernel calls this when the thread's first frame is made, and before the thread can run. */
void EvrRtxThreadCreated(osThreadId_t thread_id, uint32_t thread_addr, const char *name)
{
    const osRtxThread_t *thread = (const osRtxThread_t *)thread_id;
    enum highwater_thread_kind kind = HIGHWATER_THREAD_USER;
    highwater_thread registered;
    if (thread_addr == (uint32_t)(uintptr_t)osRtxIdleThread) {
        kind = HIGHWATER_THREAD_IDLE;
    }
    highwater_paint(lowest(thread), thread->sp - (uint32_t)(uintptr_t)lowest(thread));
    highwater_thread_new(&registered, name, kind, lowest(thread), thread->stack_size - 4);
    highwater_thread_priority(&registered, (uint8_t)thread->priority);
    highwater_thread_painted(&registered);
    highwater_thread_entry(&registered, (highwater_function)(uintptr_t)thread_addr);
    (void)highwater_register_thread(&registered);
}

/* The kernel calls this when it has just given the thread's memory back; nothing has used it since. */
void EvrRtxThreadDestroyed(osThreadId_t thread_id)
{
    (void)highwater_retire_thread(highwater_find_thread(lowest((const osRtxThread_t *)thread_id)));
}

#if HIGHWATER_RTX5_SWITCHES
void EvrRtxThreadSwitched(osThreadId_t thread_id)
{
    highwater_set_running(highwater_find_thread(lowest((const osRtxThread_t *)thread_id)));
}
#endif

#ifdef __cplusplus
}
#endif

#else

typedef int highwater_rtx5_is_switched_off;

#endif
