// SPDX-License-Identifier: MIT
/* Operations on buffers: descriptors, mappings, drivers, other processes. */
#include <linux/ion_test.h>
#include <sys/prctl.h>

#include "model.h"

static int sockets[2];

static int number_of(struct buffer *buffer)
{
	return index_of(m.buffers, buffer);
}

/* ---- descriptors */

bool do_dup(void)
{
	struct descriptor *from = any(m.descriptors, buffer);
	int fd;

	if (!from || !room(m.descriptors, buffer))
		return false;
	say("dup descriptor %d", index_of(m.descriptors, from));
	fd = sys(fcntl(from->fd, F_DUPFD_CLOEXEC, 3));
	agree(fd < 0 ? fd : 0, 0);
	hold(from->buffer);
	new_descriptor(from->buffer, fd);
	return true;
}

bool do_close_fd(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);

	if (!descriptor)
		return false;
	say("close descriptor %d of buffer %d",
	    index_of(m.descriptors, descriptor), number_of(descriptor->buffer));
	drop_descriptor(descriptor);
	return true;
}

/* What a descriptor tells about itself. */
bool do_look(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);
	int fd;

	if (!descriptor)
		return false;
	fd = descriptor->fd;
	say("look at descriptor %d", index_of(m.descriptors, descriptor));
	agree(inode_of(fd), descriptor->buffer->ino);
	agree(sys(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	agree(sys(fcntl(fd, F_GETFL)) & O_ACCMODE, descriptor->buffer->mode);
	agree(sys(lseek(fd, 0, SEEK_END)), descriptor->buffer->size);
	agree(sys(lseek(fd, 0, SEEK_SET)), 0);
	agree(sys(lseek(fd, 1, SEEK_SET)), -EINVAL);
	agree(sys(lseek(fd, 0, SEEK_CUR)), -EINVAL);
	return true;
}

bool do_dma_buf_sync(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);
	struct dma_buf_sync sync = {
		.flags = one_in(16) ? random64() : rnd(8),
	};
	enum where where = somewhere();
	long wanted;

	if (!descriptor)
		return false;
	say("DMA_BUF_SYNC descriptor %d flags %#llx%s",
	    index_of(m.descriptors, descriptor), sync.flags,
	    where == BAD ? ", bad pointer" : "");
	wanted = where == BAD ? -EFAULT :
		 sync.flags & ~7ULL || !(sync.flags & 3) ? -EINVAL : 0;
	agree(request(descriptor->fd, DMA_BUF_IOCTL_SYNC,
		      place(&sync, sizeof(sync), where)), wanted);
	return true;
}

bool do_name(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);
	size_t len = one_in(8) ? DMA_BUF_NAME_LEN + rnd(8) : rnd(32);
	enum where where = somewhere();
	char name[64] = "";

	if (!descriptor)
		return false;
	memset(name, 'a' + rnd(26), len);
	say("SET_NAME descriptor %d length %zu%s",
	    index_of(m.descriptors, descriptor), len,
	    where == BAD ? ", bad pointer" : "");
	/* With the zero at its end it has to be no longer than that. */
	agree(request(descriptor->fd, one_in(2) ? DMA_BUF_SET_NAME_A :
						  DMA_BUF_SET_NAME_B,
		      place(name, sizeof(name), where)),
	      where == BAD ? -EFAULT : len >= DMA_BUF_NAME_LEN ? -EINVAL : 0);
	return true;
}

/* A buffer's fences go out as a file, and into another buffer. */
bool do_fence(void)
{
	struct descriptor *from = any(m.descriptors, buffer);
	struct descriptor *to = any(m.descriptors, buffer);
	struct dma_buf_export_sync_file out = { .flags = rnd(5) };
	struct dma_buf_import_sync_file in = { .flags = rnd(5) };
	long wanted = out.flags - 1 < 3 ? 0 : -EINVAL;

	if (!from)
		return false;
	say("EXPORT_SYNC_FILE descriptor %d flags %u",
	    index_of(m.descriptors, from), out.flags);
	agree(request(from->fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out), wanted);
	if (wanted)
		return true;
	in.fd = one_in(8) ? to->fd : out.fd;
	wanted = in.flags - 1 < 3 && in.fd == out.fd ? 0 : -EINVAL;
	say(", IMPORT_SYNC_FILE descriptor %d flags %u",
	    index_of(m.descriptors, to), in.flags);
	agree(request(to->fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), wanted);
	close(out.fd);
	return true;
}

