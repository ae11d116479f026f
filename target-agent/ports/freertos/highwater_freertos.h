/*
 * FreeRTOS: the last line of FreeRTOSConfig.h.
 *
 *     #include "highwater_freertos.h"
 *
 * Tasks register when they are created and go when they are deleted; the heap of heap_1, 2, 4 or 5 is counted as heap 0;
 * each context switch tells who runs and how deep the other's stack was. The trace macros can have one owner only: it is an
 * error when another tool has defined one before. With HIGHWATER_OWNERS the heap is left to highwater_freertos.c.
 */
#ifndef HIGHWATER_FREERTOS_H
#define HIGHWATER_FREERTOS_H

/* Assembly includes FreeRTOSConfig.h too. */
#if !defined(__ASSEMBLER__) && !defined(__IAR_SYSTEMS_ASM__)

#include "highwater.h"

#if HIGHWATER_ENABLED

/* The byte FreeRTOS fills stacks with. */
#if HIGHWATER_PAINT_WORD != 0xa5a5a5a5
#error "build all with -DHIGHWATER_PAINT_WORD=0xa5a5a5a5u, or set it in highwater_config.h"
#endif

/* 0: context switches cost nothing, and the host sees paint only. */
#ifndef HIGHWATER_FREERTOS_SWITCHES
#define HIGHWATER_FREERTOS_SWITCHES 1
#endif

/* Where a stack ends is kept in the task: 4 bytes of RAM for each. */
#ifndef configRECORD_STACK_HIGH_ADDRESS
#define configRECORD_STACK_HIGH_ADDRESS 1
#elif configRECORD_STACK_HIGH_ADDRESS != 1
#error "highwater needs configRECORD_STACK_HIGH_ADDRESS 1"
#endif

/* Makes the kernel fill stacks. */
#ifndef INCLUDE_uxTaskGetStackHighWaterMark
#define INCLUDE_uxTaskGetStackHighWaterMark 1
#elif INCLUDE_uxTaskGetStackHighWaterMark != 1
#error "highwater needs INCLUDE_uxTaskGetStackHighWaterMark 1, so that FreeRTOS fills stacks"
#endif

/* A task keeps its id in one of its pointers: 4 bytes of RAM for each task. The kernel clears them. */
#ifndef configNUM_THREAD_LOCAL_STORAGE_POINTERS
#define configNUM_THREAD_LOCAL_STORAGE_POINTERS 1
#endif
#ifndef HIGHWATER_FREERTOS_POINTER
#define HIGHWATER_FREERTOS_POINTER (configNUM_THREAD_LOCAL_STORAGE_POINTERS - 1)
#endif

#if defined(traceTASK_CREATE) || defined(traceTASK_DELETE) || defined(traceTASK_PRIORITY_SET) ||                        \
    (!HIGHWATER_OWNERS && (defined(traceMALLOC) || defined(traceFREE)))
#error "another tool has the trace macros: call the functions of highwater.h from its hooks instead"
#endif

/*
 * Registers a task: its stack from `base` to the last word that the kernel uses, `last`. The name is read where it is, in
 * the task. A stack whose size is no multiple of 8 bytes comes out 4 bytes short, since FreeRTOS rounds its end down.
 */
static inline highwater_thread_id highwater_freertos_created(const char *name, enum highwater_thread_kind kind,
                                                             const uint32_t *base, const uint32_t *last,
                                                             uint32_t priority)
{
    highwater_thread thread;
    highwater_thread_new(&thread, name, kind, base, (uint32_t)((uintptr_t)(last + 1) - (uintptr_t)base));
    highwater_thread_priority(&thread, (uint8_t)priority);
    highwater_thread_painted(&thread);
    return highwater_register_thread(&thread);
}

/* The id that a task keeps. */
#define HIGHWATER_FREERTOS_ID(task) ((task)->pvThreadLocalStoragePointers[HIGHWATER_FREERTOS_POINTER])

/* The kernel's own tasks are known by their names; tasks.c, where this is used, knows strcmp and the idle task's. */
#ifndef configTIMER_SERVICE_TASK_NAME
#define configTIMER_SERVICE_TASK_NAME "Tmr Svc"
#endif
#define HIGHWATER_FREERTOS_KIND(name)                                                                                  \
    (strcmp(name, configIDLE_TASK_NAME) == 0              ? HIGHWATER_THREAD_IDLE                                      \
     : strcmp(name, configTIMER_SERVICE_TASK_NAME) == 0 ? HIGHWATER_THREAD_TIMER                                       \
                                                          : HIGHWATER_THREAD_USER)

#define traceTASK_CREATE(task)                                                                                         \
    (HIGHWATER_FREERTOS_ID(task) = (void *)highwater_freertos_created(                                                 \
         (task)->pcTaskName, HIGHWATER_FREERTOS_KIND((task)->pcTaskName), (const uint32_t *)(task)->pxStack,           \
         (const uint32_t *)(task)->pxEndOfStack, (uint32_t)(task)->uxPriority))

#define traceTASK_DELETE(task) ((void)highwater_retire_thread((highwater_thread_id)HIGHWATER_FREERTOS_ID(task)))

#define traceTASK_PRIORITY_SET(task, priority)                                                                         \
    highwater_set_priority((highwater_thread_id)HIGHWATER_FREERTOS_ID(task), (uint8_t)(priority))

#if HIGHWATER_FREERTOS_SWITCHES
#if defined(traceTASK_SWITCHED_IN) || defined(traceTASK_SWITCHED_OUT)
#error "another tool has the switch macros: set HIGHWATER_FREERTOS_SWITCHES to 0"
#endif
#define traceTASK_SWITCHED_OUT()                                                                                       \
    highwater_on_switch((highwater_thread_id)HIGHWATER_FREERTOS_ID(pxCurrentTCB),                                      \
                        (const void *)(uintptr_t)pxCurrentTCB->pxTopOfStack)
#define traceTASK_SWITCHED_IN() highwater_set_running((highwater_thread_id)HIGHWATER_FREERTOS_ID(pxCurrentTCB))
#endif

/* heap_3 does not tell how large a block is that it frees: define HIGHWATER_FREERTOS_HEAP_3, and count the C library's heap
 * with ports/baremetal/highwater_malloc.c. */
#if !defined(HIGHWATER_FREERTOS_HEAP_3) && !HIGHWATER_OWNERS
#define traceMALLOC(block, bytes)                                                                                      \
    ((block) != NULL ? highwater_on_alloc(HIGHWATER_HEAP(0), (uint32_t)(bytes))                                        \
                     : highwater_on_failure_of(HIGHWATER_HEAP(0), (uint32_t)(bytes)))
#define traceFREE(block, bytes) highwater_on_free(HIGHWATER_HEAP(0), (uint32_t)(bytes))
#endif

#endif
#endif
#endif
