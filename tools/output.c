// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define COLUMNS 16

const char *colour(enum colour colour)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[m", [BOLD] = "\033[1m", [RED] = "\033[31m",
		[GREEN] = "\033[32m", [YELLOW] = "\033[33m",
	};
	static int wanted = -1;

	if (wanted < 0) {
		const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

		wanted = isatty(STDOUT_FILENO) && !(no && *no) && term &&
			 strcmp(term, "dumb");
	}
	return wanted ? codes[colour] : "";
}

void size_text(uint64_t size, char text[16])
{
	static const char units[] = "\0KMGT";
	int unit = 0;
	uint64_t rest = 0;

	while (size >= 1024 && units[unit + 1]) {
		rest = size % 1024 | !!rest;
		size /= 1024;
		unit++;
	}
	/* What is not whole is told with what comes after it. */
	if (rest)
		snprintf(text, 16, "%u.%u%c", (unsigned int)size,
			 (unsigned int)(rest * 10 / 1024), units[unit]);
	else
		snprintf(text, 16, "%llu%c", (unsigned long long)size,
			 units[unit]);
}

/* How long the UTF-8 of one character is, 0 if it is none. */
static int utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t code;
	int len;

	if (*s < 0x80)
		return 1;
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	len = *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
	code = *s & (0x7f >> len);
	for (int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	/* Longer than needed, a surrogate, or beyond the last. */
	if ((len == 3 && code < 0x800) || (len == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return len;
}

json_object *json_text(const char *text)
{
	json_object *value;
	size_t size;
	char *copy;
	FILE *file = open_memstream(&copy, &size);

	if (!file)
		return NULL;
	while (*text) {
		int len = utf8_length(text);

		if (len)
			fwrite(text, len, 1, file);
		else
			fputs("\xef\xbf\xbd", file);
		text += len ?: 1;
	}
	fclose(file);
	value = json_object_new_string(copy);
	free(copy);
	return value;
}

static bool is_control(const char *text, int len)
{
	unsigned char c = *text;

	return !len || c < ' ' || c == 0x7f ||
	       (c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

int put_text(FILE *file, const char *text)
{
	int width = 0;

	while (*text) {
		int len = utf8_length(text);

		if (is_control(text, len)) {
			for (int i = 0; i < (len ?: 1); i++)
				width += fprintf(file, "\\x%02x",
						 (unsigned char)text[i]);
		} else {
			fwrite(text, len, 1, file);
			width++;
		}
		text += len ?: 1;
	}
	return width;
}

/* @row: NULL for the title. Return: to be free()d, NULL without memory. */
static char *cell_text(json_object *row, const struct column *column)
{
	json_object *value = json_object_object_get(row, column->key);
	char *text = NULL;
	char number[32];
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	if (!row) {
		fputs(column->title, file);
	} else if (!value) {
		fputc('-', file);
	} else if (column->as == SIZE) {
		size_text(json_object_get_uint64(value), number);
		fputs(number, file);
	} else if (column->as == TIME) {
		fprintf(file, "%.1f", json_object_get_double(value));
	} else {
		put_text(file, json_object_get_string(value));
	}
	fclose(file);
	return text;
}

static int text_width(const char *text)
{
	int width = 0;

	for (; text && *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void measure_row(json_object *row, const struct column *columns,
			int *widths)
{
	for (; columns->key; columns++, widths++) {
		char *text = cell_text(row, columns);
		int width = text_width(text);

		if (width > *widths)
			*widths = width;
		free(text);
	}
}

static void put_row(FILE *file, json_object *row, const struct column *columns,
		    const int *widths)
{
	for (; columns->key; columns++, widths++) {
		char *text = cell_text(row, columns);
		int room = *widths - text_width(text);
		bool last = !columns[1].key;

		if (columns->as == TEXT)
			fprintf(file, "%s%*s", text ?: "", last ? 0 : room, "");
		else
			fprintf(file, "%*s%s", room, "", text ?: "");
		fputs(last ? "\n" : "  ", file);
		free(text);
	}
}

void put_table(FILE *file, json_object *rows, const struct column *columns)
{
	size_t n = json_object_array_length(rows);
	int widths[COLUMNS] = { 0 };

	measure_row(NULL, columns, widths);
	for (size_t i = 0; i < n; i++)
		measure_row(json_object_array_get_idx(rows, i), columns,
			    widths);
	if (file == stdout)
		fputs(colour(BOLD), file);
	put_row(file, NULL, columns, widths);
	if (file == stdout)
		fputs(colour(PLAIN), file);
	for (size_t i = 0; i < n; i++)
		put_row(file, json_object_array_get_idx(rows, i), columns,
			widths);
}

void put_json(json_object *value)
{
	puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(value);
}

void put_list(json_object *rows, const struct column *columns)
{
	if (json) {
		put_json(rows);
		return;
	}
	put_table(stdout, rows, columns);
	json_object_put(rows);
}

int finish_output(int ret)
{
	if (fflush(stdout) || ferror(stdout))
		return fail(errno, "standard output");
	return ret;
}
