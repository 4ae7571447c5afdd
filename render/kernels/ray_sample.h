// What a ray finds at one place of a volume: the value, its gradient and light, its entry of the tables, whether the
// cuts left it. Common subset of CUDA C++ and C++17, over the lanes of ray_scene.h.
#pragma once
#include "ray_scene.h"

template <class L>
CF_FN typename L::I cf_ray_index(const CfPlace<L>& p, const int* size) {
  return (p.voxel[2] * size[1] + p.voxel[1]) * size[0] + p.voxel[0];
}

// The two values of a row between which a sample lies; CF_KIND_ASK looks at the layer's kind while it runs.
template <class L, int kind>
CF_FN void cf_ray_pair(const CfRayLayer& g, typename L::I index, typename L::F& a, typename L::F& b) {
  const int found = kind == CF_KIND_ASK ? g.kind : kind;
  if (found == CF_KIND_I16)
    L::pair((const cf_i16*)g.values, index, a, b);
  else if (found == CF_KIND_U16)
    L::pair((const cf_u16*)g.values, index, a, b);
  else
    L::pair((const cf_f32*)g.values, index, a, b);
}

template <class L, int kind>
CF_FN typename L::F cf_ray_row(const CfRayLayer& g, typename L::I index, typename L::F part) {
  typename L::F a, b;
  cf_ray_pair<L, kind>(g, index, a, b);
  return a + part * (b - a);
}

// Trilinear value.
template <class L, int kind>
CF_FN typename L::F cf_ray_value(const CfRayLayer& g, const CfPlace<L>& p, typename L::I index) {
  typedef typename L::F F;
  const int row = g.size[0], slice = g.size[0] * g.size[1];
  const F a = cf_ray_row<L, kind>(g, index, p.part[0]), b = cf_ray_row<L, kind>(g, index + row, p.part[0]);
  const F c = cf_ray_row<L, kind>(g, index + slice, p.part[0]);
  const F d = cf_ray_row<L, kind>(g, index + slice + row, p.part[0]);
  const F near = a + p.part[1] * (b - a), far = c + p.part[1] * (d - c);
  return near + p.part[2] * (far - near);
}

// Derivative between voxels b and c from the row a, b, c, d: central differences at b and c, interpolated. At the
// volume's border the missing neighbour repeats its voxel and the difference is one-sided (the weights say so).
template <class L>
CF_FN typename L::F cf_ray_slope(typename L::F a, typename L::F b, typename L::F c, typename L::F d,
                                 typename L::F low, typename L::F high, typename L::F part) {
  const typename L::F at_b = (c - a) * low, at_c = (d - b) * high;
  return at_b + part * (at_c - at_b);
}

// Gradient per voxel: trilinear interpolation of the voxels' central differences.
template <class L, int kind>
CF_FN void cf_ray_gradient(const CfRayLayer& g, const CfPlace<L>& p, typename L::I index, typename L::F* out) {
  typedef typename L::F F;
  typedef typename L::I I;
  const int stride[3] = {1, g.size[0], g.size[0] * g.size[1]};
  F low[3], high[3];
  I back[3], on[3];  // offsets of the neighbours before the first and behind the second voxel
  for (int i = 0; i < 3; ++i) {
    const typename L::M first = p.voxel[i] < 1, last = p.voxel[i] > g.size[i] - 3;
    low[i] = L::select(first, L::splat(1.0f), L::splat(0.5f));
    high[i] = L::select(last, L::splat(1.0f), L::splat(0.5f));
    back[i] = L::select(first, p.voxel[i] * 0, p.voxel[i] * 0 - stride[i]);
    on[i] = L::select(last, p.voxel[i] * 0 + stride[i], p.voxel[i] * 0 + 2 * stride[i]);
  }
  const int row = stride[1], slice = stride[2];
  F sx[4], core[4];
  for (int i = 0; i < 4; ++i) {
    const I at = index + (i & 1) * row + (i >> 1) * slice;
    F a, b, c, d;
    cf_ray_pair<L, kind>(g, at + back[0], a, b);
    cf_ray_pair<L, kind>(g, at + on[0] - 1, c, d);
    // Away from the border b and c are the middle pair; at it the pairs overlap.
    b = L::select(p.voxel[0] < 1, a, b);
    c = L::select(p.voxel[0] > g.size[0] - 3, d, c);
    sx[i] = cf_ray_slope<L>(a, b, c, d, low[0], high[0], p.part[0]);
    core[i] = b + p.part[0] * (c - b);
  }
  const F px = p.part[0], py = p.part[1], pz = p.part[2];
  const F s0 = sx[0] + py * (sx[1] - sx[0]), s1 = sx[2] + py * (sx[3] - sx[2]);
  out[0] = s0 + pz * (s1 - s0);
  const F y0 = cf_ray_slope<L>(cf_ray_row<L, kind>(g, index + back[1], px), core[0], core[1],
                               cf_ray_row<L, kind>(g, index + on[1], px), low[1], high[1], py);
  const F y1 = cf_ray_slope<L>(cf_ray_row<L, kind>(g, index + slice + back[1], px), core[2], core[3],
                               cf_ray_row<L, kind>(g, index + slice + on[1], px), low[1], high[1], py);
  out[1] = y0 + pz * (y1 - y0);
  const F z0 = cf_ray_slope<L>(cf_ray_row<L, kind>(g, index + back[2], px), core[0], core[2],
                               cf_ray_row<L, kind>(g, index + on[2], px), low[2], high[2], pz);
  const F z1 = cf_ray_slope<L>(cf_ray_row<L, kind>(g, index + row + back[2], px), core[1], core[3],
                               cf_ray_row<L, kind>(g, index + row + on[2], px), low[2], high[2], pz);
  out[2] = z0 + py * (z1 - z0);
}

