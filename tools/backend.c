// SPDX-License-Identifier: MIT
/* Which backend buffers come from here, and if none, why. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ionctl.h"

const char *wanted_backend(void)
{
	const char *name = secure_getenv("ION_BACKEND");

	return name && *name ? name : NULL;
}

static bool is_backend(const char *wanted)
{
	const char *name;

	for (int i = 0; (name = ion_backend_name(i)); i++)
		if (!strcmp(name, wanted))
			return true;
	return false;
}

static int no_such_backend(const char *wanted, char why[WHY])
{
	const char *name;
	char names[80] = "";

	for (int i = 0; (name = ion_backend_name(i)); i++) {
		size_t len = strlen(names);

		snprintf(names + len, sizeof(names) - len, "%s%s",
			 len ? ", " : "", name);
	}
	snprintf(why, WHY, "ION_BACKEND=%.64s is no backend (%s)", wanted,
		 names);
	return EXIT_USAGE;
}

static int no_backend(const char *wanted, int error, char why[WHY])
{
	char sentence[128];

	if (wanted && !is_backend(wanted))
		return no_such_backend(wanted, why);
	if (wanted && ion_probe_backend(wanted, sentence, sizeof(sentence)))
		snprintf(why, WHY, "ION_BACKEND=%s: %s", wanted, sentence);
	else
		snprintf(why, WHY, "no buffers can be allocated here: %s",
			 strerror(-error));
	return exit_code(error);
}

int used_backend(const char **name, char why[WHY])
{
	int client = ion_open();

	*name = NULL;
	if (client < 0)
		return no_backend(wanted_backend(), client, why);
	*name = ion_backend(client);
	ion_close(client);
	if (*name)
		return EXIT_FINE;
	snprintf(why, WHY, "/dev/ion is not ION's");
	return EXIT_NOT_THERE;
}
