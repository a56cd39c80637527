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
static int major, minor;	/* its version */
static bool any_missing;
static const char *sudo = "sudo ";

static const char *text_of(json_object *check, const char *key)
{
	return json_object_get_string(json_object_object_get(check, key));
}

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

/* What mends @what, which was checked before, mends this. */
static void mend_as(const char *what)
{
	size_t last = json_object_array_length(checks) - 1;
	const char *fix = NULL;

	for (size_t i = 0; i < last; i++) {
		json_object *check = json_object_array_get_idx(checks, i);

		if (!strcmp(text_of(check, "what"), what))
			fix = text_of(check, "fix");
	}
	if (fix)
		mend("%s", fix);
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

static bool is_loaded(const char *module)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return exists(path);
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
static void check_closed_node(const char *path, int mode, enum state needed,
			      const struct stat *st, const char *owner)
{
	const struct group *group = getgrgid(st->st_gid);
	bool by_group = group && st->st_gid &&
			(st->st_mode >> 3 & mode) == (unsigned int)mode;

	check(path, needed, "%s: not open to %s%s", owner, user_name(),
	      by_group ? "" : " (chown lasts until the next boot)");
	if (!by_group)
		mend("%schown %s %s", sudo, user_name(), path);
	else if (in_database(group))
		mend("newgrp %s", group->gr_name);
	else
		mend("%susermod -aG %s %s", sudo, group->gr_name, user_name());
}

/*
 * @mode: how libion opens it, as access(2) has it.
 * @needed: what it is if it may not be opened.
 * Return: whether it is there.
 */
static bool check_node(const char *path, int mode, enum state needed)
{
	struct stat st;
	char owner[80];
	int error;

	if (stat(path, &st))
		return false;
	error = access(path, mode) ? errno : 0;
	describe_owner(&st, owner);
	if (!error)
		check(path, OK, "%s", owner);
	else if (error == EACCES)
		check_closed_node(path, mode, needed, &st, owner);
	else if (error == EPERM)
		check(path, needed, "%s, but the device cgroup of this container forbids it", owner);
	else
		check(path, needed, "%s: %s", owner, strerror(error));
	return true;
}

/*
 * A container or a chroot has the nodes that it was given.
 * @device: of the node, below /sys/class
 * Return: whether the kernel has it.
 */
static bool check_lost_node(const char *path, const char *device,
			    enum state needed)
{
	char file[80], number[16], dir[64], make_dir[96] = "";
	unsigned int dev_major, dev_minor;

	snprintf(file, sizeof(file), "/sys/class/%s/dev", device);
	read_line(file, number, sizeof(number));
	if (sscanf(number, "%u:%u", &dev_major, &dev_minor) != 2)
		return false;
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path),
		 path);
	if (!exists(dir))
		snprintf(make_dir, sizeof(make_dir), "%smkdir -p %s && ", sudo,
			 dir);
	check(path, needed, "the kernel has it, and there is no node");
	mend("%s%smknod -m 660 %s c %u %u", make_dir, sudo, path, dev_major,
	     dev_minor);
	return true;
}

