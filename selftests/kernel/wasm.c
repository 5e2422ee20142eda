// SPDX-License-Identifier: GPL-2.0
/*
 * wasm.c - the builder of small WebAssembly binaries, see wasm.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasm.h"

static void put(struct wasm_section *s, const void *bytes, size_t size)
{
	if (s->size + size > s->room) {
		s->room = (s->size + size) * 2;
		s->data = realloc(s->data, s->room);
		if (!s->data) {
			perror("realloc");
			exit(1);
		}
	}
	if (size)
		memcpy(s->data + s->size, bytes, size);
	s->size += size;
}

static void put_byte(struct wasm_section *s, uint8_t byte)
{
	put(s, &byte, 1);
}

static void put_u32(struct wasm_section *s, uint32_t value)
{
	while (value >= 0x80) {
		put_byte(s, value | 0x80);
		value >>= 7;
	}
	put_byte(s, value);
}

static void put_s64(struct wasm_section *s, int64_t value)
{
	while (value >= 0x40 || value < -0x40) {
		put_byte(s, value | 0x80);
		value >>= 7;
	}
	put_byte(s, value & 0x7f);
}

static void put_name(struct wasm_section *s, const char *name)
{
	put_u32(s, strlen(name));
	put(s, name, strlen(name));
}

static uint8_t type_code(char letter)
{
	return letter == 'i' ? OP_I32_TYPE : letter == 'v' ? OP_V128_TYPE : OP_I64_TYPE;
}

static void put_types(struct wasm_section *s, const char *letters)
{
	put_u32(s, strlen(letters));
	for (; *letters; letters++)
		put_byte(s, type_code(*letters));
}

static void put_limits(struct wasm_section *s, uint32_t min, uint32_t max)
{
	put_byte(s, max != UINT32_MAX);
	put_u32(s, min);
	if (max != UINT32_MAX)
		put_u32(s, max);
}

uint32_t wasm_type(struct wasm *w, const char *params, const char *results)
{
	struct wasm_section *s = &w->sections[WASM_TYPE];

	put_byte(s, 0x60);
	put_types(s, params);
	put_types(s, results);
	return s->count++;
}

void wasm_import_kind(struct wasm *w, const char *module, const char *name, uint8_t kind,
		      const void *type, size_t size)
{
	struct wasm_section *s = &w->sections[WASM_IMPORT];

	put_name(s, module);
	put_name(s, name);
	put_byte(s, kind);
	put(s, type, size);
	s->count++;
}

uint32_t wasm_import(struct wasm *w, const char *module, const char *name, uint32_t type)
{
	struct wasm_section encoded = {};

	put_u32(&encoded, type);
	wasm_import_kind(w, module, name, 0, encoded.data, encoded.size);
	free(encoded.data);
	return w->functions++;
}

uint32_t wasm_function(struct wasm *w, uint32_t type, const char *locals, const void *code,
		       size_t size)
{
	struct wasm_section *s = &w->sections[WASM_CODE], body = {};

	put_u32(&w->sections[WASM_FUNCTION], type);
	w->sections[WASM_FUNCTION].count++;
	put_u32(&body, strlen(locals));
	for (; *locals; locals++) {
		put_u32(&body, 1);
		put_byte(&body, type_code(*locals));
	}
	put(&body, code, size);
	put_byte(&body, OP_END);
	put_u32(s, body.size);
	put(s, body.data, body.size);
	s->count++;
	free(body.data);
	return w->functions++;
}

void wasm_memory(struct wasm *w, uint32_t min, uint32_t max)
{
	put_limits(&w->sections[WASM_MEMORY], min, max);
	w->sections[WASM_MEMORY].count++;
}

void wasm_table(struct wasm *w, uint32_t min, uint32_t max)
{
	put_byte(&w->sections[WASM_TABLE], 0x70);
	put_limits(&w->sections[WASM_TABLE], min, max);
	w->sections[WASM_TABLE].count++;
}

static void global(struct wasm *w, uint8_t type, int mutable, uint8_t op, int64_t value)
{
	struct wasm_section *s = &w->sections[WASM_GLOBAL];

	put_byte(s, type);
	put_byte(s, mutable);
	put_byte(s, op);
	put_s64(s, value);
	put_byte(s, OP_END);
	s->count++;
}

void wasm_global_i32(struct wasm *w, int mutable, int32_t value)
{
	global(w, OP_I32_TYPE, mutable, OP_I32_CONST, value);
}

void wasm_global_i64(struct wasm *w, int mutable, int64_t value)
{
	global(w, OP_I64_TYPE, mutable, OP_I64_CONST, value);
}

void wasm_export_kind(struct wasm *w, const char *name, uint8_t kind, uint32_t index)
{
	struct wasm_section *s = &w->sections[WASM_EXPORT];

	put_name(s, name);
	put_byte(s, kind);
	put_u32(s, index);
	s->count++;
}

void wasm_export(struct wasm *w, const char *name, uint32_t function)
{
	wasm_export_kind(w, name, 0, function);
}

void wasm_start(struct wasm *w, uint32_t function)
{
	put_u32(&w->sections[WASM_START], function);
}

static void put_offset(struct wasm_section *s, int32_t offset)
{
	put_byte(s, 0);
	put_byte(s, OP_I32_CONST);
	put_s64(s, offset);
	put_byte(s, OP_END);
	s->count++;
}

void wasm_data(struct wasm *w, int32_t offset, const void *bytes, size_t size)
{
	struct wasm_section *s = &w->sections[WASM_DATA];

	put_offset(s, offset);
	put_u32(s, size);
	put(s, bytes, size);
}

void wasm_elements(struct wasm *w, int32_t offset, const uint32_t *functions, uint32_t count)
{
	struct wasm_section *s = &w->sections[WASM_ELEMENT];
	uint32_t i;

	put_offset(s, offset);
	put_u32(s, count);
	for (i = 0; i < count; i++)
		put_u32(s, functions[i]);
}

void wasm_name(struct wasm *w, uint32_t function, const char *name)
{
	put_u32(&w->names, function);
	put_name(&w->names, name);
	w->names.count++;
}

static void put_section(struct wasm_section *out, uint8_t id, const struct wasm_section *s)
{
	struct wasm_section count = {};

	/* The start section is a single index, all others are vectors. */
	if (id != WASM_START)
		put_u32(&count, s->count);
	put_byte(out, id);
	put_u32(out, count.size + s->size);
	put(out, count.data, count.size);
	put(out, s->data, s->size);
	free(count.data);
}