/* ---- sockets */

void open_sockets(void)
{
	expect(sys(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			      sockets)), 0);
}

void close_sockets(void)
{
	for (size_t i = 0; i < COUNT(m.sent); i++) {
		put(m.sent[i].buffer);
		m.sent[i].buffer = NULL;
	}
	close(sockets[0]);
	close(sockets[1]);
}

bool do_send(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);
	struct descriptor *sent = room(m.sent, buffer);

	if (!sent) {
		say("close the sockets");
		close_sockets();
		open_sockets();
		return true;
	}
	if (!descriptor)
		return false;
	say("send descriptor %d of buffer %d",
	    index_of(m.descriptors, descriptor), number_of(descriptor->buffer));
	send_fd(sockets[0], descriptor->fd);
	*sent = *descriptor;
	hold(sent->buffer);
	return true;
}

bool do_receive(void)
{
	struct descriptor sent = m.sent[0];
	int fd;

	if (!sent.buffer || !room(m.descriptors, buffer))
		return false;
	say("receive");
	memmove(m.sent, m.sent + 1, sizeof(m.sent) - sizeof(m.sent[0]));
	m.sent[COUNT(m.sent) - 1].buffer = NULL;
	fd = receive_fd(sockets[1]);
	new_descriptor(sent.buffer, fd);
	return true;
}

/* ---- mappings */

static int mapping_number(struct mapping *mapping)
{
	return index_of(m.mappings, mapping);
}

bool do_map(void)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);
	struct mapping *mapping = room(m.mappings, buffer);
	int prot = one_in(4) ? rnd(2) : PROT_READ | PROT_WRITE;
	struct buffer *buffer;
	size_t pages, offset, len;
	bool private = one_in(24);
	long wanted = 0;
	unsigned char *addr;

	if (!descriptor || !mapping)
		return false;
	buffer = descriptor->buffer;
	pages = buffer->size / PAGE;
	offset = one_in(2) ? 0 : rnd(pages);
	len = one_in(2) ? pages - offset : 1 + rnd(pages - offset);
	if (one_in(16))
		len += pages - offset - len + rnd(3);
	if (one_in(24))
		offset = one_in(2) ? pages : 1UL << (20 + rnd(30));
	if (one_in(48))
		len = 0;
	say("mmap descriptor %d of buffer %d page %#zx, %#zx pages, prot %d%s",
	    index_of(m.descriptors, descriptor), number_of(buffer), offset, len,
	    prot, private ? ", private" : "");
	if (!len || private)
		wanted = -EINVAL;
	else if (buffer->mode == O_WRONLY ||
		 (prot & PROT_WRITE && buffer->mode != O_RDWR))
		wanted = -EACCES;
	else if (offset + len > pages)
		wanted = -EINVAL;
	agree(ion_map_fd(descriptor->fd, len * PAGE, prot,
			 private ? MAP_PRIVATE : MAP_SHARED, offset * PAGE,
			 &addr), wanted);
	if (wanted)
		return true;
	*mapping = (struct mapping) {
		.buffer = buffer, .addr = (char *)addr, .len = len * PAGE,
		.offset = offset * PAGE, .prot = prot,
	};
	hold(buffer);
	say(" mapping %d", mapping_number(mapping));
	return true;
}

static bool has_room_to_split(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < COUNT(m.mappings); i++)
		n += !m.mappings[i].buffer;
	return n >= 2;
}

/* Cuts a mapping in two; gives the second. */
static struct mapping *cut(struct mapping *mapping, size_t at)
{
	struct mapping *rest = room(m.mappings, buffer);

	*rest = *mapping;
	rest->addr += at;
	rest->len -= at;
	rest->offset += at;
	mapping->len = at;
	hold(mapping->buffer);
	return rest;
}

/* Makes a part of a mapping, in pages, one of its own. */
static struct mapping *part(struct mapping *mapping, size_t from, size_t len)
{
	if (from)
		mapping = cut(mapping, from * PAGE);
	if (len * PAGE < mapping->len)
		cut(mapping, len * PAGE);
	return mapping;
}

