# SPDX-License-Identifier: MIT
# One picture of data, for kernel: see bench/run.
set terminal svg size 720,480 font "sans,13" background "white"
set title "Allocate, map, touch, unmap and close, Linux ".kernel
set xlabel "buffer"
set ylabel "microseconds"
set logscale xy
set xtics ("4 KiB" 4096, "64 KiB" 65536, "1 MiB" 1048576, "4 MiB" 4194304, \
	"16 MiB" 16777216)
set key top left
set grid
stats data skip 1 nooutput
plot for [i=2:STATS_columns] data using 1:i with linespoints lw 2 \
	title columnheader(i)
