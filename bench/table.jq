# SPDX-License-Identifier: MIT
# The results as a table: ours, a peer's, how many times faster, what is wanted.

include "units";

def verdict(wanted):
	if wanted == null then ["", ""]
	elif . >= wanted then [">= \(wanted)", "reached"]
	else [">= \(wanted)", "MISSED"] end;

# Ours against theirs, in what counts less the better.
def row($kernel; $what; $size; $ours; $peer; $theirs; $wanted):
	($theirs / $ours) as $ratio
	| [$kernel, $what, ($size | amount), ($ours | figure), $peer,
	   ($theirs | figure), ($ratio | figure)] + ($ratio | verdict($wanted));

def of($test; $who): .[] | select(.test == $test and .who == $who);
def is_6_12: startswith("6.12");
def wanted_life($kernel):
	if $kernel | is_6_12 then
		{"4096": 1.1, "65536": 2.1, "1048576": 7, "4194304": 70,
		 "16777216": 140}
	else
		{"4096": 1.1, "65536": 1.4, "1048576": 3, "4194304": 45,
		 "16777216": 90}
	end;
def from_1_mib($kernel; $size; $ratio):
	if ($kernel | is_6_12) and $size >= 1048576 then $ratio else 1 end;

def lives($kernel):
	. as $all | of("life"; "ion") | . as $ion
	| ($all | of("life"; "dma-heap", "udmabuf", "memfd")
	   | select(.size == $ion.size)) as $peer
	| row($kernel; "life"; .size; .whole; $peer.who; $peer.whole;
	      if $peer.who == "dma-heap"
	      then wanted_life($kernel)[.size | tostring] else null end);

def empty_pools($kernel):
	. as $all | of("empty"; "ion") | . as $ion
	| ($all | of("life"; "dma-heap") | select(.size == $ion.size)) as $peer
	| row($kernel; "life, empty pools"; .size; .whole; $peer.who;
	      $peer.whole; from_1_mib($kernel; $ion.size; 1.3));

def sustained($kernel):
	. as $all | of("sustained"; "ion") | . as $ion
	| ($all | of("sustained"; "dma-heap") | select(.size == $ion.size))
	  as $peer
	| row($kernel; "1000 lives, all that runs"; .size; .whole; $peer.who;
	      $peer.whole; from_1_mib($kernel; $ion.size; 2));

# libion's calls against the same requests without it.
def layer($kernel):
	. as $all | of("layer"; "ion") | . as $ion
	| ($all | of("layer"; "ion, by ioctl") | select(.size == $ion.size))
	  as $bare
	| row($kernel; "life, by libion"; .size; .whole; $bare.who;
	      $bare.whole; 0.98);

def combined($kernel):
	of("life"; "ion, write-combined")
	| [$kernel, "life, write-combined", (.size | amount), (.whole | figure)];

def copies($kernel):
	. as $all | of("copy"; "vion") | . as $ion
	| ($all | of("copy"; "memfd") | select(.size == $ion.size)) as $peer
	| ("write", "read") as $way
	| row($kernel; "vion " + $way + "()"; .size; .[$way];
	      "memfd p" + $way + "()"; $peer[$way]; 1.001);

def growth($kernel):
	[of("copy"; "vion") | select(.size >= 65536)] | sort_by(.size)
	| (.[0] | .read / .size) as $first | .[-1]
	| row($kernel; "vion read(), a MiB of it"; .size;
	      .read / .size * 1048576; "of 64 KiB"; $first * 1048576; 1);

def frames($kernel):
	. as $all | of("frame"; "shared buffer") | . as $ion
	| ($all[] | select(.test == "frame" and .size == $ion.size and
			   .who != $ion.who)) as $peer
	| row($kernel; "frame to a program"; .size; .whole; $peer.who;
	      $peer.whole; null);

def registering($kernel):
	[of("register"; "ion, contiguous")] | sort_by(.size)
	| select(length > 0) | .[0].whole as $first | .[-1]
	| row($kernel; "register, contiguous"; .size; .whole; "4 KiB"; $first;
	      0.99);

def camera($kernel):
	. as $all | .[]
	| select(.who == "shared" and (.test | endswith("screen"))) | . as $ion
	| ($all[] | select(.test == $ion.test and .size == $ion.size and
			   .who == "copied")) as $peer
	| ("camera, " + .test) as $what
	| row($kernel; $what; .size; .whole; "copied"; $peer.whole; 1.05),
	  row($kernel; $what + ", program"; .size; .own; "copied"; $peer.own;
	      null);

# What a program does that shares is the same for any frame.
def camera_growth($kernel):
	[of("no screen"; "shared")] | sort_by(.size)
	| select(length > 0) | .[0] as $first | .[-1]
	| row($kernel; "camera, no screen, program"; .size; .own;
	      "of 640x480"; $first.own; 0.95);

def many($kernel):
	. as $all | of("many"; "ion") | . as $ion
	| row($kernel; "the 100000th buffer"; .size; .last; "the first";
	      .first; 0.91),
	  ($all[] | select(.test == "many" and .who != "ion")
	   | row($kernel; "kernel objects, bytes"; .size; $ion.objects; .who;
		 .objects; null));

def cpus($kernel):
	of("cpus"; "ion")
	| [$kernel, "buffers a second, 2 CPUs", (.size | amount),
	   (.two | figure), "1 CPU", (.one | figure),
	   (.two / .one | figure)] + (.two / .one | verdict(1.5));

(["kernel", "what", "size", "ours", "against", "theirs", "ratio", "wanted", ""]),
(group_by(.kernel)[] | .[0].kernel as $full
 | ($full | split(".")[0:2] | join(".")) as $kernel
 | map(.results) | add
 | lives($kernel), empty_pools($kernel), sustained($kernel), layer($kernel),
   combined($kernel), copies($kernel), growth($kernel), frames($kernel),
   registering($kernel), camera($kernel), camera_growth($kernel), many($kernel), cpus($kernel))
| @tsv