static void any_part(struct mapping *mapping, size_t *from, size_t *len)
{
	size_t pages = mapping->len / PAGE;

	*from = one_in(2) ? 0 : rnd(pages);
	*len = one_in(2) ? pages - *from : 1 + rnd(pages - *from);
}

void drop_mapping(struct mapping *mapping)
{
	struct buffer *buffer = mapping->buffer;

	mapping->buffer = NULL;
	agree(sys(munmap(mapping->addr, mapping->len)), 0);
	put(buffer);
}

bool do_unmap(void)
{
	struct mapping *mapping = any(m.mappings, buffer);
	size_t from, len;

	if (!mapping || !has_room_to_split())
		return false;
	any_part(mapping, &from, &len);
	say("munmap mapping %d from page %#zx, %#zx pages",
	    mapping_number(mapping), from, len);
	drop_mapping(part(mapping, from, len));
	return true;
}

bool do_protect(void)
{
	struct mapping *mapping = any(m.mappings, buffer);
	int prot = one_in(2) ? PROT_READ | PROT_WRITE : rnd(2);
	size_t from, len;
	long wanted;

	if (!mapping || !has_room_to_split())
		return false;
	any_part(mapping, &from, &len);
	say("mprotect mapping %d from page %#zx, %#zx pages, prot %d",
	    mapping_number(mapping), from, len, prot);
	wanted = prot & PROT_WRITE && mapping->buffer->mode != O_RDWR ?
		 -EACCES : 0;
	agree(sys(mprotect(mapping->addr + from * PAGE, len * PAGE, prot)),
	      wanted);
	if (!wanted && prot != mapping->prot)
		part(mapping, from, len)->prot = prot;
	return true;
}

/* To another place, which may be smaller; none can grow. */
bool do_move(void)
{
	struct mapping *mapping = any(m.mappings, buffer);
	size_t from, len;
	char *to;

	if (!mapping || !has_room_to_split())
		return false;
	any_part(mapping, &from, &len);
	if (one_in(4)) {
		say("grow mapping %d", mapping_number(mapping));
		to = mremap(mapping->addr, mapping->len, mapping->len + PAGE,
			    MREMAP_MAYMOVE);
		agree(to == MAP_FAILED ? -errno : 0, -EFAULT);
		return true;
	}
	to = mmap(NULL, len * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0);
	say("mremap mapping %d from page %#zx, %#zx pages",
	    mapping_number(mapping), from, len);
	agree(mremap(mapping->addr + from * PAGE, len * PAGE, len * PAGE,
		     MREMAP_MAYMOVE | MREMAP_FIXED, to) == to ? 0 : -errno, 0);
	part(mapping, from, len)->addr = to;
	return true;
}

static struct mapping *any_mapping(int prot, size_t *at, size_t *len)
{
	struct mapping *mapping = any(m.mappings, buffer);

	if (!mapping || (mapping->prot & prot) != prot)
		return NULL;
	*at = one_in(4) ? 0 : rnd(mapping->len);
	*len = mapping->len - *at;
	if (one_in(2) || *len > SCRATCH)
		*len = 1 + rnd(*len < 2 * PAGE ? *len : 2 * PAGE);
	return mapping;
}

bool do_poke(void)
{
	size_t at, len;
	struct mapping *mapping = any_mapping(PROT_READ | PROT_WRITE, &at,
					      &len);

	if (!mapping)
		return false;
	say("write to mapping %d of buffer %d at %#zx, %#zx bytes",
	    mapping_number(mapping), number_of(mapping->buffer), at, len);
	memcpy(mapping->addr + at, new_content(len), len);
	memcpy(mapping->buffer->content + mapping->offset + at, scratch, len);
	return true;
}

bool do_peek(void)
{
	size_t at, len;
	struct mapping *mapping = any_mapping(PROT_READ, &at, &len);

	if (!mapping)
		return false;
	say("read mapping %d of buffer %d at %#zx, %#zx bytes",
	    mapping_number(mapping), number_of(mapping->buffer), at, len);
	check_content(mapping->buffer, mapping->offset + at, mapping->addr + at,
		      len);
	return true;
}

/* ---- drivers */

