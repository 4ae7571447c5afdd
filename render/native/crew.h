// Threads of the kernels' own for work of about a millisecond: waking them and sharing tiles takes no Python.
#pragma once

// Does rows [begin, end) of what `context` tells; 0 is good.
typedef int (*CfRows)(const void* context, int begin, int end);

// All `rows` in tiles of `tile_rows` by the caller and up to `threads` - 1 helpers, who are not waited for unless they
// have taken a tile. While the crew is at another caller's work the caller does his alone. The first status that is not 0.
int cf_crew_run(CfRows work, const void* context, int rows, int tile_rows, int threads);
