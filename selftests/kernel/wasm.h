/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wasm.h - builds small WebAssembly binaries for tests, section by section in the format's order.
 *
 *	struct wasm w = WASM_INIT;
 *	wasm_type(&w, "i", "i");			types, from letters i l v
 *	wasm_import(&w, "wring", "ktime", 0);		function imports (type index)
 *	wasm_memory(&w, 1, 2);				at most one memory
 *	wasm_function(&w, 0, "locals", code, size);	body without locals and end; declares `locals`, letters i l v
 *	wasm_export(&w, "f", 0);			function exports by function index
 *	wasm_finish(&w, &size)				the binary, malloc'ed; frees the rest
 *
 * Calls of one kind may come in any order relative to other kinds. Running out of memory ends the program.
 */
#ifndef WRING_SELFTESTS_WASM_H
#define WRING_SELFTESTS_WASM_H

#include <stddef.h>
#include <stdint.h>

struct wasm_section {
	uint8_t *data;
	size_t size, room;
	uint32_t count;
};

/* Section ids of the binary format. */
enum {
	WASM_TYPE = 1,
	WASM_IMPORT,
	WASM_FUNCTION,
	WASM_TABLE,
	WASM_MEMORY,
	WASM_GLOBAL,
	WASM_EXPORT,
	WASM_START,
	WASM_ELEMENT,
	WASM_CODE,
	WASM_DATA,
	WASM_SECTIONS
};

struct wasm {
	struct wasm_section sections[WASM_SECTIONS];
	struct wasm_section names;	/* function names: the custom section `name` */
	uint32_t functions;		/* imported and defined so far */
};
#define WASM_INIT {}

uint32_t wasm_type(struct wasm *w, const char *params, const char *results);
/* Both return the function's index. All imports come before the first function. */
uint32_t wasm_import(struct wasm *w, const char *module, const char *name, uint32_t type);
uint32_t wasm_function(struct wasm *w, uint32_t type, const char *locals, const void *code,
		       size_t size);
/* A function whose body is given as numbers. */
#define WASM_FUNCTION(w, type, locals, ...) ({				\
	const uint8_t wasm_code[] = { __VA_ARGS__ };			\
	wasm_function(w, type, locals, wasm_code, sizeof(wasm_code)); })
/* max == UINT32_MAX: none. */
void wasm_memory(struct wasm *w, uint32_t min, uint32_t max);
void wasm_table(struct wasm *w, uint32_t min, uint32_t max);
void wasm_global_i32(struct wasm *w, int mutable, int32_t value);
void wasm_global_i64(struct wasm *w, int mutable, int64_t value);
/* kind: 0 function, 1 table, 2 memory, 3 global. */
void wasm_export_kind(struct wasm *w, const char *name, uint8_t kind, uint32_t index);
void wasm_export(struct wasm *w, const char *name, uint32_t function);
/* An import that is no function: `type` is its encoding after the kind byte. */
void wasm_import_kind(struct wasm *w, const char *module, const char *name, uint8_t kind,
		      const void *type, size_t size);
void wasm_start(struct wasm *w, uint32_t function);
/* Active segments at a constant offset. */
void wasm_data(struct wasm *w, int32_t offset, const void *bytes, size_t size);
void wasm_elements(struct wasm *w, int32_t offset, const uint32_t *functions, uint32_t count);
/* Names a function; in ascending order of indices. */
void wasm_name(struct wasm *w, uint32_t function, const char *name);
uint8_t *wasm_finish(struct wasm *w, size_t *size);

/* A body that is made piece by piece; `size` of `bytes` are there. Running out of room ends the program. */
struct wasm_body {
	uint8_t bytes[65536];
	size_t size;
};
void wasm_put(struct wasm_body *body, const void *bytes, size_t size);
#define WASM_PUT(body, ...) ({					\
	const uint8_t wasm_bytes[] = { __VA_ARGS__ };		\
	wasm_put(body, wasm_bytes, sizeof(wasm_bytes)); })

/* Opcodes used in tests. */
enum {
	OP_UNREACHABLE = 0x00,
	OP_NOP = 0x01,
	OP_BLOCK = 0x02,
	OP_LOOP = 0x03,
	OP_IF = 0x04,
	OP_ELSE = 0x05,
	OP_END = 0x0b,
	OP_BR = 0x0c,
	OP_BR_IF = 0x0d,
	OP_RETURN = 0x0f,
	OP_CALL = 0x10,
	OP_CALL_INDIRECT = 0x11,
	OP_RETURN_CALL = 0x12,
	OP_DROP = 0x1a,
	OP_LOCAL_GET = 0x20,
	OP_LOCAL_SET = 0x21,
	OP_LOCAL_TEE = 0x22,
	OP_GLOBAL_GET = 0x23,
	OP_GLOBAL_SET = 0x24,
	OP_I32_LOAD = 0x28,
	OP_I64_LOAD = 0x29,
	OP_I32_LOAD8_U = 0x2d,
	OP_I32_STORE = 0x36,
	OP_I64_STORE = 0x37,
	OP_MEMORY_SIZE = 0x3f,
	OP_MEMORY_GROW = 0x40,
	OP_I32_CONST = 0x41,
	OP_I64_CONST = 0x42,
	OP_I32_EQZ = 0x45,
	OP_I64_EQZ = 0x50,
	OP_I32_ADD = 0x6a,
	OP_I32_SUB = 0x6b,
	OP_I32_MUL = 0x6c,
	OP_I32_DIV_S = 0x6d,
	OP_I32_AND = 0x71,
	OP_I64_ADD = 0x7c,
	OP_I64_MUL = 0x7e,
	OP_EMPTY_TYPE = 0x40,
	OP_I32_TYPE = 0x7f,
	OP_I64_TYPE = 0x7e,
	OP_V128_TYPE = 0x7b,
};

#endif
