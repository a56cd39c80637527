# SPDX-License-Identifier: MIT
# How sizes and figures are written.

def amount:
	if . >= 1048576 then "\(. / 1048576 * 10 | round / 10) MiB"
	else "\(. / 1024) KiB" end;
def figure: . * 100 | round / 100 | tostring;
