// SPDX-License-Identifier: GPL-2.0
/*
 * code_mem.c - executable memory: places compiled modules and describes them to the kernel as eBPF text.
 *
 * Each image is presented as the text of a struct bpf_prog that exists for nothing else: its kallsyms entry names
 * the code in /proc/kallsyms, perf and backtraces, and leads the page fault handler (search_bpf_extables) to the
 * exception table that turns a guest's wild access into a trap. The table lies in the pages behind the code, because
 * its fields are 32-bit distances, and is not executable.
 */
#include <linux/bpf.h>
#include <linux/extable.h>
#include <linux/filter.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <asm/extable.h>

#include "core/engine.h"
#include "core/platform.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/ksyms.h"
#include "os/os.h"
#include "report.h"

#define INT3 0xcc
#define IMAGE_ALIGN 16
#define FILL_STEP (1u << 20)
/* The image lies at a random place among at least so many bytes more than it needs. */
#define PLACEMENT_SLACK (PAGE_SIZE / 2)

/* A piece of executable memory. */
struct wring_exec {
	u8 *base;
	u32 bytes;			/* whole pages */
	struct obj_cgroup *owner;	/* who is charged for them */
};

struct wring_text {
	struct wring_exec exec;		/* the code and the exception table */
	u32 code_bytes;			/* whole pages, executable */
	u8 *image;
	u32 image_bytes;
	struct bpf_prog *prog;
	struct rcu_work free_work;
};

static atomic64_t wring_text_in_use = ATOMIC64_INIT(0);

/* ---- executable memory ---- */

/*
 * net.core.bpf_jit_limit holds for everybody, although the kernel lets those with CAP_BPF pass: there is little of this
 * memory, and how much of it code may take is for the administrator to say.
 */
static int wring_exec_limit(u32 bytes)
{
	if (wring_k_bpf_jit_charge_modmem(bytes))
		return -EPERM;
	if (atomic_long_read(wring_k_bpf_jit_current) <= READ_ONCE(*wring_k_bpf_jit_limit))
		return 0;
	wring_k_bpf_jit_uncharge_modmem(bytes);
	return -EPERM;
}

/* Writable, not executable yet, charged to the caller. 0; -EPERM: over the limit; -ENOMEM. */
static int wring_exec_alloc(struct wring_exec *exec, u32 bytes)
{
	int err;

	err = wring_exec_limit(bytes);
	if (err)
		return err;
	exec->bytes = bytes;
	exec->owner = wring_charge_owner();
	err = wring_charge(exec->owner, bytes);
	if (err)
		goto err_limit;
	exec->base = wring_k_bpf_jit_alloc_exec(bytes);
	if (!exec->base) {
		err = -ENOMEM;
		goto err_charge;
	}
	atomic64_add(bytes, &wring_text_in_use);
	return 0;

err_charge:
	wring_uncharge(exec->owner, bytes);
err_limit:
	wring_charge_put(exec->owner);
	wring_k_bpf_jit_uncharge_modmem(bytes);
	return err;
}

static void wring_exec_free(struct wring_exec *exec)
{
	wring_k_bpf_jit_free_exec(exec->base);
	wring_uncharge(exec->owner, exec->bytes);
	wring_charge_put(exec->owner);
	wring_k_bpf_jit_uncharge_modmem(exec->bytes);
	atomic64_sub(exec->bytes, &wring_text_in_use);
}

/* ---- code of modules ---- */

static void wring_text_free_work(struct work_struct *work)
{
	struct wring_text *text = container_of(to_rcu_work(work), struct wring_text, free_work);

	wring_exec_free(&text->exec);
	wring_k___bpf_prog_free(text->prog);
	kfree(text);
}

/* For wring_code_on_release: nothing runs the code any more, but the kernel may be reading its description. */
static void wring_text_release(void *arg)
{
	struct wring_text *text = arg;

	wring_k_bpf_prog_kallsyms_del(text->prog);
	INIT_RCU_WORK(&text->free_work, wring_text_free_work);
	queue_rcu_work(wring_wq, &text->free_work);
}

static int wring_text_map(struct wring_text *text, u32 image_bytes, u32 fault_count)
{
	u64 table = (u64)fault_count * sizeof(struct exception_table_entry);
	u32 done, step;
	u64 total;
	int err;

	text->image_bytes = image_bytes;
	text->code_bytes = round_up(image_bytes + PLACEMENT_SLACK, PAGE_SIZE);
	total = text->code_bytes + round_up(table, PAGE_SIZE);
	if (total > S32_MAX)
		return -EFBIG;
	err = wring_exec_alloc(&text->exec, total);
	if (err)
		return err;
	for (done = 0; done < text->code_bytes; done += step) {
		step = min_t(u32, text->code_bytes - done, FILL_STEP);
		memset(text->exec.base + done, INT3, step);
		cond_resched();
	}
	text->image = text->exec.base +
		      round_down(get_random_u32() % (text->code_bytes - image_bytes), IMAGE_ALIGN);
	return 0;
}

/* Entries are ascending by pc, as the search wants them; instruction and fixup are distances from their fields. */
static int wring_text_fill_extable(struct wring_text *text, const struct wring_code *code,
				   u32 count)
{
	struct exception_table_entry *entry = (void *)(text->exec.base + text->code_bytes);
	u32 i, pc, fixup;

	text->prog->aux->extable = entry;
	text->prog->aux->num_exentries = count;
	for (i = 0; i < count; i++, entry++) {
		cond_resched();
		if (wring_code_fault(code, i, &pc, &fixup))
			return -EIO;
		entry->insn = text->image + pc - (u8 *)&entry->insn;
		entry->fixup = text->image + fixup - (u8 *)&entry->fixup;
		entry->data = EX_TYPE_DEFAULT;
	}
	return 0;
}

