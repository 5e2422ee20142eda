/* SPDX-License-Identifier: GPL-2.0 */
/*
 * log_trace.h - the trace event that carries what programs log: events/wring/wring_log of tracefs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wring

#if !defined(WRING_LOG_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define WRING_LOG_TRACE_H

#include <linux/tracepoint.h>

#include "os/compat.h"

TRACE_EVENT(wring_log,
	TP_PROTO(u32 id, const char *name, const char *text),
	TP_ARGS(id, name, text),
	TP_STRUCT__entry(
		__field(u32, id)
		__string(name, name)
		__string(text, text)
	),
	TP_fast_assign(
		__entry->id = id;
		WRING_ASSIGN_STR(name, name);
		WRING_ASSIGN_STR(text, text);
	),
	TP_printk("%u %s: %s", __entry->id, __get_str(name), __get_str(text))
);

#endif /* WRING_LOG_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH host
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE log_trace
#include <trace/define_trace.h>
