// SPDX-License-Identifier: MIT
/* ls: every dma-buf that we may see, and who holds it. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define BUFINFO DEBUGFS "/dma_buf/bufinfo"

static const struct column columns[] = {
	{ "inode", "INODE", NUMBER }, { "size", "SIZE", SIZE },
	{ "exporter", "EXPORTER", TEXT }, { "name", "NAME", TEXT },
	{ "held by", "HELD BY", TEXT }, { 0 }
};

static json_object *buffers;
static json_object *by_inode;	/* the same ones */

/* What could not be seen, told once at the end. */
static int hidden;	/* processes */
static int shortage;	/* errno: the list has holes that root would have, too */

/* @what: was not there any more, or not ours to see, or something ran out. */
static void missed(int error, int *count)
{
	switch (error) {
	case ENOENT:
	case ESRCH:
		break;
	case EACCES:
	case EPERM:
		++*count;
		break;
	default:
		shortage = error;
	}
}

static json_object *buffer_of(uint64_t inode)
{
	json_object *buffer;
	char key[24];

	snprintf(key, sizeof(key), "%llu", (unsigned long long)inode);
	buffer = json_object_object_get(by_inode, key);
	if (buffer)
		return buffer;
	buffer = json_object_new_object();
	json_object_object_add(buffer, "inode", json_object_new_uint64(inode));
	json_object_object_add(buffer, "holders", json_object_new_array());
	json_object_object_add(by_inode, key, json_object_get(buffer));
	json_object_array_add(buffers, buffer);
	return buffer;
}

