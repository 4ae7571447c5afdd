// Values and gradients of packets by single loads in place of gathers, which take longer: the sums of
// kernels/ray_sample.h in its order.
#pragma once
#include "lanes.h"
#include "packet.h"

#if CF_LANES >= 8  // with four, gathers are such loads
namespace {

template <int kind>
struct CfStored {
  typedef cf_i16 T;
};
template <>
struct CfStored<CF_KIND_U16> {
  typedef cf_u16 T;
};
template <>
struct CfStored<CF_KIND_F32> {
  typedef cf_f32 T;
};

CF_INLINE CfVecF between(CfPair pair, CfVecF part) { return pair.first + part * (pair.second - pair.first); }

// cf_ray_value at voxels whose indexes lie in memory.
template <int kind>
CF_INLINE CfVecF value_at(const CfRayLayer& g, const CfVecF* part, const CfVecI* index) {
  const long long row = g.size[0], slice = row * g.size[1];
  const CfCorners c = cf_corners((const typename CfStored<kind>::T*)g.values, index, row, slice);
  const CfVecF x = part[0], a0 = between(c.of[0], x), b = between(c.of[1], x), c0 = between(c.of[2], x);
  const CfVecF d = between(c.of[3], x);
  const CfVecF near = a0 + part[1] * (b - a0), far = c0 + part[1] * (d - c0);
  return near + part[2] * (far - near);
}

// The gradient where every lane has all its neighbours.
template <int kind>
void inner_gradient(const CfRayLayer& g, const CfPlace<CfPacket>& p, const CfVecI* index, CfVecF* out) {
  typedef typename CfStored<kind>::T T;
  const T* values = (const T*)g.values;
  const long long row = g.size[0], slice = row * g.size[1];
  const CfVecF x = p.part[0], y = p.part[1], z = p.part[2], half = CfPacket::splat(0.5f);
  CfVecF sx[4], core[4];
  for (int i = 0; i < 4; ++i) {
    const CfFour four = cf_four(values + ((i & 1) * row + (i >> 1) * slice - 1), index);
    const CfVecF b = four.left.second, c = four.right.first;
    sx[i] = cf_ray_slope<CfPacket>(four.left.first, b, c, four.right.second, half, half, x);
    core[i] = b + x * (c - b);
  }
  const auto slope = [half, x](CfPair before, CfVecF b, CfVecF c, CfPair behind, CfVecF part) {
    return cf_ray_slope<CfPacket>(between(before, x), b, c, between(behind, x), half, half, part);
  };
  const CfVecF s0 = sx[0] + y * (sx[1] - sx[0]), s1 = sx[2] + y * (sx[3] - sx[2]);
  out[0] = s0 + z * (s1 - s0);
  const CfCorners above = cf_corners(values - row, index, 3 * row, slice);
  const CfVecF y0 = slope(above.of[0], core[0], core[1], above.of[1], y);
  const CfVecF y1 = slope(above.of[2], core[2], core[3], above.of[3], y);
  out[1] = y0 + z * (y1 - y0);
  const CfCorners before = cf_corners(values - slice, index, row, 3 * slice);
  const CfVecF z0 = slope(before.of[0], core[0], core[2], before.of[2], z);
  const CfVecF z1 = slope(before.of[1], core[1], core[3], before.of[3], z);
  out[2] = z0 + y * (z1 - z0);
}

}  // namespace

// A version of the packets' own of what is in kernels/ray_sample.h.
template <int kind>
struct CfGradient<CfPacket, kind> {
  static inline void at(const CfRayLayer& g, const CfPlace<CfPacket>& p, CfVecI index, CfVecF* out) {
    CfVecI edge = {};
    for (int i = 0; i < 3; ++i) edge |= (p.voxel[i] < 1) | (p.voxel[i] > g.size[i] - 3);
    if (CfPacket::any(edge))
      cf_ray_gradient<CfPacket, kind>(g, p, index, out);
    else
      inner_gradient<kind>(g, p, &index, out);
  }
};
#endif