static bool open_driver(struct driver *driver, const char *path, long wanted)
{
	long came;

	say("open %s", path);
	came = sys(open(path, O_RDWR | O_CLOEXEC));
	agree(came < 0 ? came : 0, wanted);
	if (!wanted)
		*driver = (struct driver) { .fd = came };
	return true;
}

void close_driver(struct driver *driver)
{
	agree(sys(close(driver->fd)), 0);
	put(driver->buffer);
	memset(driver, 0, sizeof(*driver));
}

static void give(struct driver *driver, struct buffer *buffer)
{
	if (buffer)
		hold(buffer);
	put(driver->buffer);
	driver->buffer = buffer;
}

bool do_vion_open(void)
{
	if (!m.vion.fd || one_in(4))
		return open_driver(&m.vion, "/dev/vion_dev",
				   m.vion.fd ? -EBUSY : 0);
	say("close /dev/vion_dev");
	close_driver(&m.vion);
	return true;
}

static bool ask_vion(unsigned long cmd)
{
	bool registers = cmd == VION_REGISTER_ION;
	enum where where = one_in(32) ? BAD : GOOD;
	struct buffer *buffer;
	long wanted;
	int fd;

	if (!m.vion.fd)
		return false;
	say(registers ? "VION_REGISTER_ION" : "VION_UNREGISTER_ION");
	buffer = any_named(&fd, &wanted);
	if (!registers && !wanted && buffer != m.vion.buffer)
		wanted = m.vion.buffer ? -EINVAL : -ENXIO;
	if (where == BAD)
		wanted = -EFAULT;
	agree(request(m.vion.fd, cmd, place(&fd, sizeof(fd), where)), wanted);
	if (!wanted)
		give(&m.vion, registers ? buffer : NULL);
	return true;
}

bool do_register(void)
{
	return ask_vion(VION_REGISTER_ION);
}

bool do_unregister(void)
{
	return ask_vion(VION_UNREGISTER_ION);
}

/* What a transfer of vion answers, of good memory or bad. */
static long predict_io(bool write, off_t pos, size_t len, bool bad)
{
	struct buffer *buffer = m.vion.buffer;

	if (pos < 0 || pos + len > INT64_MAX)
		return -EINVAL;
	if (!buffer)
		return -ENXIO;
	if (write && buffer->mode == O_RDONLY)
		return -EACCES;
	if (!len)
		return 0;
	if ((size_t)pos >= buffer->size)
		return write ? -ENOSPC : 0;
	if (bad)
		return -EFAULT;
	return len < buffer->size - pos ? len : buffer->size - pos;
}

bool do_vion_io(void)
{
	bool write = one_in(2), seek = one_in(2), bad = one_in(32);
	struct buffer *buffer = m.vion.buffer;
	unsigned char *data = bad ? (void *)8 : scratch;
	uint64_t pos, len;
	long wanted, came;

	if (!m.vion.fd)
		return false;
	any_range(buffer ? buffer->size : PAGE, &pos, &len);
	if (len > SCRATCH)
		len = SCRATCH;
	if (!seek)
		pos = m.vion.pos;
	say("%s%s vion at %#llx, %#llx bytes%s", seek ? "p" : "",
	    write ? "write" : "read", (unsigned long long)pos,
	    (unsigned long long)len, bad ? ", bad pointer" : "");
	if (write)
		new_content(len);
	wanted = predict_io(write, pos, len, bad);
	if (write)
		came = sys(seek ? pwrite(m.vion.fd, data, len, pos) :
				  (ssize_t)syscall(SYS_write, m.vion.fd, data,
						   len));
	else
		came = sys(seek ? pread(m.vion.fd, data, len, pos) :
				  (ssize_t)syscall(SYS_read, m.vion.fd, data,
						   len));
	agree(came, wanted);
	if (wanted <= 0)
		return true;
	if (write)
		memcpy(buffer->content + pos, data, wanted);
	else
		check_content(buffer, pos, data, wanted);
	if (!seek)
		m.vion.pos += wanted;
	return true;
}

static bool is_part(struct buffer *buffer, uint64_t at, uint64_t len)
{
	return len && at <= buffer->size && len <= buffer->size - at;
}

/*
 * The answer for a job that is as it should be, but for its parts. What another
 * buffer needs is got first, then all parts are looked at.
 */
