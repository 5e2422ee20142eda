// SPDX-License-Identifier: GPL-2.0
// One kernel as wasm2c wrote it, behind the same function as the others. KERNEL is its name, SOURCE the C file.
#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c) PASTE_(a, b, c)

#include SOURCE

unsigned long long PASTE(wasm2c_, KERNEL, )(unsigned n);

unsigned long long PASTE(wasm2c_, KERNEL, )(unsigned n)
{
	static PASTE(Z_, KERNEL, _instance_t) instance;
	static int is_ready;

	if (!is_ready) {
		wasm_rt_init();
		PASTE(Z_, KERNEL, _init_module)();
		PASTE(Z_, KERNEL, _instantiate)(&instance);
		is_ready = 1;
	}
	return PASTE(Z_, KERNEL, Z_run)(&instance, n);
}