static void check_our_node(const char *path, const char *device, int mode)
{
	if (!check_node(path, mode, MISSING))
		check_lost_node(path, device, MISSING);
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

static void check_module(const char *name)
{
	char path[PATH_MAX], version[64];

	if (is_loaded(name)) {
		snprintf(path, sizeof(path), "/sys/module/%s/version", name);
		read_line(path, version, sizeof(version));
		check(name, OK, "the module is loaded%s%s",
		      *version == '?' ? "" : ", version ",
		      *version == '?' ? "" : version);
	} else if (is_installed(name, path)) {
		check(name, MISSING, "the module is installed, in %s, and not loaded", path);
		mend("%smodprobe %s", sudo, name);
	} else if (exists("/var/lib/dkms/vion")) {
		check(name, MISSING, "DKMS has not built the module for this kernel%s", have_headers() ? "" :
		      ", whose headers are not there");
		mend("%sdkms autoinstall", sudo);
	} else if (exists("/usr/bin/apt-get")) {
		check(name, MISSING, "the module is not installed for this kernel; its sources make a package");
		mend("make deb && %sapt-get install ./build/deb/vion-dkms_*.deb", sudo);
	} else {
		check(name, MISSING, "the module is not installed for this kernel; its sources build it");
		mend("make && %smake install modules_install && %sdepmod -a",
		     sudo, sudo);
	}
}

/* Not every kernel comes from a package, nor every package from apt. */
static bool has_package(const char *name)
{
	char *const argv[] = { "apt-cache", "show", (char *)name, NULL };
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

/* Whoever has no such option may have it in a kernel of Debian's. */
static void mend_kernel(void)
{
	static const char package[] = "linux-image-6.12-amd64";
	static bool asked, known;

	if (strcmp(kernel.machine, "x86_64") || major > 6 ||
	    (major == 6 && minor >= 12))
		return;
	if (!asked)
		known = has_package(package);
	asked = true;
	if (known)
		mend("%sapt-get install %s", sudo, package);
}

static void check_headers(void)
{
	char package[sizeof(kernel.release) + 16], path[PATH_MAX];
	bool needed, known;

	if (have_headers()) {
		check("headers", OK, "modules can be built, in /lib/modules/%s/build", kernel.release);
		return;
	}
	needed = (!is_loaded("ion") && !is_installed("ion", path)) ||
		 (!is_loaded("vion") && !is_installed("vion", path));
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
static void check_signing(void)
{
	static const char key[] = "/var/lib/dkms/mok.pub";
	bool loaded = is_loaded("ion") && is_loaded("vion");
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
	if (!loaded && exists(key))
		mend("%smokutil --import %s", sudo, key);
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
			any |= check_node(path, R_OK, ABSENT);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (any ||
	    check_lost_node("/dev/dma_heap/system", "dma_heap/system",
			    ABSENT) ||
	    check_lost_node("/dev/dma_heap/ion_system",
			    "ion_dma_heap/ion_system", ABSENT))
		return;
	check("dma-heap", ABSENT, "this kernel has no dma-heaps (CONFIG_DMABUF_HEAPS_SYSTEM); ion.ko brings some");
	mend_as("ion");
}

static void check_udmabuf(void)
{
	static const char parameters[] = "/sys/module/udmabuf/parameters";
	char list[32], size[32], path[PATH_MAX];

	if (!check_node("/dev/udmabuf", R_OK | W_OK, ABSENT)) {
		if (check_lost_node("/dev/udmabuf", "misc/udmabuf", ABSENT))
			return;
		if (is_installed("udmabuf", path)) {
			check("udmabuf", ABSENT, "the module is not loaded");
			mend("%smodprobe udmabuf", sudo);
		} else {
			check("udmabuf", ABSENT, "this kernel has none (CONFIG_UDMABUF, as in Debian's 6.12)");
			mend_kernel();
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

/* What has libion take more than memfds. */
static void mend_backend(void)
{
	if (wanted_backend())
		mend("unset ION_BACKEND");
	else
		mend_as(is_loaded("ion") ? "/dev/ion" : "ion");
}

static bool uses_memfd(void)
{
	const char *name;
	char why[WHY];

	return !used_backend(&name, why) && !strcmp(name, "memfd");
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
	if (uses_memfd()) {
		check("sync_file", ABSENT, "not known without a dma-buf");
		mend_backend();
	} else if (!ioctl(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export)) {
		check("sync_file", OK, "fences can leave buffers and come into them");
		close(export.fd);
	} else if (errno == ENOTTY) {
		check("sync_file", ABSENT, "no fences (Linux 6.0 and CONFIG_SYNC_FILE, as in Debian's 6.12)");
		mend_kernel();
	} else {
		check("sync_file", ABSENT, "%s", strerror(errno));
	}
	ion_buffer_close(buffer);
}

static void check_debugfs(void)
{
	struct stat st;

	if (!stat(DEBUGFS, &st) && exists(DEBUGFS "/dma_buf")) {
		check("debugfs", OK, "%s can be read", DEBUGFS);
	} else if (!stat(DEBUGFS, &st) && access(DEBUGFS, R_OK | X_OK)) {
		check("debugfs", ABSENT, "%s: for root alone, who sees in \"ls\" and \"top\" what drivers hold", DEBUGFS);
		mend("%sionctl doctor", sudo);
	} else {
		check("debugfs", ABSENT, "%s is not mounted: \"top\" needs it, \"ls\" and \"heaps\" use it", DEBUGFS);
		mend("%smount -t debugfs none %s", sudo, DEBUGFS);
	}
}

/* /etc/default/grub is a shell's file: what is added last counts. */
static void mend_command_line(const char *parameter)
{
	if (exists("/etc/default/grub") && exists("/usr/sbin/update-grub"))
		mend("echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"' | %stee -a /etc/default/grub && %supdate-grub",
		     parameter, sudo, sudo);
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
	if (total) {
		check("CMA", OK, "%lu MiB for large contiguous buffers",
		      total >> 10);
	} else if (has_config("CONFIG_DMA_CMA")) {
		check("CMA", ABSENT, "none: cma=64M on the kernel's command line keeps some for contiguous buffers, from the next boot on");
		mend_command_line("cma=64M");
	} else {
		check("CMA", ABSENT, "none, which only a kernel built with CONFIG_DMA_CMA has: contiguous buffers have up to 4 MiB");
	}
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

static void check_backend(const char *name, const char *chosen)
{
	char what[48], why[WHY];
	const char *use = "";
	int ret = ion_probe_backend(name, why, sizeof(why));

	if (chosen && !strcmp(chosen, name))
		use = wanted_backend() ?
		      "; libion uses this one, which ION_BACKEND names" :
		      "; libion uses this one";
	snprintf(what, sizeof(what), "libion: %s", name);
	check(what, ret ? ABSENT : OK, "%s%s", why, use);
}

static const char *check_backends(void)
{
	const char *name, *chosen;
	char none[WHY];

	used_backend(&chosen, none);
	for (int i = 0; (name = ion_backend_name(i)); i++)
		check_backend(name, chosen);
	if (!chosen) {
		check("libion", MISSING, "%s", none);
		if (wanted_backend())
			mend("unset ION_BACKEND");
	} else if (!strcmp(chosen, "memfd")) {
		if (wanted_backend())
			check("libion", MISSING, "ION_BACKEND=memfd has it use memfds, which no driver takes");
		else
			check("libion", MISSING, "it has only memfds here, which no driver takes%s",
			      is_loaded("ion") ? "" : ": load ion.ko");
		mend_backend();
	}
	return chosen;
}

static void check_kernel(void)
{
	uname(&kernel);
	if (sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
	    (major > 6 || (major == 6 && minor >= 1))) {
		check("kernel", OK, "Linux %s %s", kernel.release,
		      kernel.machine);
	} else {
		check("kernel", MISSING, "Linux %s: the modules need 6.1 or newer", kernel.release);
		mend_kernel();
	}
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

/* One command may mend more than one thing. */
static bool was_told(size_t index, const char *fix)
{
	for (size_t i = 0; i < index; i++) {
		json_object *check = json_object_array_get_idx(checks, i);
		const char *other = text_of(check, "fix");

		if (other && !strcmp(other, fix))
			return true;
	}
	return false;
}

static void put_check(size_t index, int width)
{
	static const struct {
		const char *name;
		enum colour colour;
	} states[] = {
		{ "ok", GREEN }, { "absent", YELLOW }, { "missing", RED },
	};
	json_object *check = json_object_array_get_idx(checks, index);
	const char *state = text_of(check, "state");
	const char *fix = text_of(check, "fix");
	int s = 0;

	while (strcmp(states[s].name, state))
		s++;
	printf("%s%-7s%s  ", colour(states[s].colour), state, colour(PLAIN));
	width -= put_text(stdout, text_of(check, "what"));
	printf("%*s  ", width > 0 ? width : 0, "");
	put_text(stdout, text_of(check, "text"));
	putchar('\n');
	if (!fix || was_told(index, fix))
		return;
	printf("%9s%s", "", colour(BOLD));
	put_text(stdout, fix);
	printf("%s\n", colour(PLAIN));
}

static int run_doctor(void)
{
	json_object *answer;
	const char *backend;
	int width;

	if (!geteuid())
		sudo = "";
	checks = json_object_new_array();
	check_kernel();
	check_user();
	check_headers();
	check_module("ion");
	check_module("vion");
	check_signing();
	check_our_node("/dev/ion", "misc/ion", R_OK);
	check_our_node("/dev/vion_dev", "misc/vion_dev", R_OK | W_OK);
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
			put_check(i, width);
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
