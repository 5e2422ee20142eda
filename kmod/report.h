/* SPDX-License-Identifier: GPL-2.0 */
/*
 * report.h - what a failed command tells its caller: kind, function, offset and one line of text.
 */
#ifndef WRING_REPORT_H
#define WRING_REPORT_H

#include <linux/types.h>

#include "core/engine.h"
#include "uapi/wring.h"

/*
 * Handlers of commands return a negative errno and, where they can say more, fill this in first; an empty report says
 * nothing but the errno.
 */
struct wring_report {
	struct wring_error_info info;
};

/* Fills in a report of kind WRING_ERROR_REQUEST (WRING_ERROR_NOMEM for -ENOMEM) and returns err. Any context. */
__printf(3, 4) int wring_report_set(struct wring_report *report, int err, const char *fmt, ...);
/* The same of another kind, about a place in the module: a byte offset, or WRING_NO_INDEX. */
__printf(5, 6) int wring_report_at(struct wring_report *report, int err, enum wring_error_kind kind,
				   u32 offset, const char *fmt, ...);
/*
 * Turns the engine's error (a negative enum wring_err and its description) into an errno and a report; `module`, for
 * the function's name, may be NULL.
 */
int wring_report_engine(struct wring_report *report, int err, const struct wring_error *error,
			const struct wring_module *module);
/* The same for -WRING_ERR_INTERNAL of a function that describes imports or exports (NULL: of another). */
int wring_report_internal(struct wring_report *report, const struct wring_extern_desc *desc);
/* Reports a trap: its reason, and where, from the vmctx of the invocation, which runs nothing else meanwhile. */
void wring_report_trap(struct wring_report *report, const struct wring_vmctx *vmctx, u32 reason,
		       const struct wring_module *module);

/* Whether a string of the engine's is this text. Any context. */
bool wring_text_is(struct wring_str str, const char *text);
/*
 * Copies guest-controlled text to dst (of at least 4 bytes) as printable ASCII, NUL-terminated, shortened with "..." if
 * need be. Any context.
 */
void wring_text_printable(char *dst, size_t size, const char *src, size_t len);

#endif /* WRING_REPORT_H */
