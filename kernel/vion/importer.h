/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VION_IMPORTER_H
#define _VION_IMPORTER_H

int vion_importer_init(void);
void vion_importer_exit(void);

#endif