static struct bpf_prog *wring_text_prog_new(const struct wring_text *text, const char *name,
					    const u8 tag[8])
{
	struct bpf_prog *prog =
		bpf_prog_alloc(bpf_prog_size(0), __GFP_RETRY_MAYFAIL | __GFP_NOWARN);

	if (!prog)
		return NULL;
	/* Any type but UNSPEC, which stands for classic BPF and gets no symbol. */
	prog->type = BPF_PROG_TYPE_SYSCALL;
	prog->bpf_func = (void *)text->image;
	prog->jited = 1;
	prog->jited_len = text->image_bytes;
	memcpy(prog->tag, tag, sizeof(prog->tag));
	strscpy(prog->aux->name, name, sizeof(prog->aux->name));
	return prog;
}

static int wring_text_protect(struct wring_text *text)
{
	unsigned long base = (unsigned long)text->exec.base;
	int err;

	err = wring_k_set_memory_ro(base, text->exec.bytes >> PAGE_SHIFT);
	if (err)
		return err;
	return wring_k_set_memory_x(base, text->code_bytes >> PAGE_SHIFT);
}

int wring_text_place(struct wring_code *code, const char *name, const u8 tag[8],
		     struct wring_text **out, struct wring_report *report)
{
	u64 image_bytes = wring_code_size(code);
	u32 fault_count = wring_code_fault_count(code);
	struct wring_text *text;
	struct wring_error error;
	int err;

	if (image_bytes > WRING_MAX_CODE_BYTES)
		return wring_report_set(report, -EFBIG,
					"machine code of %llu bytes exceeds the limit of %u",
					image_bytes, WRING_MAX_CODE_BYTES);
	text = kzalloc(sizeof(*text), WRING_GFP);
	if (!text)
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = wring_text_map(text, image_bytes, fault_count);
	if (err) {
		wring_report_set(report, err, "no executable memory for %llu bytes of code%s",
				 image_bytes,
				 err == -EPERM ? " within net.core.bpf_jit_limit" : "");
		goto err_free;
	}
	err = wring_code_place(code, text->image, (unsigned long)text->image, &error);
	if (err) {
		err = wring_report_engine(report, err, &error, NULL);
		goto err_unmap;
	}
	text->prog = wring_text_prog_new(text, name, tag);
	if (!text->prog) {
		err = wring_report_set(report, -ENOMEM, "out of memory");
		goto err_unmap;
	}
	err = wring_text_fill_extable(text, code, fault_count);
	if (err) {
		err = wring_report_internal(report, NULL);
		goto err_prog;
	}
	err = wring_text_protect(text);
	if (err) {
		wring_report_set(report, err, "cannot make code executable: error %d", err);
		goto err_prog;
	}
	/* Says nothing when it declines, and without its entry faults would be oopses. */
	wring_k_bpf_prog_kallsyms_add(text->prog);
	if (list_empty(&text->prog->aux->ksym.lnode)) {
		err = wring_report_set(report, -EPERM,
				       "the kernel does not list the code in kallsyms");
		goto err_prog;
	}
	wring_code_on_release(code, wring_text_release, text);
	*out = text;
	return 0;

err_prog:
	wring_k___bpf_prog_free(text->prog);
err_unmap:
	wring_exec_free(&text->exec);
err_free:
	kfree(text);
	return err;
}

void *wring_text_address(const struct wring_text *text)
{
	return text->image;
}

size_t wring_text_bytes(const struct wring_text *text)
{
	return text->image_bytes;
}

u64 wring_text_total(void)
{
	return atomic64_read(&wring_text_in_use);
}

/* ---- bridges between linked instances: a page each, as they are few and must be protected one by one ---- */

/* Struct wring_exec by page number. */
static DEFINE_XARRAY(wring_bridges);

static unsigned long wring_bridge_key(const void *code)
{
	return (unsigned long)code >> PAGE_SHIFT;
}

void *wring_os_code_alloc(wring_size bytes)
{
	struct wring_exec *exec;

	if (bytes > WRING_MAX_CODE_BYTES)
		return NULL;
	exec = kzalloc(sizeof(*exec), WRING_GFP);
	if (!exec)
		return NULL;
	if (wring_exec_alloc(exec, PAGE_ALIGN(bytes)))
		goto err_free;
	if (xa_err(xa_store(&wring_bridges, wring_bridge_key(exec->base), exec, WRING_GFP)))
		goto err_exec;
	memset(exec->base, 0, exec->bytes);
	return exec->base;

err_exec:
	wring_exec_free(exec);
err_free:
	kfree(exec);
	return NULL;
}

int wring_os_code_publish(void *code, wring_size bytes)
{
	int pages = PAGE_ALIGN(bytes) >> PAGE_SHIFT;

	if (wring_k_set_memory_ro((unsigned long)code, pages) ||
	    wring_k_set_memory_x((unsigned long)code, pages))
		return -1;
	return 0;
}

void wring_os_code_free(void *code, wring_size bytes)
{
	struct wring_exec *exec = xa_erase(&wring_bridges, wring_bridge_key(code));

	if (WARN_ON_ONCE(!exec || exec->bytes != PAGE_ALIGN(bytes)))
		return;
	wring_exec_free(exec);
	kfree(exec);
}
