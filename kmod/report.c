// SPDX-License-Identifier: GPL-2.0
/*
 * report.c - what a failed command tells its caller.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "report.h"

#define NAME_SHOWN 64

bool wring_text_is(struct wring_str str, const char *text)
{
	return strlen(text) == str.len && !memcmp(str.data, text, str.len);
}

void wring_text_printable(char *dst, size_t size, const char *src, size_t len)
{
	size_t i, n = min(len, size - 1);

	for (i = 0; i < n; i++)
		dst[i] = isascii(src[i]) && isprint(src[i]) ? src[i] : '?';
	dst[n] = '\0';
	if (len > n)
		memcpy(dst + n - 3, "...", 3);
}

static int wring_report_fill(struct wring_report *report, int err, enum wring_error_kind kind,
			     u32 offset, const char *fmt, va_list args)
{
	report->info.kind = kind;
	report->info.func = WRING_NO_INDEX;
	report->info.offset = offset;
	report->info.trap = 0;
	vsnprintf(report->info.message, sizeof(report->info.message), fmt, args);
	return err;
}

int wring_report_set(struct wring_report *report, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	wring_report_fill(report, err, err == -ENOMEM ? WRING_ERROR_NOMEM : WRING_ERROR_REQUEST,
			  WRING_NO_INDEX, fmt, args);
	va_end(args);
	return err;
}

int wring_report_at(struct wring_report *report, int err, enum wring_error_kind kind, u32 offset,
		    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	wring_report_fill(report, err, kind, offset, fmt, args);
	va_end(args);
	return err;
}

static int wring_engine_errno(int err)
{
	switch (-err) {
	case WRING_ERR_NOMEM: return -ENOMEM;
	case WRING_ERR_MALFORMED: return -ENOEXEC;
	case WRING_ERR_INVALID: return -EINVAL;
	case WRING_ERR_UNSUPPORTED: return -EOPNOTSUPP;
	case WRING_ERR_LIMIT: return -EFBIG;
	case WRING_ERR_LINK: return -ENOLINK;
	case WRING_ERR_TRAP: return -ECANCELED;
	case WRING_ERR_INTERRUPTED: return -EINTR;
	case WRING_ERR_INTERNAL:
	default: return -EIO;
	}
}

/* Appends a function's name to the message. */
static void wring_report_name(struct wring_report *report, const char *name)
{
	size_t used = strlen(report->info.message);

	snprintf(report->info.message + used, sizeof(report->info.message) - used, " (in %s)",
		 name);
}

/* Likewise, if the function has one. */
static void wring_report_function(struct wring_report *report, const struct wring_module *module)
{
	char shown[NAME_SHOWN];
	struct wring_str name;

	if (!module || report->info.func == WRING_NO_INDEX)
		return;
	name = wring_module_function_name(module, report->info.func);
	if (!name.len)
		return;
	wring_text_printable(shown, sizeof(shown), name.data, name.len);
	wring_report_name(report, shown);
}

int wring_report_engine(struct wring_report *report, int err, const struct wring_error *error,
			const struct wring_module *module)
{
	BUILD_BUG_ON((int)WRING_ERROR_INTERRUPTED != (int)WRING_ERR_INTERRUPTED);
	/* The command's own kind of error was there first. */
	report->info.kind = err == -WRING_ERR_INTERNAL ? WRING_ERROR_INTERNAL : -err;
	report->info.func = error->func;
	report->info.offset = error->offset;
	report->info.trap = 0;
	wring_text_printable(report->info.message, sizeof(report->info.message), error->message,
			     strnlen(error->message, sizeof(error->message)));
	if (error->function[0])
		wring_report_name(report, error->function);
	else
		wring_report_function(report, module);
	return wring_engine_errno(err);
}

int wring_report_internal(struct wring_report *report, const struct wring_extern_desc *desc)
{
	if (desc)
		return wring_report_at(report, -EIO, WRING_ERROR_INTERNAL, WRING_NO_INDEX,
				       "internal error: %.*s", (int)desc->name.len,
				       desc->name.data);
	return wring_report_at(report, -EIO, WRING_ERROR_INTERNAL, WRING_NO_INDEX,
			       "internal error: see the kernel's log");
}

void wring_report_trap(struct wring_report *report, const struct wring_vmctx *vmctx, u32 reason,
		       const struct wring_module *module)
{
	const struct wring_trap_frame *frame = vmctx->trap_frame_count ? &vmctx->trap_frames[0] :
									 NULL;

	report->info.kind = WRING_ERROR_TRAP;
	report->info.trap = reason;
	report->info.func = frame ? frame->func : WRING_NO_INDEX;
	report->info.offset = frame ? frame->offset : WRING_NO_INDEX;
	strscpy(report->info.message, wring_trap_text(reason), sizeof(report->info.message));
	wring_report_function(report, module);
}