static void put_names(struct wasm_section *out, const struct wasm_section *names)
{
	struct wasm_section map = {}, custom = {};

	put_u32(&map, names->count);
	put(&map, names->data, names->size);
	put_name(&custom, "name");
	put_byte(&custom, 1);
	put_u32(&custom, map.size);
	put(&custom, map.data, map.size);
	put_byte(out, 0);
	put_u32(out, custom.size);
	put(out, custom.data, custom.size);
	free(map.data);
	free(custom.data);
}

void wasm_put(struct wasm_body *body, const void *bytes, size_t size)
{
	if (size > sizeof(body->bytes) - body->size) {
		fprintf(stderr, "a body is too large\n");
		exit(1);
	}
	memcpy(body->bytes + body->size, bytes, size);
	body->size += size;
}

uint8_t *wasm_finish(struct wasm *w, size_t *size)
{
	struct wasm_section out = {};
	int id;

	put(&out, "\0asm\1\0\0\0", 8);
	for (id = WASM_TYPE; id < WASM_SECTIONS; id++) {
		if (w->sections[id].size)
			put_section(&out, id, &w->sections[id]);
		free(w->sections[id].data);
	}
	if (w->names.count)
		put_names(&out, &w->names);
	free(w->names.data);
	memset(w, 0, sizeof(*w));
	*size = out.size;
	return out.data;
}