// Packets have a version of their own.
template <class L, int kind>
struct CfGradient {
  static CF_METHOD void at(const CfRayLayer& g, const CfPlace<L>& p, typename L::I index, typename L::F* out) {
    cf_ray_gradient<L, kind>(g, p, index, out);
  }
};

template <class L>
CF_FN typename L::I cf_ray_entry(const CfRayLayer& g, typename L::F value) {
  typedef typename L::F F;
  const F place = (value - g.first) * g.steps + 0.5f, last = L::splat((float)(g.entries - 1));
  // Not a number fails the comparison and gives entry 0.
  return L::whole(L::select(place >= 0.0f, L::select(place < last, place, last), L::splat(0.0f)));
}

template <class L>
CF_FN typename L::M cf_ray_kept(const CfRayScene& s, const CfPlace<L>& p, typename L::I index) {
  const int* n = s.layer.size;
  typename L::I at = index;
  const typename L::I none = index * 0;
  at = at + L::select(p.part[0] >= 0.5f, none + 1, none);
  at = at + L::select(p.part[1] >= 0.5f, none + n[0], none);
  at = at + L::select(p.part[2] >= 0.5f, none + n[0] * n[1], none);
  return L::at(s.keep, at) != 0;
}

// Its lowest bit says whether something may be seen at a sample.
template <class L>
CF_FN typename L::I cf_ray_sight(const CfRayLayer& g, const CfPlace<L>& p) {
  const typename L::I x = p.voxel[0], y = p.voxel[1], z = p.voxel[2];
  const typename L::I bits = L::at(g.sights, ((z >> 1) * g.cells[1] + (y >> 2)) * g.cells[0] + (x >> 2));
  return bits >> ((z & 1) << 4 | (y & 3) << 2 | (x & 3));
}

// Whether something may be seen at a sample: a look at one bit, most of which stay in the nearest caches, before eight
// values that do not.
template <class L>
CF_FN typename L::M cf_ray_may_see(const CfRayLayer& g, const CfPlace<L>& p) {
  if (g.sights == 0) return p.voxel[0] >= 0;
  return (cf_ray_sight<L>(g, p) & 1) != 0;
}

// What a sum of samples gives when it is lit.
template <class L>
struct CfLit {
  typename L::F red, green, blue;
};

// `sum` under the light at t. Lambert and Phong with the light at the viewer, both sides lit. The gradient is a
// covector: its product with the direction is the same in indices and in mm.
template <class L, int kind>
CF_FN CfLit<L> cf_ray_light(const CfRayScene& s, const CfRays<L>& r, typename L::F t, const typename L::F* sum) {
  typedef typename L::F F;
  F light = L::splat(s.ambient + 0.7f * s.diffuse), gloss = L::splat(0.0f);
  const typename L::M taken = t >= 0.0f;
  if (L::any(taken)) {
    const CfPlace<L> p = cf_ray_place<L>(r, t, s.layer.size);
    F g[3];
    CfGradient<L, kind>::at(s.layer, p, cf_ray_index<L>(p, s.layer.size), g);
    const float* q = s.metric;
    const F square = g[0] * g[0] * q[0] + g[1] * g[1] * q[1] + g[2] * g[2] * q[2] + g[0] * g[1] * q[3] +
                     g[0] * g[2] * q[4] + g[1] * g[2] * q[5];
    const F along = g[0] * r.d[0] + g[1] * r.d[1] + g[2] * r.d[2];
    F facing = L::root(along * along / (square * (s.step_mm * s.step_mm) + 1e-12f));
    facing = cf_min<L>(facing, L::splat(1.0f));
    F shine = facing;
    for (int i = 0; i < s.shininess; ++i) shine = shine * shine;
    light = L::select(taken, facing * s.diffuse + s.ambient, light);
    gloss = L::select(taken, shine * s.specular, gloss);
  }
  const F bright = light * (1.0f / 1023.0f), white = gloss * sum[3];
  CfLit<L> lit = {sum[0] * bright + white, sum[1] * bright + white, sum[2] * bright + white};
  return lit;
}
