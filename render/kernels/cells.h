// What lets rays skip empty space, one cell of 8 x 8 x 8 voxels at a time: bounds of its values, whether the cuts left
// anything of it, whether a transfer function shows anything of it, and how far such emptiness reaches. The native
// hosts have bounds over whole slices (native/slab.cpp, native/raycast.cpp); both give the same numbers.
#pragma once

#include "sample.h"

#ifndef CF_CELL_SHIFT
#define CF_CELL_SHIFT 3
#endif

// Cells along each axis. Cell (x, y, z) has the voxels 8x to 8x + 8, the last being the next cell's first.
struct CfCellGrid {
  int nx, ny, nz;
};

// Voxels [first, last] of a cell along one axis of `size` voxels.
CF_FN void cf_cell_reach(int cell, int size, int* first, int* last) {
  const int begin = cell << CF_CELL_SHIFT, end = begin + (1 << CF_CELL_SHIFT);
  *first = begin;
  *last = end < size - 1 ? end : size - 1;
}

// Smallest and largest value. `numbers`: what is not a number is left out (then low > high where there is no number);
// otherwise one in the first voxel makes both bounds not a number, so that the cell is always looked at.
template <typename T>
CF_FN void cf_cell_bounds(const T* values, const CfGrid grid, int x, int y, int z, bool numbers, float* low,
                          float* high) {
  int x0, x1, y0, y1, z0, z1;
  cf_cell_reach(x, grid.nx, &x0, &x1);
  cf_cell_reach(y, grid.ny, &y0, &y1);
  cf_cell_reach(z, grid.nz, &z0, &z1);
  const long long row = grid.nx, slice = row * grid.ny;
  const float begin = (float)values[z0 * slice + y0 * row + x0];
  const bool skip = numbers && !(begin == begin);
  const float infinity = 1e38f * 10.0f;
  float least = skip ? infinity : begin, most = skip ? -infinity : begin;
  for (int k = z0; k <= z1; ++k)
    for (int j = y0; j <= y1; ++j)
      for (int i = x0; i <= x1; ++i) {
        const float value = (float)values[k * slice + j * row + i];
        least = value < least ? value : least;
        most = value > most ? value : most;
      }
  *low = least;
  *high = most;
}

// Whether any voxel of the cell is left by the cuts.
CF_FN cf_u8 cf_cell_kept(const cf_u8* keep, const CfGrid grid, int x, int y, int z) {
  int x0, x1, y0, y1, z0, z1;
  cf_cell_reach(x, grid.nx, &x0, &x1);
  cf_cell_reach(y, grid.ny, &y0, &y1);
  cf_cell_reach(z, grid.nz, &z0, &z1);
  cf_u8 any = 0;
  for (int k = z0; k <= z1; ++k)
    for (int j = y0; j <= y1; ++j)
      for (int i = x0; i <= x1; ++i) any |= keep[((long long)k * grid.ny + j) * grid.nx + i];
  return any;
}

// 255 for a cell that shows nothing, else 0. visible_before[i]: entries before i that are not fully transparent.
CF_FN cf_u8 cf_cell_empty(float low, float high, bool kept, float first, float steps, int entries,
                          const int* visible_before) {
  const int a = cf_table_index(low, first, steps, entries), b = cf_table_index(high, first, steps, entries);
  const bool visible = !(low <= high) || visible_before[b + 1] > visible_before[a];
  return kept && visible ? 0 : 255;
}

// One axis of the Chebyshev distance: the smallest over r of max(r, map at r cells before or behind). The three axes
// one after the other give the distance to the nearest cell that is not empty, 255 at most.
CF_FN cf_u8 cf_cell_spread(const cf_u8* map, long long at, long long stride, int place, int size) {
  int best = map[at];
  for (int r = 1; r < best && (place - r >= 0 || place + r < size); ++r) {
    const int before = place - r >= 0 ? map[at - r * stride] : 255, behind = place + r < size ? map[at + r * stride] : 255;
    const int nearer = before < behind ? before : behind, found = nearer > r ? nearer : r;
    best = found < best ? found : best;
  }
  return (cf_u8)best;
}