static long predict_job(const struct vion_job *job, struct buffer *other,
			long other_answer)
{
	struct buffer *buffer = m.vion.buffer, *to = buffer;
	uint64_t at = job->fill.offset, len = job->fill.len;

	if (!buffer)
		return -ENXIO;
	if (job->type == VION_JOB_COPY) {
		uint64_t from = job->copy.fd_offset;

		if (other_answer)
			return other_answer;
		at = job->copy.offset;
		len = job->copy.len;
		if (!is_part(other, from, len) ||
		    (other == buffer && (at < from ? from - at : at - from) <
		     len))
			return -EINVAL;
		if (job->copy.to_fd)
			to = other;
	}
	if (!is_part(buffer, at, len))
		return -EINVAL;
	if (job->type != VION_JOB_CRC32 && to->mode == O_RDONLY)
		return -EACCES;
	return 0;
}

static void expect_job(const struct vion_job *job, struct buffer *other,
		       const struct vion_result *result)
{
	unsigned char *content = m.vion.buffer->content;

	agree(result->status, 0);
	if (job->type == VION_JOB_FILL) {
		for (uint64_t i = 0; i < job->fill.len; i++)
			content[job->fill.offset + i] =
				job->fill.pattern >> 8 * (i % 4);
	} else if (job->type == VION_JOB_CRC32) {
		agree(result->crc32, crc_of(content + job->crc32.offset,
					    job->crc32.len));
	} else {
		unsigned char *ours = content + job->copy.offset;
		unsigned char *theirs = other->content + job->copy.fd_offset;

		memcpy(job->copy.to_fd ? theirs : ours,
		       job->copy.to_fd ? ours : theirs, job->copy.len);
	}
}

static struct vion_job any_job(struct buffer **other, long *other_answer)
{
	struct buffer *buffer = m.vion.buffer;
	uint64_t at, len, from, ignored;
	int fd;

	any_range(buffer ? buffer->size : PAGE, &at, &len);
	switch (rnd(3)) {
	case 0:
		return fill_job(at, len, random64());
	case 1:
		return crc_job(at, len);
	default:
		*other = any_named(&fd, other_answer);
		any_range(*other ? (*other)->size : PAGE, &from, &ignored);
		return copy_job(fd, rnd(2), at, from, len);
	}
}

/* And what it had is given back by asking for the same buffer again. */
bool do_vion_job(void)
{
	struct descriptor *again;
	struct buffer *other = NULL;
	long wanted, other_answer = 0;
	struct vion_result result;
	struct vion_job job;

	if (!m.vion.fd)
		return false;
	job = any_job(&other, &other_answer);
	job.flags = VION_JOB_FENCE;
	say("VION_SUBMIT type %u: %#llx %#llx %#llx %#llx", job.type,
	    job.space[0], job.space[1], job.space[2], job.space[3]);
	wanted = predict_job(&job, other, other_answer);
	agree(submit(m.vion.fd, &job), wanted);
	if (wanted)
		return true;
	wait_for(job.fence, POLLIN);
	agree(sync_status(job.fence), 1);
	close(job.fence);
	result = result_of(m.vion.fd, job.id);
	expect_job(&job, other, &result);
	again = any(m.descriptors, buffer);
	if (!again)
		return true;
	agree(request(m.vion.fd, VION_REGISTER_ION, &again->fd), 0);
	give(&m.vion, again->buffer);
	return true;
}

bool do_vion_seek(void)
{
	int whence = rnd(4);
	struct buffer *buffer = m.vion.buffer;
	uint64_t offset, len;
	long wanted;

	if (!m.vion.fd)
		return false;
	any_range(buffer ? buffer->size : PAGE, &offset, &len);
	if (one_in(2))
		offset = -offset;
	say("lseek vion to %#llx from %d", (unsigned long long)offset, whence);
	wanted = offset;
	if (whence == SEEK_CUR)
		wanted = (uint64_t)wanted + m.vion.pos;
	else if (buffer && whence == SEEK_END)
		wanted = (uint64_t)wanted + buffer->size;
	if (!buffer)
		wanted = -ENXIO;
	else if (whence > SEEK_END || wanted < 0 ||
		 (size_t)wanted > buffer->size)
		wanted = -EINVAL;
	agree(sys(lseek(m.vion.fd, offset, whence)), wanted);
	if (wanted >= 0)
		m.vion.pos = wanted;
	return true;
}

