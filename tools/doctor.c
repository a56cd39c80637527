// SPDX-License-Identifier: MIT
/* doctor: what this machine offers, what it lacks, and what mends that. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include "ionctl.h"
#include "output.h"

#ifndef DMA_BUF_IOCTL_EXPORT_SYNC_FILE
struct dma_buf_export_sync_file {
	__u32 flags;
	__s32 fd;
};

#define DMA_BUF_IOCTL_EXPORT_SYNC_FILE \
	_IOWR(DMA_BUF_BASE, 2, struct dma_buf_export_sync_file)
#endif

/* There, not there and not needed, needed. */
enum state { OK, ABSENT, MISSING };

static json_object *checks;
static struct utsname kernel;
static bool any_missing;
static const char *sudo = "sudo ";

static void check(const char *what, enum state state, const char *format, ...)
	__printf(3, 4);
static void mend(const char *format, ...) __printf(1, 2);

static void check(const char *what, enum state state, const char *format, ...)
{
	static const char *const names[] = { "ok", "absent", "missing" };
	json_object *object = json_object_new_object();
	char text[PATH_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_object_object_add(object, "what", json_text(what));
	json_object_object_add(object, "state",
			       json_object_new_string(names[state]));
	json_object_object_add(object, "text", json_text(text));
	json_object_array_add(checks, object);
	any_missing |= state == MISSING;
}

/* The one command that mends what was checked last. */
static void mend(const char *format, ...)
{
	size_t last = json_object_array_length(checks) - 1;
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_object_object_add(json_object_array_get_idx(checks, last), "fix",
			       json_text(text));
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* The first line of a file, or what is said of it instead. */
static void read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	snprintf(line, size, "?");
	if (!file)
		return;
	if (!fgets(line, size, file))
		snprintf(line, size, "?");
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

/* ---- nodes, and who may open them */

static void describe_owner(const struct stat *st, char text[80])
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);

	snprintf(text, 80, "%s:%s, mode %03o", user ? user->pw_name : "?",
		 group ? group->gr_name : "?", st->st_mode & 0777);
}

static const char *user_name(void)
{
	const struct passwd *user = getpwuid(getuid());

	return user ? user->pw_name : "$USER";
}

static bool in_database(const struct group *group)
{
	for (char **member = group->gr_mem; *member; member++)
		if (!strcmp(*member, user_name()))
			return true;
	return false;
}

/* Joining the node's group is enough, if that is not root's and may open it. */
static void mend_node(const char *path, const struct stat *st)
{
	const struct group *group = getgrgid(st->st_gid);

	if (!group || !st->st_gid || (st->st_mode & 060) != 060)
		mend("%schown %s %s", sudo, user_name(), path);
	else if (in_database(group))
		mend("newgrp %s", group->gr_name);
	else
		mend("%susermod -aG %s %s", sudo, group->gr_name, user_name());
}

/* @needed: what it is if it may not be opened. Return: whether it is there. */
static bool check_node(const char *path, enum state needed)
{
	struct stat st;
	char owner[80];
	int error;

	if (stat(path, &st))
		return false;
	error = access(path, R_OK | W_OK) ? errno : 0;
	describe_owner(&st, owner);
	if (!error) {
		check(path, OK, "%s", owner);
	} else if (error == EACCES) {
		check(path, needed, "%s: not open to %s", owner, user_name());
		mend_node(path, &st);
	} else if (error == EPERM) {
		check(path, needed, "%s, but the device cgroup of this container forbids it", owner);
	} else {
		check(path, needed, "%s: %s", owner, strerror(error));
	}
	return true;
}

/* ---- modules */

/* Where a module of that name is installed for this kernel. */
static bool is_installed(const char *name, char path[PATH_MAX])
{
	char *line = NULL, wanted[64];
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, PATH_MAX, "/lib/modules/%s/modules.dep", kernel.release);
	file = fopen(path, "re");
	if (!file)
		return false;
	snprintf(wanted, sizeof(wanted), "/%s.ko", name);
	while (!found && getline(&line, &room, file) > 0) {
		char *at;

		line[strcspn(line, ":\n")] = '\0';
		at = strrchr(line, '/');
		found = at && !strncmp(at, wanted, strlen(wanted)) &&
			(!at[strlen(wanted)] || at[strlen(wanted)] == '.');
	}
	if (found)
		snprintf(path, PATH_MAX, "/lib/modules/%s/%s", kernel.release,
			 line);
	free(line);
	fclose(file);
	return found;
}

