// CUDA entry points over cells.h: one thread per cell. They run once per volume, cut or transfer function.
#include "cells.h"

#define CF_CELL_HERE                                             \
  const int x = blockIdx.x * blockDim.x + threadIdx.x;           \
  const int y = blockIdx.y * blockDim.y + threadIdx.y;           \
  const int z = blockIdx.z;                                      \
  if (x >= cells.nx || y >= cells.ny || z >= cells.nz) return;   \
  const long long at = ((long long)z * cells.ny + y) * cells.nx + x;

#define CF_CELL_BOUNDS(NAME, T)                                                                            \
  extern "C" __global__ void NAME(const T* values, CfGrid grid, CfCellGrid cells, int numbers, float* low, \
                                  float* high) {                                                           \
    CF_CELL_HERE                                                                                           \
    cf_cell_bounds<T>(values, grid, x, y, z, numbers != 0, low + at, high + at);                           \
  }
CF_CELL_BOUNDS(cf_cell_bounds_i16, cf_i16)
CF_CELL_BOUNDS(cf_cell_bounds_u16, cf_u16)
CF_CELL_BOUNDS(cf_cell_bounds_f32, cf_f32)

extern "C" __global__ void cf_cells_kept(const cf_u8* keep, CfGrid grid, CfCellGrid cells, cf_u8* kept) {
  CF_CELL_HERE
  kept[at] = cf_cell_kept(keep, grid, x, y, z);
}

extern "C" __global__ void cf_cells_empty(const float* low, const float* high, const cf_u8* kept, CfCellGrid cells,
                                          float first, float steps, int entries, const int* visible_before,
                                          cf_u8* map) {
  CF_CELL_HERE
  map[at] = cf_cell_empty(low[at], high[at], kept == 0 || kept[at] != 0, first, steps, entries, visible_before);
}

// `axis` 0: along x, 1: along y, 2: along z.
extern "C" __global__ void cf_cells_spread(const cf_u8* from, cf_u8* to, CfCellGrid cells, int axis) {
  CF_CELL_HERE
  const long long row = cells.nx, slice = row * cells.ny;
  const long long stride = axis == 0 ? 1 : (axis == 1 ? row : slice);
  const int place = axis == 0 ? x : (axis == 1 ? y : z), size = axis == 0 ? cells.nx : (axis == 1 ? cells.ny : cells.nz);
  to[at] = cf_cell_spread(from, at, stride, place, size);
}