bool do_importer(void)
{
	struct driver *driver = any(m.importers, fd);
	struct buffer *buffer = NULL;
	long wanted = 0;
	int fd = -1;

	if (!driver || one_in(8)) {
		driver = &m.importers[rnd(COUNT(m.importers))];
		if (!driver->fd)
			return open_driver(driver, "/dev/ion-test", 0);
		say("close importer %d", index_of(m.importers, driver));
		close_driver(driver);
		return true;
	}
	say("SET_FD importer %d", index_of(m.importers, driver));
	if (!one_in(8))
		buffer = any_named(&fd, &wanted);
	if (fd == -1)
		wanted = 0;
	agree(sys(ioctl(driver->fd, ION_IOC_TEST_SET_FD, fd)), wanted);
	if (!wanted)
		give(driver, buffer);
	return true;
}

static size_t first_piece(size_t offset, size_t len, bool dma)
{
	size_t most = dma ? PAGE - offset % PAGE : PAGE;

	return len < most ? len : most;
}

bool do_importer_io(void)
{
	struct driver *driver = any(m.importers, fd);
	struct ion_test_rw_data data = { .write = one_in(2) };
	bool dma = one_in(2), bad = one_in(32);
	enum where where = somewhere();
	struct buffer *buffer;
	uint64_t offset, len;
	long wanted = 0;

	if (!driver)
		return false;
	buffer = driver->buffer;
	any_range(buffer ? buffer->size : PAGE, &offset, &len);
	data.offset = offset;
	data.size = len;
	data.ptr = bad ? 8 : (uintptr_t)scratch;
	say("%s importer %d at %#llx, %#llx bytes, write %d%s%s",
	    dma ? "DMA_MAPPING" : "KERNEL_MAPPING",
	    index_of(m.importers, driver), (unsigned long long)offset,
	    (unsigned long long)len, data.write, bad ? ", bad memory" : "",
	    where == BAD ? ", bad pointer" : "");
	if (where == BAD)
		wanted = -EFAULT;
	else if (!buffer || offset > buffer->size ||
		 len > buffer->size - offset)
		wanted = -EINVAL;
	else if (len > SCRATCH)
		return false;
	else if (bad && len)
		wanted = -EFAULT;
	if (!wanted && data.write)
		new_content(len);
	agree(request(driver->fd, dma ? ION_IOC_TEST_DMA_MAPPING :
					ION_IOC_TEST_KERNEL_MAPPING,
		      place(&data, sizeof(data), where)), wanted);
	/* What the kernel cannot get from a program, it clears: up to a page. */
	if (wanted == -EFAULT && where != BAD && data.write)
		memset(buffer->content + offset, 0, first_piece(offset, len,
								dma));
	if (wanted || bad)
		return true;
	if (data.write)
		memcpy(buffer->content + offset, scratch, len);
	else
		check_content(buffer, offset, scratch, len);
	return true;
}

/* ---- other processes */

/* A little life of its own, in which it may be killed at any moment. */
static void live(int tell)
{
	for (int i = 0; i < 4; i++) {
		size_t len = (1 + rnd(4)) * PAGE;
		int ion = ion_open(), fd = -1;
		ion_user_handle_t handle;
		char *addr;

		if (ion_alloc_fd(ion, len, 0, 1U << rnd(6), rnd(2), &fd))
			continue;
		ion_import(ion, fd, &handle);
		addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    0);
		if (addr != MAP_FAILED)
			memset(addr, 0xff, len);
		if (one_in(2))
			close(fd);
		if (one_in(2))
			close(ion);
		if (one_in(4))
			munmap(addr, len);
		if (write(tell, "", 1) != 1)
			break;
	}
}

static void child(int tell, struct mapping *mapping, size_t at, size_t len)
{
	/* It sees what its parent does. */
	do_peek();
	if (mapping)
		memcpy(mapping->addr + at, scratch, len);
	if (write(tell, "", 1) == 1)
		live(tell);
	_exit(0);
}

