// SPDX-License-Identifier: GPL-2.0
/*
 * log.c - lines that programs log: formatted here, rate-limited, and sent to the trace event
 * wring:wring_log.
 *
 * They appear in trace_pipe, where eBPF programs' do, and in perf; never in the kernel log. The
 * format is the guest's, so only conversions of integers are known: nothing in it can make the
 * kernel follow a pointer.
 */
#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/ktime.h>
#include <linux/trace_events.h>

#include "host/functions.h"
#include "host/log.h"
#include "unit/unit.h"

#define CREATE_TRACE_POINTS
#include "host/log_trace.h"

#define MAX_LINE 192
#define MAX_ARGS 3
/* Lines per window and CPU. */
#define WINDOW_NS (100 * NSEC_PER_MSEC)
#define WINDOW_LINES 100u

/* Racy against interrupts on the same CPU, which at worst lets a few more lines through. */
struct wring_log_window {
	u64 start;
	u32 lines;
	u32 suppressed;
};

static DEFINE_PER_CPU(struct wring_log_window, wring_log_windows);

/* Whether one more line may pass; if so, how many were suppressed before it. */
static bool wring_log_permit(u32 *suppressed)
{
	struct wring_log_window *window = raw_cpu_ptr(&wring_log_windows);
	u64 now = ktime_get_mono_fast_ns();

	if (now - window->start >= WINDOW_NS) {
		window->start = now;
		window->lines = 0;
	}
	if (window->lines >= WINDOW_LINES) {
		window->suppressed++;
		return false;
	}
	window->lines++;
	*suppressed = window->suppressed;
	window->suppressed = 0;
	return true;
}

struct wring_log_line {
	char text[MAX_LINE];
	u32 len;
};

static void wring_log_put(struct wring_log_line *line, char c)
{
	if (line->len < sizeof(line->text) - 1)
		line->text[line->len++] = isascii(c) && isprint(c) ? c : ' ';
}

__printf(2, 3) static void wring_log_printf(struct wring_log_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line->len +=
		vscnprintf(line->text + line->len, sizeof(line->text) - line->len, format, args);
	va_end(args);
}

/*
 * One conversion, of which `spec` begins behind the '%': [l[l]] d i u x, or c. Returns how many
 * characters it has, 0 if it is none.
 */
static u32 wring_log_convert(struct wring_log_line *line, const char *spec, u32 len, u64 arg)
{
	u32 longs = 0;

	while (longs < 2 && longs < len && spec[longs] == 'l')
		longs++;
	if (longs == len)
		return 0;
	switch (spec[longs]) {
	case 'd':
	case 'i':
		wring_log_printf(line, "%lld", longs ? (s64)arg : (s32)arg);
		break;
	case 'u':
		wring_log_printf(line, "%llu", longs ? arg : (u32)arg);
		break;
	case 'x':
		wring_log_printf(line, "%llx", longs ? arg : (u32)arg);
		break;
	case 'c':
		if (longs)
			return 0;
		wring_log_put(line, arg);
		break;
	default:
		return 0;
	}
	return longs + 1;
}

static void wring_log_format(struct wring_log_line *line, const char *format, u32 len,
			     const u64 *args)
{
	u32 i = 0, arg = 0, taken;

	while (i < len && line->len < sizeof(line->text) - 1) {
		if (format[i] != '%') {
			wring_log_put(line, format[i++]);
			continue;
		}
		i++;
		taken = arg < MAX_ARGS ? wring_log_convert(line, format + i, len - i, args[arg]) :
					 0;
		if (taken) {
			arg++;
			i += taken;
			continue;
		}
		wring_log_put(line, '%');
		if (i < len && format[i] == '%')
			i++;
	}
	line->text[line->len] = '\0';
}

void wring_host_log(struct wring_vmctx *vmctx, u32 ptr, u32 len, u64 a, u64 b, u64 c)
{
	const struct wring_unit *unit = wring_vmctx_unit(vmctx);
	const char *format = wring_guest_bytes(vmctx, ptr, len);
	const u64 args[MAX_ARGS] = { a, b, c };
	struct wring_log_line line;
	u32 suppressed;

	if (!format || !trace_wring_log_enabled() || !wring_log_permit(&suppressed))
		return;
	line.len = 0;
	if (suppressed)
		wring_log_printf(&line, "(%u lines suppressed) ", suppressed);
	wring_log_format(&line, format, len, args);
	trace_wring_log(unit->id, unit->name, line.text);
}

/*
 * As for eBPF's, no one should have to find the switch first. Switched on by the first program that logs, because it
 * makes the kernel record command lines at every context switch. Without tracefs there is nobody to read.
 */
void wring_log_enable(void)
{
	static atomic_t enabled = ATOMIC_INIT(0);

	if (!atomic_xchg(&enabled, 1) && trace_set_clr_event("wring", "wring_log", 1))
		pr_warn("trace event wring:wring_log cannot be enabled: program logs are lost\n");
}
