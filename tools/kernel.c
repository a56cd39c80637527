// SPDX-License-Identifier: MIT
/* What the kernel tells in files, and of that, as JSON, what ion.ko does. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ionctl.h"
#include "output.h"

#define HEAPS DEBUGFS "/ion/heaps"
#define CLIENTS DEBUGFS "/ion/clients"

static void add_number(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key,
			       json_object_new_int64(strtoll(text, NULL, 10)));
}

char *read_file(const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *file = fopen(path, "re");
	ssize_t n = -1;
	int error = errno;

	if (file) {
		errno = 0;
		n = getdelim(&text, &room, '\0', file);
		error = n < 0 ? errno : 0;
		fclose(file);
	}
	if (n < 0) {
		free(text);
		text = strdup("");
	}
	errno = error;
	return text;
}

/* "key: number" lines, up to an empty one. */
static json_object *read_heap(char *text, const char *name)
{
	json_object *heap = json_object_new_object();
	char *line, *rest = text, *value;

	json_object_object_add(heap, "name", json_text(name));
	while ((line = strsep(&rest, "\n")) && *line) {
		value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		add_number(heap, line, value);
	}
	return heap;
}

/* Lines of: handle, buffer's inode number, bytes, references, heap. */
static json_object *read_handles(char *table)
{
	json_object *handles = json_object_new_array();
	char *line, *rest;

	line = strtok_r(table, "\n", &rest);
	for (; line; line = strtok_r(NULL, "\n", &rest)) {
		unsigned long long inode, size;
		json_object *handle;
		int id;

		if (sscanf(line, "%d %llu %llu", &id, &inode, &size) != 3)
			continue;
		handle = json_object_new_object();
		json_object_object_add(handle, "handle",
				       json_object_new_int(id));
		json_object_object_add(handle, "inode",
				       json_object_new_int64(inode));
		json_object_object_add(handle, "size",
				       json_object_new_int64(size));
		json_object_array_add(handles, handle);
	}
	return handles;
}

/* Takes "\nKEY: NUMBER" from the end of a text. */
static void take_number(char *text, const char *key, json_object *object,
			const char *name)
{
	char *last = strrchr(text, '\n');

	if (!last || strncmp(last + 1, key, strlen(key)))
		return;
	add_number(object, name, last + 1 + strlen(key));
	*last = '\0';
}

/*
 * A process can be called anything, even lines such as these: so what comes
 * after the name is taken from the end, where the table begins whose title is
 * longer than such a name can be.
 */
static json_object *read_client(char *text, const char *file)
{
	static const char name[] = "name:    ";
	json_object *client, *handles;
	char *table = strstr(text, "\n\n    handle     buffer ");

	(void)file;
	if (!table || strncmp(text, name, strlen(name)))
		return NULL;
	*table = '\0';
	client = json_object_new_object();
	take_number(text, "counted: ", client, "bytes");
	take_number(text, "process: ", client, "pid");
	json_object_object_add(client, "name", json_text(text + strlen(name)));
	handles = read_handles(table + 1);
	json_object_object_add(client, "handles", json_object_new_int64(
				       json_object_array_length(handles)));
	json_object_object_add(client, "held", handles);
	return client;
}

/* What has gone since its name was read is left out. */
static int read_one(json_object *all, const char *dir, const char *name,
		    json_object *(*parse)(char *, const char *))
{
	json_object *one;
	char path[512];
	char *text;
	int error;

	if (*name == '.')
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = read_file(path);
	error = errno;
	one = error ? NULL : parse(text, name);
	if (one)
		json_object_array_add(all, one);
	free(text);
	return error == ENOENT ? 0 : error;
}

static json_object *read_all(const char *dir,
			     json_object *(*parse)(char *, const char *))
{
	struct dirent **names;
	json_object *all;
	int n, error = 0;

	n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return NULL;
	all = json_object_new_array();
	for (int i = 0; i < n; i++) {
		error = error ?: read_one(all, dir, names[i]->d_name, parse);
		free(names[i]);
	}
	free(names);
	if (error) {
		json_object_put(all);
		errno = error;
		return NULL;
	}
	return all;
}

json_object *ion_heaps(void)
{
	return read_all(HEAPS, read_heap);
}

json_object *ion_clients(void)
{
	return read_all(CLIENTS, read_client);
}
