// Values between the voxels of a volume. Common subset of CUDA C++ and C++17, as resample.h.
//
// Places are in voxels: (0, 0, 0) is the centre of the first voxel; x runs fastest. A volume reaches half a voxel beyond
// its outermost centres; there the outermost values are repeated. What is farther away, or not a number, is outside.
#pragma once

#include "resample.h"

// Size of a volume. The host guarantees 1 <= n and nx * ny * nz < 2^31.
struct CfGrid {
  int nx, ny, nz;
};

CF_FN bool cf_inside(const CfGrid grid, float x, float y, float z) {
  return x >= -0.5f && x <= (float)grid.nx - 0.5f && y >= -0.5f && y <= (float)grid.ny - 0.5f && z >= -0.5f &&
         z <= (float)grid.nz - 0.5f;
}

// Nearest place within the centres; not a number becomes 0.
CF_FN float cf_within(float place, int size) {
  const float last = (float)(size - 1);
  const float low = place > 0.0f ? place : 0.0f;
  return low < last ? low : last;
}

// The voxel before a place that is within the centres: its right neighbour exists unless the size is 1.
CF_FN int cf_before(float place, int size) {
  const int index = (int)place;
  return index < size - 1 ? index : (size > 1 ? size - 2 : 0);
}

CF_FN float cf_mix(float a, float b, float f) { return a + f * (b - a); }

// Order in which the eight voxels of a linear sample are mixed. It is part of what a value is (float32 sums depend on it):
// x, y, z; or, for planes along the axes, what lies between their voxels' planes first and what lies along their rows
// last, so that whole rows are mixed at once.
#define CF_XYZ 0
#define CF_ZYX 1
#define CF_YZX 2
#define CF_XZY 3

// Between voxels at distances 0 and a, with and without b, with and without c: along a first, then b, then c.
template <typename T>
CF_FN float cf_mix_cell(const T* at, long long a, long long b, long long c, float fa, float fb, float fc) {
  const float p = cf_mix((float)at[0], (float)at[a], fa), q = cf_mix((float)at[b], (float)at[b + a], fa);
  const float r = cf_mix((float)at[c], (float)at[c + a], fa), s = cf_mix((float)at[c + b], (float)at[c + b + a], fa);
  return cf_mix(cf_mix(p, q, fb), cf_mix(r, s, fb), fc);
}

// Trilinear, mixed in an order as above.
template <typename T>
CF_FN float cf_linear_by(const T* values, const CfGrid grid, float x, float y, float z, int order) {
  const float cx = cf_within(x, grid.nx), cy = cf_within(y, grid.ny), cz = cf_within(z, grid.nz);
  const int ix = cf_before(cx, grid.nx), iy = cf_before(cy, grid.ny), iz = cf_before(cz, grid.nz);
  const float fx = cx - (float)ix, fy = cy - (float)iy, fz = cz - (float)iz;
  const long long row = grid.nx, slice = row * grid.ny;
  const long long dx = grid.nx > 1 ? 1 : 0, dy = grid.ny > 1 ? row : 0, dz = grid.nz > 1 ? slice : 0;
  const T* at = values + iz * slice + iy * row + ix;
  if (order == CF_XYZ) return cf_mix_cell<T>(at, dx, dy, dz, fx, fy, fz);
  if (order == CF_ZYX) return cf_mix_cell<T>(at, dz, dy, dx, fz, fy, fx);
  if (order == CF_YZX) return cf_mix_cell<T>(at, dy, dz, dx, fy, fz, fx);
  return cf_mix_cell<T>(at, dx, dz, dy, fx, fz, fy);
}

// Weights of cubic convolution, a = -1/2 (Keys 1981), as render/filters.py.
CF_FN void cf_cubic_weights(float f, float* weight) {
  const float f2 = f * f, f3 = f2 * f;
  weight[0] = (f2 - 0.5f * f3) - 0.5f * f;
  weight[1] = (1.5f * f3 - 2.5f * f2) + 1.0f;
  weight[2] = (2.0f * f2 - 1.5f * f3) + 0.5f * f;
  weight[3] = 0.5f * f3 - 0.5f * f2;
}

// Tricubic over 4 x 4 x 4 voxels: x first, then y, then z; the outermost values are repeated.
template <typename T>
CF_FN float cf_cubic(const T* values, const CfGrid grid, float x, float y, float z) {
  const float cx = cf_within(x, grid.nx), cy = cf_within(y, grid.ny), cz = cf_within(z, grid.nz);
  const int ix = (int)cx, iy = (int)cy, iz = (int)cz;
  float wx[4], wy[4], wz[4];
  cf_cubic_weights(cx - (float)ix, wx);
  cf_cubic_weights(cy - (float)iy, wy);
  cf_cubic_weights(cz - (float)iz, wz);
  float sum = 0.0f;
  for (int k = 0; k < 4; ++k) {
    const int z_index = iz + k - 1, z_at = z_index < 0 ? 0 : (z_index < grid.nz ? z_index : grid.nz - 1);
    float plane = 0.0f;
    for (int j = 0; j < 4; ++j) {
      const int y_index = iy + j - 1, y_at = y_index < 0 ? 0 : (y_index < grid.ny ? y_index : grid.ny - 1);
      const T* row = values + ((long long)z_at * grid.ny + y_at) * grid.nx;
      float line = 0.0f;
      for (int i = 0; i < 4; ++i) {
        const int x_index = ix + i - 1, x_at = x_index < 0 ? 0 : (x_index < grid.nx ? x_index : grid.nx - 1);
        line += wx[i] * (float)row[x_at];
      }
      plane += wy[j] * line;
    }
    sum += wz[k] * plane;
  }
  return sum;
}
