/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_REPORT_H
#define _ION_REPORT_H

void ion_report_init(void);
void ion_report_exit(void);

#endif
