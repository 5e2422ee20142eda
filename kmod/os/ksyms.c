// SPDX-License-Identifier: GPL-2.0
/*
 * ksyms.c - finds the kernel symbols of ksyms.def through kallsyms_lookup_name, itself found by a kprobe.
 *
 * Functions are reached by a thunk that pushes the address and returns to it. An indirect call would do on most
 * kernels, but one with IBT seals functions whose address it never takes itself: their endbr64 is
 * overwritten at boot, and an indirect call there is a control protection fault.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/unwind_hints.h>

#include "os/ksyms.h"

#define THUNK(name)						\
	asm(".pushsection .text, \"ax\"\n"			\
	    ".p2align 4\n"					\
	    ".globl wring_k_" name "\n"				\
	    ".type wring_k_" name ", @function\n"		\
	    "wring_k_" name ":\n"				\
	    "	pushq wring_ksym_" name "(%rip)\n"		\
	    UNWIND_HINT_FUNC					\
	    ASM_RET						\
	    ".size wring_k_" name ", . - wring_k_" name "\n"	\
	    ".popsection\n")

#define KSYM_FUNC(result, name, params, reason)			\
	extern unsigned long wring_ksym_##name;			\
	unsigned long wring_ksym_##name __ro_after_init;	\
	THUNK(#name);
#define KSYM_DATA(type, name, reason) type *wring_k_##name __ro_after_init;
#define KSYM_DATA_OPTIONAL(type, name, reason) KSYM_DATA(type, name, reason)
#include "os/ksyms.def"
#undef KSYM_FUNC
#undef KSYM_DATA
#undef KSYM_DATA_OPTIONAL

static const struct {
	const char *name;
	const char *reason;
	void *where;		/* the pointer or address to fill in */
	bool optional;
} wring_ksyms[] __initconst = {
#define KSYM_FUNC(result, name, params, reason) { #name, reason, &wring_ksym_##name, false },
#define KSYM_DATA(type, name, reason) { #name, reason, &wring_k_##name, false },
#define KSYM_DATA_OPTIONAL(type, name, reason) { #name, reason, &wring_k_##name, true },
#include "os/ksyms.def"
#undef KSYM_FUNC
#undef KSYM_DATA
#undef KSYM_DATA_OPTIONAL
};

/*
 * A kprobe on a function that begins with endbr64 reports the address behind it, which the thunk can use as well;
 * the lookup then tells its own proper address.
 */
static int __init wring_ksyms_bootstrap(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long probed, found;
	int err;

	err = register_kprobe(&probe);
	if (err) {
		pr_err("cannot find kallsyms_lookup_name with a kprobe: error %d\n", err);
		return err;
	}
	probed = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	wring_ksym_kallsyms_lookup_name = probed;
	found = wring_k_kallsyms_lookup_name("kallsyms_lookup_name");
	if (found != probed && found + 4 != probed) {
		pr_err("kallsyms_lookup_name does not find itself\n");
		return -ENOENT;
	}
	return 0;
}

int __init wring_ksyms_init(void)
{
	unsigned long address;
	int err, i;

	err = wring_ksyms_bootstrap();
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(wring_ksyms); i++) {
		address = wring_k_kallsyms_lookup_name(wring_ksyms[i].name);
		if (!address && !wring_ksyms[i].optional) {
			pr_err("this kernel has no %s (needed for: %s)\n", wring_ksyms[i].name,
			       wring_ksyms[i].reason);
			err = -ENOENT;
		}
		*(unsigned long *)wring_ksyms[i].where = address;
	}
	return err;
}
