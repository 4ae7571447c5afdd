// Samples of a vector's lanes at places of their own, as kernels/sample.h makes one, and what a box of places says of
// them: outside (nothing), within the centres (no masks), or at the edge.
#pragma once

#include "../kernels/slab.h"
#include "lanes.h"

namespace {

enum Where { kOutside, kWithin, kEdge };

// Ends of places along each axis.
struct Box {
  float low[3], high[3];
};

// `margin`: voxels needed on either side of a sample's cell (0 linear, 1 cubic). Not a number is "at the edge".
inline Where where(const CfGrid& grid, const Box& box, float margin) {
  const float size[3] = {(float)grid.nx, (float)grid.ny, (float)grid.nz};
  bool within = true;
  for (int i = 0; i < 3; ++i) {
    if (box.high[i] < -0.5f || box.low[i] > size[i] - 0.5f) return kOutside;
    within = within && box.low[i] >= margin && box.high[i] < size[i] - 1.0f - margin;
  }
  return within ? kWithin : kEdge;
}

inline CfI inside(const CfGrid& g, CfF x, CfF y, CfF z) {
  return (x >= -0.5f) & (x <= (float)g.nx - 0.5f) & (y >= -0.5f) & (y <= (float)g.ny - 0.5f) & (z >= -0.5f) &
         (z <= (float)g.nz - 0.5f);
}

inline CfF within(CfF place, int size) {
  const CfF low = place > 0.0f ? place : cf_all(0.0f), last = cf_all((float)(size - 1));
  return low < last ? low : last;
}

inline CfI before(CfF place, int size) {
  const CfI index = cf_truncate(place), last = cf_all_int(size - 2);
  return index < last ? index : last;
}

CF_INLINE CfF mix(CfF a, CfF b, CfF f) { return a + f * (b - a); }

CF_INLINE CfF mix(CfPair pair, CfF f) { return mix(pair.first, pair.second, f); }

// The cell that each lane's place lies in: its first voxel, and the way to the next along each axis.
struct Cell {
  CfI at;
  CfF x, y, z;
};

CF_INLINE Cell cell_of(const CfGrid& g, CfF x, CfF y, CfF z, CfI ix, CfI iy, CfI iz) {
  return {(iz * g.ny + iy) * g.nx + ix, x - cf_float(ix), y - cf_float(iy), z - cf_float(iz)};
}

// Places within the centres.
CF_INLINE Cell cell_within(const CfGrid& g, CfF x, CfF y, CfF z) {
  return cell_of(g, x, y, z, cf_truncate(x), cf_truncate(y), cf_truncate(z));
}

// Any places; sizes of at least 2.
CF_INLINE Cell cell_at_edge(const CfGrid& g, CfF x, CfF y, CfF z) {
  const CfF cx = within(x, g.nx), cy = within(y, g.ny), cz = within(z, g.nz);
  return cell_of(g, cx, cy, cz, before(cx, g.nx), before(cy, g.ny), before(cz, g.nz));
}

// Trilinear samples of every lane. Cells are made for several vectors before the first is looked at: the places of the
// next need not wait for the values of the last.
template <typename T>
CF_INLINE CfF linear(const T* values, const CfGrid& g, const Cell& cell) {
  const CfMixedCorners corners = cf_mixed_corners(values, &cell.at, g.nx, (long long)g.nx * g.ny, cell.x);
  const CfF near = mix(corners.of[0], corners.of[1], cell.y), far = mix(corners.of[2], corners.of[3], cell.y);
  return mix(near, far, cell.z);
}

inline void cubic_weights(CfF f, CfF* weight) {
  const CfF f2 = f * f, f3 = f2 * f;
  weight[0] = (f2 - 0.5f * f3) - 0.5f * f;
  weight[1] = (1.5f * f3 - 2.5f * f2) + 1.0f;
  weight[2] = (2.0f * f2 - 1.5f * f3) + 0.5f * f;
  weight[3] = 0.5f * f3 - 0.5f * f2;
}

// Tricubic samples of every lane; one voxel of room on either side.
template <typename T>
CfF cubic_within(const T* values, const CfGrid& g, CfF x, CfF y, CfF z) {
  const int row = g.nx, slice = g.nx * g.ny;
  const CfI ix = cf_truncate(x), iy = cf_truncate(y), iz = cf_truncate(z);
  CfF wx[4], wy[4], wz[4], sum = cf_all(0.0f);
  cubic_weights(x - cf_float(ix), wx);
  cubic_weights(y - cf_float(iy), wy);
  cubic_weights(z - cf_float(iz), wz);
  const CfI at = ((iz - 1) * g.ny + (iy - 1)) * row + (ix - 1);
  for (int k = 0; k < 4; ++k) {
    CfF plane = cf_all(0.0f);
    for (int j = 0; j < 4; ++j) {
      const T* from = values + (long long)k * slice + j * row;
      const CfFour v = cf_four(from, &at);
      const CfF near = wx[0] * v.left.first + wx[1] * v.left.second;
      const CfF line = (near + wx[2] * v.right.first) + wx[3] * v.right.second;
      plane = plane + wy[j] * line;
    }
    sum = sum + wz[k] * plane;
  }
  return sum;
}

}  // namespace
