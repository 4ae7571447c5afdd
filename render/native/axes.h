// Which voxel axes a view follows, where its columns, rows and samples lie on them, and the sums of one output row:
// parts of aligned.h.
#pragma once

#include "../kernels/slab.h"
#include "lanes.h"

namespace {

// Which voxel axis each direction of the view follows.
struct Axes {
  int across, down, through;
};

inline int only_axis(const float* v) {
  int found = -1, count = 0;
  for (int i = 0; i < 3; ++i)
    if (v[i] != 0.0f) found = i, ++count;
  return count == 1 ? found : -1;
}

// False for oblique views and those whose numbers are not finite.
inline bool aligned_axes(const CfSlab& s, Axes* axes) {
  for (int i = 0; i < 3; ++i) {
    const float sum = (s.origin[i] + s.across[i]) + (s.down[i] + s.through[i]);
    if (!(sum - sum == 0.0f)) return false;
  }
  axes->across = only_axis(s.across);
  axes->down = only_axis(s.down);
  if (axes->across < 0 || axes->down < 0 || axes->across == axes->down) return false;
  axes->through = 3 - axes->across - axes->down;
  return s.samples == 1 || (s.through[axes->across] == 0.0f && s.through[axes->down] == 0.0f);
}

// The order of mixing of planes that native/axis_plane.h draws; CF_XYZ: of no other.
inline int order_of(const Axes& axes) {
  if (axes.across == 0) return axes.down == 1 ? CF_ZYX : CF_YZX;
  return axes.across == 1 && axes.down == 2 ? CF_XZY : CF_XYZ;
}

// The voxel before a place, and the way from it to the next.
struct Place {
  int index;
  float fraction;
};

// Places origin + i * step on one axis; those inside the volume are [begin, end).
struct Steps {
  float origin, step;
  int size, begin, end;

  float at(int i) const { return origin + (float)i * step; }

  Place place(int i) const {
    const float p = cf_within(at(i), size);
    const int index = cf_before(p, size);
    return {index, p - (float)index};
  }
};

inline Steps steps_of(const CfSlab& s, const float* direction, int axis, int first, int last) {
  const int sizes[3] = {s.grid.nx, s.grid.ny, s.grid.nz};
  Steps steps = {s.origin[axis], direction[axis], sizes[axis], first, last};
  const float end = (float)steps.size - 0.5f;
  while (steps.begin < last && !(steps.at(steps.begin) >= -0.5f && steps.at(steps.begin) <= end)) ++steps.begin;
  while (steps.end > steps.begin && !(steps.at(steps.end - 1) >= -0.5f && steps.at(steps.end - 1) <= end)) --steps.end;
  return steps;
}

// Whole numbers are finite: a weight of zero takes nothing. A float may be infinite, and zero times it not a number.
template <typename T>
inline bool takes(float fraction) {
  return fraction != 0.0f;
}
template <>
inline bool takes<cf_f32>(float) {
  return true;
}

// Values that one row of a block is mixed from: y first (0 with 1, 2 with 3), then z.
struct Rows {
  const CfF* of[4];
  float fy, fz;
  bool mixes_y, mixes_z;
};

template <int KIND, bool MIXES_Y, bool MIXES_Z>
CF_INLINE void add_sample(const Rows& r, int g, CfF& sum) {
  CfF a = r.of[0][g];
  if (MIXES_Y) a = a + r.fy * (r.of[1][g] - a);
  if (MIXES_Z) {
    CfF b = r.of[2][g];
    if (MIXES_Y) b = b + r.fy * (r.of[3][g] - b);
    a = a + r.fz * (b - a);
  }
  if (KIND == CF_LARGEST)
    sum = a > sum ? a : sum;
  else if (KIND == CF_SMALLEST)
    sum = a < sum ? a : sum;
  else
    sum = sum + a;
}

// Samples of one output row that are mixed alike; four vectors of sums stay in registers for all of them.
template <int KIND, bool MIXES_Y, bool MIXES_Z>
void accumulate(const Rows* rows, int count, int groups, CfF* sums) {
  int g = 0;
  for (; g + 4 <= groups; g += 4) {
    CfF a = sums[g], b = sums[g + 1], c = sums[g + 2], d = sums[g + 3];
    for (int i = 0; i < count; ++i) {
      add_sample<KIND, MIXES_Y, MIXES_Z>(rows[i], g, a);
      add_sample<KIND, MIXES_Y, MIXES_Z>(rows[i], g + 1, b);
      add_sample<KIND, MIXES_Y, MIXES_Z>(rows[i], g + 2, c);
      add_sample<KIND, MIXES_Y, MIXES_Z>(rows[i], g + 3, d);
    }
    sums[g] = a, sums[g + 1] = b, sums[g + 2] = c, sums[g + 3] = d;
  }
  for (; g < groups; ++g)
    for (int i = 0; i < count; ++i) add_sample<KIND, MIXES_Y, MIXES_Z>(rows[i], g, sums[g]);
}

template <int KIND>
void accumulate(const Rows* rows, int count, int groups, CfF* sums) {
  for (int i = 0, end; i < count; i = end) {
    const bool y = rows[i].mixes_y, z = rows[i].mixes_z;
    for (end = i + 1; end < count && rows[end].mixes_y == y && rows[end].mixes_z == z;) ++end;
    if (y)
      z ? accumulate<KIND, true, true>(rows + i, end - i, groups, sums)
        : accumulate<KIND, true, false>(rows + i, end - i, groups, sums);
    else
      z ? accumulate<KIND, false, true>(rows + i, end - i, groups, sums)
        : accumulate<KIND, false, false>(rows + i, end - i, groups, sums);
  }
}

}  // namespace