static bool have_headers(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/lib/modules/%s/build/Makefile",
		 kernel.release);
	return exists(path);
}

static bool check_module(const char *name)
{
	char path[PATH_MAX], loaded[64], version[64];

	snprintf(loaded, sizeof(loaded), "/sys/module/%s", name);
	if (exists(loaded)) {
		snprintf(path, sizeof(path), "%s/version", loaded);
		read_line(path, version, sizeof(version));
		check(name, OK, "the module is loaded%s%s",
		      *version == '?' ? "" : ", version ",
		      *version == '?' ? "" : version);
		return true;
	}
	if (is_installed(name, path)) {
		check(name, MISSING, "the module is installed, in %s, and not loaded", path);
		mend("%smodprobe %s", sudo, name);
	} else if (exists("/var/lib/dkms/vion")) {
		check(name, MISSING, "DKMS has not built the module for this kernel%s", have_headers() ? "" :
		      ", whose headers are not there");
		mend("%sdkms autoinstall", sudo);
	} else {
		check(name, MISSING, "the module is not installed for this kernel; its sources make a package");
		mend("make deb && %sapt-get install ./build/deb/vion-dkms_*.deb", sudo);
	}
	return false;
}

/* Not every kernel comes from a package, nor every package from apt. */
static bool has_package(char *name)
{
	char *const argv[] = { "apt-cache", "show", name, NULL };
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status;
	bool found;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null",
					 O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&quiet, STDOUT_FILENO, STDERR_FILENO);
	found = !posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) &&
		waitpid(pid, &status, 0) == pid && !status;
	posix_spawn_file_actions_destroy(&quiet);
	return found;
}

static void check_headers(bool needed)
{
	char package[sizeof(kernel.release) + 16];
	bool known;

	if (have_headers()) {
		check("headers", OK, "modules can be built, in /lib/modules/%s/build", kernel.release);
		return;
	}
	snprintf(package, sizeof(package), "linux-headers-%s", kernel.release);
	known = has_package(package);
	check("headers", needed ? MISSING : ABSENT,
	      "no headers of this kernel, to build modules with%s",
	      known ? "" : ": install your kernel's headers");
	if (known)
		mend("%sapt-get install %s", sudo, package);
}

/* The last byte of a firmware variable; -1 if there is none. */
static int firmware_switch(const char *name)
{
	char path[128];
	unsigned char value[8];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/firmware/efi/efivars/%s-8be4df61-93ca-11d2-aa0d-00e098032b8c", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, value, sizeof(value));
	close(fd);
	return n > 4 ? value[n - 1] : -1;
}

/* Whether modules must be signed is only of interest until ours are loaded. */
static void check_signing(bool loaded)
{
	char enforced[8], lockdown[80];
	int secure = firmware_switch("SecureBoot");
	bool locked;

	read_line("/sys/module/module/parameters/sig_enforce", enforced,
		  sizeof(enforced));
	read_line("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
	locked = strchr(lockdown, '[') && !strstr(lockdown, "[none]");
	if (*enforced != 'Y' && !locked) {
		check("signing", OK, "%smodules need no signature",
		      secure > 0 ? "Secure Boot is on, but " : "");
		return;
	}
	check("signing", loaded ? OK : MISSING,
	      "%smodules must be signed with a key that the firmware knows%s",
	      secure > 0 ? "Secure Boot is on: " : "",
	      loaded ? ", as ours are" : "");
	if (!loaded)
		mend("%smokutil --import /var/lib/dkms/mok.pub", sudo);
}

/* ---- what the kernel has itself */

static bool has_config(const char *option)
{
	char path[PATH_MAX], wanted[96], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/boot/config-%s", kernel.release);
	snprintf(wanted, sizeof(wanted), "%s=", option);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &room, file) > 0)
		found = !strncmp(line, wanted, strlen(wanted));
	free(line);
	if (file)
		fclose(file);
	return found;
}

static void check_dma_heaps(void)
{
	struct dirent **names;
	int n = scandir("/dev/dma_heap", &names, NULL, alphasort);
	char path[300];
	bool any = false;

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/dev/dma_heap/%s",
			 names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			any |= check_node(path, ABSENT);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (!any)
		check("dma-heap", ABSENT, "this kernel has no dma-heaps (CONFIG_DMABUF_HEAPS_SYSTEM); ion.ko brings some");
}

