// SPDX-License-Identifier: GPL-2.0
/*
 * report.c - what a failed command tells its caller: kind, function, offset and one line of text.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "wring.h"

#define NAME_SHOWN 64

/**
 * wring_text_printable - copy text a guest chose, made safe to print
 * @dst: room for the copy
 * @size: of dst, at least 4
 * @src: the text; need not be NUL-terminated
 * @len: of src
 *
 * Context: any.
 */
void wring_text_printable(char *dst, size_t size, const char *src, size_t len)
{
	size_t i, n = min(len, size - 1);

	for (i = 0; i < n; i++)
		dst[i] = isascii(src[i]) && isprint(src[i]) ? src[i] : '?';
	dst[n] = '\0';
	if (len > n)
		memcpy(dst + n - 3, "...", 3);
}

/**
 * wring_report_set - describe a command's failure
 * @report: filled in, with kind WRING_ERROR_REQUEST (WRING_ERROR_NOMEM for -ENOMEM)
 * @err: negative errno
 * @fmt: the message
 *
 * Context: any.
 * Return: err.
 */
int wring_report_set(struct wring_report *report, int err, const char *fmt, ...)
{
	va_list args;

	report->kind = err == -ENOMEM ? WRING_ERROR_NOMEM : WRING_ERROR_REQUEST;
	report->func = WRING_NO_INDEX;
	report->offset = WRING_NO_INDEX;
	report->trap = 0;
	va_start(args, fmt);
	vsnprintf(report->message, sizeof(report->message), fmt, args);
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
	size_t used = strlen(report->message);

	snprintf(report->message + used, sizeof(report->message) - used, " (in %s)", name);
}

/* Likewise, if the function has one. */
static void wring_report_function(struct wring_report *report, const struct wring_module *module)
{
	char shown[NAME_SHOWN];
	struct wring_str name;

	if (!module || report->func == WRING_NO_INDEX)
		return;
	name = wring_module_function_name(module, report->func);
	if (!name.len)
		return;
	wring_text_printable(shown, sizeof(shown), name.data, name.len);
	wring_report_name(report, shown);
}

/**
 * wring_report_engine - describe a failure of the engine
 * @report: filled in
 * @err: negative enum wring_err
 * @error: the engine's description
 * @module: for the function's name, or NULL
 *
 * Context: any that @module's names may be read in.
 * Return: negative errno.
 */
int wring_report_engine(struct wring_report *report, int err, const struct wring_error *error,
			const struct wring_module *module)
{
	BUILD_BUG_ON((int)WRING_ERROR_INTERRUPTED != (int)WRING_ERR_INTERRUPTED);
	/* The command's own kind of error was there first. */
	report->kind = err == -WRING_ERR_INTERNAL ? WRING_ERROR_INTERNAL : -err;
	report->func = error->func;
	report->offset = error->offset;
	report->trap = 0;
	wring_text_printable(report->message, sizeof(report->message), error->message,
			     strnlen(error->message, sizeof(error->message)));
	if (error->function[0])
		wring_report_name(report, error->function);
	else
		wring_report_function(report, module);
	return wring_engine_errno(err);
}

/**
 * wring_report_internal - describe a fault of the engine that came without an error description
 * @report: filled in
 * @desc: what the engine says instead, or NULL
 *
 * Context: any.
 * Return: -EIO.
 */
int wring_report_internal(struct wring_report *report, const struct wring_extern_desc *desc)
{
	if (desc)
		wring_report_set(report, -EIO, "internal error: %.*s", (int)desc->name.len,
				 desc->name.data);
	else
		wring_report_set(report, -EIO, "internal error: see the kernel's log");
	report->kind = WRING_ERROR_INTERNAL;
	return -EIO;
}

/**
 * wring_report_trap - describe a trap
 * @report: filled in
 * @vmctx: of the instance the host entered; its trap record is read
 * @reason: enum wring_trap_reason
 * @module: for function names, or NULL
 *
 * Context: as long as the vmctx runs nothing else.
 */
void wring_report_trap(struct wring_report *report, const struct wring_vmctx *vmctx, u32 reason,
		       const struct wring_module *module)
{
	const struct wring_trap_frame *frame = vmctx->trap_frame_count ? &vmctx->trap_frames[0] :
									 NULL;

	report->kind = WRING_ERROR_TRAP;
	report->trap = reason;
	report->func = frame ? frame->func : WRING_NO_INDEX;
	report->offset = frame ? frame->offset : WRING_NO_INDEX;
	strscpy(report->message, wring_trap_text(reason), sizeof(report->message));
	wring_report_function(report, module);
}
