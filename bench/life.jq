# SPDX-License-Identifier: MIT
# What a life costs in microseconds, a line a size, a column a way; for gnuplot.
[.[] | select(.kernel == $kernel) | .results[] | select(.test == "life")]
| (map(.who) | unique) as $who
| (["size"] + $who | map("\"" + . + "\"") | join(" ")),
  (group_by(.size)[] | . as $lives
   | [.[0].size] + [$who[] as $w | ($lives[] | select(.who == $w) | .whole)]
   | join(" "))