static void set_number(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

/* An empty one is none. */
static void set_text(json_object *object, const char *key, const char *text)
{
	if (*text)
		json_object_object_add(object, key, json_text(text));
}

static void add_holder(json_object *buffer, json_object *holder)
{
	json_object_array_add(json_object_object_get(buffer, "holders"),
			      holder);
}

static json_object *new_holder(int pid, const char *comm)
{
	json_object *holder = json_object_new_object();

	json_object_object_add(holder, "pid", json_object_new_int(pid));
	json_object_object_add(holder, "comm", json_text(comm));
	return holder;
}

/* The line of @text that begins with @key, or NULL; it is terminated. */
static char *value_of(char *text, const char *key)
{
	char *at = text, *end;

	while (strncmp(at, key, strlen(key))) {
		at = strchr(at, '\n');
		if (!at)
			return NULL;
		at++;
	}
	at += strlen(key);
	at += strspn(at, " \t");
	end = strchr(at, '\n');
	if (end)
		*end = '\0';
	return at;
}

/* The name comes last, and may have lines like the others in it. */
static void describe(json_object *buffer, char *fdinfo)
{
	char *name = strstr(fdinfo, "\nname:\t"), *value;
	size_t len;

	if (name) {
		*name = '\0';
		name += strlen("\nname:\t");
		len = strlen(name);
		if (len && name[len - 1] == '\n')
			name[len - 1] = '\0';
		set_text(buffer, "name", name);
	}
	value = strstr(fdinfo, "\nexp_name:");
	if (value)
		set_text(buffer, "exporter", value_of(value + 1, "exp_name:"));
	value = value_of(fdinfo, "size:");
	if (value)
		set_number(buffer, "size", strtoull(value, NULL, 10));
}

static void add_descriptor(const char *dir, int pid, const char *comm,
			   const char *fd, int *unseen)
{
	json_object *buffer, *holder;
	struct stat st;
	char path[320], link[16];
	char *text;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/fd/%s", dir, fd);
	n = readlink(path, link, sizeof(link));
	if (n < 0)
		missed(errno, unseen);
	if (n < 8 || strncmp(link, "/dmabuf:", 8))
		return;
	if (stat(path, &st)) {
		missed(errno, unseen);
		return;
	}
	snprintf(path, sizeof(path), "%s/fdinfo/%s", dir, fd);
	text = read_file(path);
	missed(errno ?: ENOENT, unseen);
	/* Another file may be there by now, which has no exporter. */
	if (strstr(text, "\nexp_name:")) {
		buffer = buffer_of(st.st_ino);
		describe(buffer, text);
		holder = new_holder(pid, comm);
		json_object_object_add(holder, "fd",
				       json_object_new_int(atoi(fd)));
		add_holder(buffer, holder);
	}
	free(text);
}

/* Return: whether there was any descriptor. */
static bool add_descriptors(const char *dir, int pid, const char *comm,
			    int *unseen)
{
	struct dirent *entry;
	bool any = false;
	char path[280];
	DIR *fds;

	snprintf(path, sizeof(path), "%s/fd", dir);
	fds = opendir(path);
	if (!fds) {
		missed(errno, unseen);
		return false;
	}
	while ((entry = readdir(fds))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		any = true;
		add_descriptor(dir, pid, comm, entry->d_name, unseen);
	}
	closedir(fds);
	return any;
}

/* The size of what is mapped, if the kernel tells us that much. */
static void stat_mapping(json_object *buffer, const char *dir,
			 const char *range)
{
	struct stat st;
	char path[320];

	snprintf(path, sizeof(path), "%s/map_files/%s", dir, range);
	if (!stat(path, &st))
		set_number(buffer, "size", st.st_size);
}

static void add_mapping(const char *dir, int pid, const char *comm, char *line)
{
	unsigned long long start, end, inode;
	json_object *buffer, *holder;
	char range[40];
	int path = 0;

	if (sscanf(line, "%llx-%llx %*s %*s %*s %llu %n", &start, &end, &inode,
		   &path) != 3 || !path ||
	    strncmp(line + path, "/dmabuf:", 8))
		return;
	buffer = buffer_of(inode);
	if (!json_object_object_get(buffer, "size")) {
		snprintf(range, sizeof(range), "%llx-%llx", start, end);
		stat_mapping(buffer, dir, range);
		set_text(buffer, "name", line + path + 8);
	}
	holder = new_holder(pid, comm);
	set_number(holder, "map", start);
	set_number(holder, "length", end - start);
	add_holder(buffer, holder);
}

static void add_mappings(const char *dir, int pid, const char *comm,
			 int *unseen)
{
	char *line = NULL;
	size_t room = 0;
	char path[280];
	FILE *maps;

	snprintf(path, sizeof(path), "%s/maps", dir);
	maps = fopen(path, "re");
	if (!maps) {
		missed(errno, unseen);
		return;
	}
	while (getline(&line, &room, maps) > 0) {
		line[strcspn(line, "\n")] = '\0';
		add_mapping(dir, pid, comm, line);
	}
	free(line);
	fclose(maps);
}

/* A process whose first thread has ended still has what the others see. */
static void add_threads(int pid, const char *comm, int *unseen)
{
	struct dirent *entry;
	char path[280];
	bool any = false;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return;
	while (!any && (entry = readdir(tasks))) {
		int thread = atoi(entry->d_name);

		if (!thread || thread == pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, thread);
		any = add_descriptors(path, pid, comm, unseen);
		if (any)
			add_mappings(path, pid, comm, unseen);
	}
	closedir(tasks);
}

static void add_process(int pid)
{
	char path[280];
	char *comm;
	size_t len;
	int unseen = 0;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = read_file(path);
	len = strlen(comm);
	if (len)
		comm[len - 1] = '\0';
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (add_descriptors(path, pid, comm, &unseen))
		add_mappings(path, pid, comm, &unseen);
	else if (!unseen)
		add_threads(pid, comm, &unseen);
	free(comm);
	if (unseen)
		hidden++;
}

static int add_processes(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (!proc)
		return fail(errno, "/proc");
	while ((entry = readdir(proc)))
		if (isdigit(entry->d_name[0]))
			add_process(atoi(entry->d_name));
	closedir(proc);
	return EXIT_FINE;
}

/* Those who hold handles, which are no descriptors. */
static void add_clients(void)
{
	json_object *clients = ion_clients(), *client, *held, *handle, *buffer;
	json_object *holder, *pid;

	for (size_t i = 0; clients && i < json_object_array_length(clients);
	     i++) {
		client = json_object_array_get_idx(clients, i);
		held = json_object_object_get(client, "held");
		pid = json_object_object_get(client, "pid");
		for (size_t k = 0; k < json_object_array_length(held); k++) {
			handle = json_object_array_get_idx(held, k);
			buffer = buffer_of(json_object_get_uint64(
				json_object_object_get(handle, "inode")));
			json_object_object_add(buffer, "size", json_object_get(
				json_object_object_get(handle, "size")));
			holder = json_object_new_object();
			if (pid)
				json_object_object_add(holder, "pid",
						       json_object_get(pid));
			json_object_object_add(holder, "comm", json_object_get(
				json_object_object_get(client, "name")));
			json_object_object_add(holder, "handle",
				json_object_get(json_object_object_get(
					handle, "handle")));
			add_holder(buffer, holder);
		}
	}
	json_object_put(clients);
}

/*
 * A line of bufinfo: size, flags, mode, count, exporter, inode number, name.
 * The numbers are at least so long that no name can have such a line in it.
 * Return: the buffer, or NULL if it is another line.
 */
static json_object *add_line(char *line)
{
	unsigned long long size, inode;
	json_object *buffer;
	char exporter[64];
	int name = 0, digits[4];

	if (sscanf(line, "%llu%n\t%*x%n\t%*x%n\t%*d%n\t%63[^\t]\t%llu\t%n",
		   &size, &digits[0], &digits[1], &digits[2], &digits[3],
		   exporter, &inode, &name) != 3 || !name ||
	    digits[0] < 8 || digits[1] < 17 || digits[2] < 26 ||
	    digits[3] < 35)
		return NULL;
	buffer = buffer_of(inode);
	set_number(buffer, "size", size);
	set_text(buffer, "exporter", exporter);
	if (strcmp(line + name, "<none>") &&
	    !json_object_object_get(buffer, "name"))
		set_text(buffer, "name", line + name);
	return buffer;
}

static void add_devices(json_object *buffer, json_object *devices)
{
	for (size_t i = 0; devices && i < json_object_array_length(devices);
	     i++) {
		json_object *holder = json_object_new_object();

		json_object_object_add(holder, "device", json_object_get(
			json_object_array_get_idx(devices, i)));
		add_holder(buffer, holder);
	}
	json_object_put(devices);
}

/*
 * Below the line of a buffer are those of its fences, and then the devices that
 * have it attached. Its name may have such lines in it, too; the last ones are
 * the kernel's.
 */
static void add_bufinfo(void)
{
	json_object *buffer = NULL, *devices = NULL, *next;
	FILE *file = fopen(BUFINFO, "re");
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return;
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		next = add_line(line);
		if (next) {
			add_devices(buffer, devices);
			buffer = next;
			devices = NULL;
		} else if (buffer && !strcmp(line, "\tAttached Devices:")) {
			json_object_put(devices);
			devices = json_object_new_array();
		} else if (devices && *line == '\t') {
			json_object_array_add(devices, json_text(line + 1));
		}
	}
	add_devices(buffer, devices);
	free(line);
	fclose(file);
}