static void check_udmabuf(void)
{
	static const char parameters[] = "/sys/module/udmabuf/parameters";
	char list[32], size[32], path[PATH_MAX];

	if (!check_node("/dev/udmabuf", ABSENT)) {
		if (is_installed("udmabuf", path)) {
			check("udmabuf", ABSENT, "the module is not loaded");
			mend("%smodprobe udmabuf", sudo);
		} else {
			check("udmabuf", ABSENT, "this kernel has none (CONFIG_UDMABUF)");
		}
		return;
	}
	snprintf(path, sizeof(path), "%s/list_limit", parameters);
	read_line(path, list, sizeof(list));
	snprintf(path, sizeof(path), "%s/size_limit_mb", parameters);
	read_line(path, size, sizeof(size));
	if (*size == '?')
		check("udmabuf", OK, "a buffer has up to %s pieces",
		      list);
	else
		check("udmabuf", OK, "a buffer has up to %s MiB, of %s pieces", size, list);
}

static void check_memfd(void)
{
	int fd = memfd_create("ionctl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		check("memfd", ABSENT, "%s", strerror(errno));
	else
		check("memfd", OK, "processes can share memory, with seals");
	if (fd >= 0)
		close(fd);
}

/* Only a dma-buf knows. */
static void check_sync_file(void)
{
	struct dma_buf_export_sync_file export = {
		.flags = DMA_BUF_SYNC_READ,
	};
	struct ion_buffer *buffer;
	int fd, ret = ion_buffer_create(4096, NULL, ION_FLAG_CACHED, &buffer);

	if (ret) {
		check("sync_file", ABSENT, "not known without a buffer");
		return;
	}
	fd = ion_buffer_fd(buffer);
	if (!ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export)) {
		check("sync_file", OK, "fences can leave buffers and come into them");
		close(export.fd);
	} else if (lseek(fd, 0, SEEK_END) >= 0 && errno == ENOTTY) {
		check("sync_file", ABSENT, "no fences (Linux 6.0 and CONFIG_SYNC_FILE, and a dma-buf)");
	} else {
		check("sync_file", ABSENT, "%s", strerror(errno));
	}
	ion_buffer_close(buffer);
}

static void check_debugfs(void)
{
	struct stat st;

	if (!stat(DEBUGFS, &st) && exists(DEBUGFS "/dma_buf"))
		check("debugfs", OK, "%s can be read", DEBUGFS);
	else if (!stat(DEBUGFS, &st) && access(DEBUGFS, R_OK | X_OK))
		check("debugfs", ABSENT, "%s: for root alone, who sees in \"ls\" and \"top\" what drivers hold", DEBUGFS);
	else {
		check("debugfs", ABSENT, "%s is not mounted: \"top\" needs it, \"ls\" and \"heaps\" use it", DEBUGFS);
		mend("%smount -t debugfs none %s", sudo, DEBUGFS);
	}
}

static void check_cma(void)
{
	char *line = NULL;
	size_t room = 0;
	unsigned long total = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && getline(&line, &room, file) > 0)
		if (sscanf(line, "CmaTotal: %lu", &total) == 1)
			break;
	free(line);
	if (file)
		fclose(file);
	if (total)
		check("CMA", OK, "%lu MiB for large contiguous buffers",
		      total >> 10);
	else if (has_config("CONFIG_DMA_CMA"))
		check("CMA", ABSENT, "none: cma=64M on the kernel's command line keeps some for contiguous buffers");
	else
		check("CMA", ABSENT, "none (CONFIG_DMA_CMA): contiguous buffers have up to 4 MiB");
}

/* ---- which of all that libion takes */

static void check_user(void)
{
	gid_t groups[1024];
	int n = getgroups(1024, groups);
	char text[512] = "";

	for (int i = 0; i < n; i++) {
		const struct group *group = getgrgid(groups[i]);
		size_t len = strlen(text);

		if (group)
			snprintf(text + len, sizeof(text) - len, "%s%s",
				 len ? ", " : "", group->gr_name);
	}
	check("user", OK, "%s%s%s", user_name(),
	      *text ? ", in the groups " : "", text);
}