bool do_fork(void)
{
	size_t at, len;
	struct mapping *mapping = any_mapping(PROT_READ | PROT_WRITE, &at,
					      &len);
	unsigned int steps = rnd(4);
	bool killed = one_in(2);
	int tell[2], status;
	char byte;
	pid_t pid;

	say("fork, %s", killed ? "to be killed" : "which ends");
	if (mapping)
		new_content(len);
	expect(sys(pipe2(tell, O_CLOEXEC)), 0);
	pid = expect_ok(sys(fork()));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child(tell[1], mapping, at, len);
	}
	close(tell[1]);
	if (read(tell[0], &byte, 1) != 1 && !progress->failed)
		wrong("a child ended before it could write");
	if (mapping)
		memcpy(mapping->buffer->content + mapping->offset + at, scratch,
		       len);
	while (steps-- && read(tell[0], &byte, 1) == 1)
		;
	if (killed)
		kill(pid, SIGKILL);
	expect(sys(waitpid(pid, &status, 0)), pid);
	close(tell[0]);
	if (progress->failed)
		_exit(1);
	/* A kill may come too late. */
	if (status && !(killed && WIFSIGNALED(status) &&
			WTERMSIG(status) == SIGKILL))
		wrong("a child ended with status %#x", status);
	return true;
}

/* ---- the kernel's own view: ion/ in debugfs */

static unsigned int maps_of(const struct buffer *buffer)
{
	unsigned int n = 0;

	for (size_t i = 0; i < COUNT(m.mappings); i++)
		n += m.mappings[i].buffer == buffer;
	return n;
}

static struct buffer *with_inode(ino_t ino)
{
	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs && m.buffers[i].ino == ino)
			return &m.buffers[i];
	return NULL;
}

static FILE *open_report(const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/ion/%s", name);
	file = fopen(path, "re");
	if (!file)
		wrong("no %s", path);
	return file;
}

static void check_line(struct buffer *buffer, size_t size, unsigned int flags,
		       unsigned int maps, const char *kernel)
{
	bool mapped = m.vion.buffer == buffer;

	if (size != buffer->size || flags != buffer->flags ||
	    maps != maps_of(buffer) || strcmp(kernel, mapped ? "yes" : "no"))
		wrong("buffer %d: expected %zu bytes, flags %#x, %u mappings, kernel %s, came %zu, %#x, %u, %s",
		      number_of(buffer), buffer->size, buffer->flags,
		      maps_of(buffer), mapped ? "yes" : "no", size, flags, maps,
		      kernel);
}

static void check_buffers(void)
{
	unsigned long long ino, counted = 0;
	unsigned int flags, maps, wanted = 0, came = 0;
	FILE *file = open_report("buffers");
	struct buffer *buffer;
	char line[256], kernel[8];
	size_t size;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "counted: %llu", &counted) == 1 ||
		    sscanf(line, "%llu %zu %x %u %7s", &ino, &size, &flags,
			   &maps, kernel) != 5)
			continue;
		came++;
		buffer = with_inode(ino);
		if (buffer)
			check_line(buffer, size, flags, maps, kernel);
	}
	fclose(file);
	for (size_t i = 0; i < COUNT(m.buffers); i++)
		wanted += m.buffers[i].refs && m.buffers[i].heap != FOREIGN;
	if (came != wanted)
		wrong("expected %u buffers, came %u", wanted, came);
	if (counted != held_by_all())
		wrong("expected %zu bytes counted, came %llu", held_by_all(),
		      counted);
}

static void check_heap(unsigned int id)
{
	size_t wanted = 0, came = 0;
	char name[128], line[256];
	FILE *file;

	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs && m.buffers[i].heap == id)
			wanted += m.buffers[i].size;
	snprintf(name, sizeof(name), "heaps/%s", m.heaps[id].name);
	file = open_report(name);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "bytes: %zu", &came) == 1)
			break;
	fclose(file);
	if (came != wanted)
		wrong("heap %s: expected %zu bytes, came %zu",
		      m.heaps[id].name, wanted, came);
}

bool do_totals(void)
{
	say("read debugfs");
	check_buffers();
	for (unsigned int id = 0; id < ION_NUM_HEAP_IDS; id++)
		if (m.heaps[id].lives)
			check_heap(id);
	return true;
}
