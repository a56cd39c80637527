/* SPDX-License-Identifier: MIT */
/* What ionctl prints: tables, JSON and colours. */
#ifndef IONCTL_OUTPUT_H
#define IONCTL_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

enum colour { PLAIN, BOLD, RED, GREEN, YELLOW };

/**
 * struct column - a column of a table
 * @key: of the rows' objects; what a row has not is "-"
 * @title: what stands over it
 * @as: how values are printed
 */
struct column {
	const char *key;
	const char *title;
	enum { TEXT, NUMBER, SIZE, TIME } as;
};

/**
 * colour() - what makes what follows look so, where that can be seen
 */
const char *colour(enum colour colour);

/**
 * size_text() - a number of bytes for people, that parse_size() reads
 * @size: bytes
 * @text: returns it, exact if it has no '.'
 */
void size_text(uint64_t size, char text[16]);

/**
 * json_text() - a string of any bytes as JSON can have it
 * @text: what is not UTF-8 in it becomes a replacement character
 */
json_object *json_text(const char *text);

/**
 * put_text() - print a string for people
 * @file: where to
 * @text: UTF-8; control characters are printed as \xNN
 *
 * Return: how many columns it took.
 */
int put_text(FILE *file, const char *text);

/**
 * put_table() - print rows in columns
 * @file: where to
 * @rows: an array of objects
 * @columns: up to one without a key
 */
void put_table(FILE *file, json_object *rows, const struct column *columns);

/**
 * put_json() - print a value, and free it
 */
void put_json(json_object *value);

/**
 * put_list() - print rows as --json wants it, and free them
 * @rows: an array of objects
 * @columns: for put_table()
 */
void put_list(json_object *rows, const struct column *columns);

/**
 * finish_output() - see that all of standard output was written
 * @ret: an enum exit_code
 *
 * Return: @ret, or EXIT_FAILED, which has been told.
 */
int finish_output(int ret);

#endif
