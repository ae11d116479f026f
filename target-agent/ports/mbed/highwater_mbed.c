/*
 * Mbed OS and Mbed CE: the heap's counters and owners from the memory tracer. Turn on "platform.memory-tracing-enabled", which
 * gives MBED_MEM_TRACING_ENABLED, set HIGHWATER_OWNER_ROWS to the most blocks at once, and call it once:
 *
 *     highwater_mbed_trace();
 *
 * The tracer tells of a block when it is made and of another when it is gone, with its caller, one at a time: each has a row
 * of a table while it lives.
 */
#include "highwater.h"

#if HIGHWATER_ENABLED && HIGHWATER_OWNER_ROWS

#include <stdarg.h>
#include <stddef.h>

#include "platform/mbed_mem_trace.h"

#define HEAP HIGHWATER_HEAP(0)

#ifdef __cplusplus
extern "C" {
#endif

void highwater_mbed_trace(void);

static void traced(uint8_t op, void *res, void *caller, ...)
{
    va_list arguments;
    va_start(arguments, caller);
    switch (op) {
    case MBED_MEM_TRACE_MALLOC:
        highwater_rows_on_alloc(HEAP, res, (uint32_t)va_arg(arguments, size_t), caller);
        break;
    case MBED_MEM_TRACE_CALLOC: {
        size_t count = va_arg(arguments, size_t);
        size_t bytes = va_arg(arguments, size_t);
        highwater_rows_on_alloc(HEAP, res, (uint32_t)(count * bytes), caller);
        break;
    }
    case MBED_MEM_TRACE_REALLOC: {
        void *old = va_arg(arguments, void *);
        size_t bytes = va_arg(arguments, size_t);
        highwater_rows_on_realloc(HEAP, old, res, (uint32_t)bytes, caller);
        break;
    }
    case MBED_MEM_TRACE_FREE:
        highwater_rows_on_free(HEAP, va_arg(arguments, void *));
        break;
    default:
        break;
    }
    va_end(arguments);
}

void highwater_mbed_trace(void)
{
    (void)highwater_register_rows(0);
    mbed_mem_trace_set_callback(traced);
}

#ifdef __cplusplus
}
#endif

#else

typedef int highwater_mbed_is_switched_off;

#endif