static const char *text_of(json_object *object, const char *key)
{
	return json_object_get_string(json_object_object_get(object, key));
}

/* "ionctl 812:4, camera 820 map, vion handle 1" */
static void add_summary(json_object *buffer)
{
	json_object *holders = json_object_object_get(buffer, "holders");
	json_object *holder;
	const char *value;
	size_t size;
	char *text;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return;
	for (size_t i = 0; i < json_object_array_length(holders); i++) {
		holder = json_object_array_get_idx(holders, i);
		fputs(i ? ", " : "", file);
		value = text_of(holder, "device");
		if (value)
			fprintf(file, "device %s", value);
		value = text_of(holder, "comm");
		if (value)
			fputs(value, file);
		value = text_of(holder, "pid");
		if (value)
			fprintf(file, " %s", value);
		value = text_of(holder, "fd");
		if (value)
			fprintf(file, ":%s", value);
		if (json_object_object_get(holder, "map"))
			fputs(" map", file);
		value = text_of(holder, "handle");
		if (value)
			fprintf(file, " handle %s", value);
	}
	fclose(file);
	if (size)
		json_object_object_add(buffer, "held by",
				       json_object_new_string(text));
	free(text);
}

/* The holders come last, and for people as a text. */
static void finish(json_object *buffer)
{
	json_object *holders = json_object_object_get(buffer, "holders");

	if (!json)
		add_summary(buffer);
	json_object_get(holders);
	json_object_object_del(buffer, "holders");
	json_object_object_add(buffer, "holders", holders);
}

static int compare_inodes(const void *a, const void *b)
{
	uint64_t x = json_object_get_uint64(json_object_object_get(
		*(json_object *const *)a, "inode"));
	uint64_t y = json_object_get_uint64(json_object_object_get(
		*(json_object *const *)b, "inode"));

	return x < y ? -1 : x > y;
}

static int run_ls(void)
{
	int ret;

	buffers = json_object_new_array();
	by_inode = json_object_new_object();
	ret = add_processes();
	if (ret)
		return ret;
	add_clients();
	add_bufinfo();
	json_object_array_sort(buffers, compare_inodes);
	for (size_t i = 0; i < json_object_array_length(buffers); i++)
		finish(json_object_array_get_idx(buffers, i));
	put_list(buffers, columns);

	if (hidden) {
		fflush(stdout);
		fprintf(stderr,
			"ionctl: %d process%s may not be looked into%s\n",
			hidden, hidden == 1 ? "" : "es",
			geteuid() ? ": root sees more" : "");
	}
	if (shortage)
		return fail(shortage, "the list is not complete");
	return EXIT_FINE;
}

static const struct argp_option options[] = { JSON_OPTION, { 0 } };

static const struct argp argp = {
	options, json_only, NULL,
	"List every dma-buf that you may see, and who holds it: PID:FD is a descriptor, \"map\" a mapping, \"handle\" a handle of /dev/ion, \"device\" one that it is attached to (which debugfs tells, to root).",
	NULL, NULL, NULL
};

const struct command ls_command = {
	"ls", "list the dma-bufs of the system, and who holds them", &argp,
	run_ls
};