static const char *check_backends(void)
{
	const char *name, *chosen;
	char what[48], why[WHY], none[WHY];
	int ret;

	used_backend(&chosen, none);
	for (int i = 0; (name = ion_backend_name(i)); i++) {
		ret = ion_probe_backend(name, why, sizeof(why));
		snprintf(what, sizeof(what), "libion: %s", name);
		check(what, ret ? ABSENT : OK, "%s%s", why,
		      chosen && !strcmp(chosen, name) ? "; libion uses this one" : "");
	}
	if (!chosen)
		check("libion", MISSING, "%s", none);
	else if (!strcmp(chosen, "memfd"))
		check("libion", MISSING, wanted_backend() ?
		      "ION_BACKEND=memfd has it use memfds, which no driver takes" :
		      "it has only memfds here, which no driver takes: load ion.ko");
	else
		return chosen;
	if (wanted_backend())
		mend("unset ION_BACKEND");
	return chosen;
}

static void check_kernel(void)
{
	int major = 0, minor = 0;

	uname(&kernel);
	if (sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
	    (major > 6 || (major == 6 && minor >= 1)))
		check("kernel", OK, "Linux %s %s", kernel.release,
		      kernel.machine);
	else
		check("kernel", MISSING, "Linux %s: the modules need 6.1 or newer", kernel.release);
}

static const char *text_of(json_object *check, const char *key)
{
	return json_object_get_string(json_object_object_get(check, key));
}

static int widest(void)
{
	int most = 0;

	for (size_t i = 0; i < json_object_array_length(checks); i++) {
		json_object *check = json_object_array_get_idx(checks, i);
		int width = strlen(text_of(check, "what"));

		if (width > most)
			most = width;
	}
	return most;
}

static void put_check(json_object *check, int width)
{
	static const struct {
		const char *name;
		enum colour colour;
	} states[] = {
		{ "ok", GREEN }, { "absent", YELLOW }, { "missing", RED },
	};
	const char *state = text_of(check, "state");
	const char *fix = text_of(check, "fix");
	static const char *last_fix = "";
	int s = 0;

	while (strcmp(states[s].name, state))
		s++;
	printf("%s%-7s%s  ", colour(states[s].colour), state, colour(PLAIN));
	width -= put_text(stdout, text_of(check, "what"));
	printf("%*s  ", width > 0 ? width : 0, "");
	put_text(stdout, text_of(check, "text"));
	putchar('\n');
	if (!fix || !strcmp(fix, last_fix))
		return;
	last_fix = fix;
	printf("%9s%s", "", colour(BOLD));
	put_text(stdout, fix);
	printf("%s\n", colour(PLAIN));
}

static int run_doctor(void)
{
	json_object *answer;
	const char *backend;
	bool ion, vion;
	int width;

	if (!geteuid())
		sudo = "";
	checks = json_object_new_array();
	check_kernel();
	check_user();
	check_headers(!exists("/sys/module/ion"));
	ion = check_module("ion");
	vion = check_module("vion");
	check_signing(ion && vion);
	check_node("/dev/ion", MISSING);
	check_node("/dev/vion_dev", MISSING);
	check_dma_heaps();
	check_udmabuf();
	check_memfd();
	check_sync_file();
	check_debugfs();
	check_cma();
	backend = check_backends();

	if (json) {
		answer = json_object_new_object();
		json_object_object_add(answer, "ionctl",
				       json_object_new_string(VERSION));
		json_object_object_add(answer, "kernel",
				       json_object_new_string(kernel.release));
		json_object_object_add(answer, "backend", backend ?
				       json_object_new_string(backend) : NULL);
		json_object_object_add(answer, "complete",
				       json_object_new_boolean(!any_missing));
		json_object_object_add(answer, "checks", checks);
		put_json(answer);
	} else {
		width = widest();
		for (size_t i = 0; i < json_object_array_length(checks); i++)
			put_check(json_object_array_get_idx(checks, i), width);
		json_object_put(checks);
	}
	return any_missing ? EXIT_NO : EXIT_FINE;
}

static const struct argp_option options[] = { JSON_OPTION, { 0 } };

static const struct argp argp = {
	options, json_only, NULL,
	"Tell what this machine offers to those who share buffers, what is missing, and the command that mends it.\v\"missing\" is what ION or vion need to work for you here; \"absent\" is what they do without. Exit status 1: something is missing.",
	NULL, NULL, NULL
};

const struct command doctor_command = {
	"doctor", "what this machine offers, what is missing, what mends it",
	&argp, run_doctor
};
