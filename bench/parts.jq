# SPDX-License-Identifier: MIT
# Where the microseconds of a life go, a line a size and a way.

include "units";

["kernel", "life of", "by", "allocate", "map", "touch", "unmap, close"],
(sort_by(.kernel)[] | (.kernel | split(".")[0:2] | join(".")) as $kernel
 | .results | map(select(.test == "life")) | sort_by(.size)[]
 | [$kernel, (.size | amount), .who, (.alloc | figure), (.mmap | figure),
    (.touch | figure), (.close | figure)])
| @tsv
