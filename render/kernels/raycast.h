// Shaded volume rendering by ray casting (Levoy, IEEE CG&A 8, 1988), front to back, of one volume or of two fused
// ones. Common subset of CUDA C++ and C++17. The code is written once over a "lanes" type L: CfOneLane here (CUDA
// threads, and the definition that tests hold everything against), packets of rays in native/packet.h.
//
// Coordinates are voxel indices of the first volume: voxel (i, j, k) is a point, the volume fills [0, n - 1] of each
// axis. A ray is p(t) = origin + t * direction with one sample at every whole t; skipping empty space changes which
// samples are looked at, never where they lie.
#pragma once
#include "resample.h"

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
#include <math.h>
#endif

#define CF_CELL_SHIFT 3       // cells of 8 x 8 x 8 voxels
#define CF_CELL (1 << CF_CELL_SHIFT)
#define CF_RAY_PLANES 16      // clip planes of one scene
#define CF_RAY_FAR 1e9f
#define CF_RAY_OPAQUE 0.01f   // a ray ends when less than this share of light comes through
#define CF_RAY_RESHADE 0.02f  // weight that samples of one ray may gather before the gradient is taken anew

enum CfValueKind { CF_KIND_I16 = 0, CF_KIND_U16 = 1, CF_KIND_F32 = 2, CF_KIND_ASK = 3 };

// A volume with its transfer function and its map of empty space.
struct CfRayLayer {
  const void* values;            // (nz, ny, nx), contiguous; each axis at least 2, fewer than 2^31 voxels
  const cf_u8* distance;         // per cell: 0 = something may be seen, d = every cell nearer than d (Chebyshev) is empty
  const cf_f32* opacity;         // of one sample, by table entry
  const unsigned int* colour;    // 10 bits each: red << 20 | green << 10 | blue
  int size[3];                   // nx, ny, nz
  int cells[3];
  int entries;                   // of the two tables
  int kind;                      // CfValueKind
  cf_f32 first, steps;           // entry = (value - first) * steps, nearest, the ends repeat
};

struct CfRayScene {
  CfRayLayer layer;
  CfRayLayer other;              // fused layer; other.values == 0 when there is none
  const cf_u8* keep;             // (nz, ny, nx): 0 = cut away; or 0
  cf_u8* rgb;                    // (height, width, 3)
  cf_f32* seen;                  // (height, width, 2): opacity, and t where it passes one half (-1: never); or 0
  cf_f32 origin[3], across[3], down[3], forward[3];  // origin of pixel (0, 0), steps per pixel, one sample's step
  cf_f32 plane[4];               // perspective: place of pixel (0, 0) on the plane at unit distance, steps per pixel
  cf_f32 box_low[3], box_high[3];
  cf_f32 clip[CF_RAY_PLANES][4]; // kept: a x + b y + c z + d >= 0
  cf_f32 to_other[12];           // rows of the map from indices of the first volume to those of the other
  cf_f32 metric[6];              // |gradient| in mm: xx, yy, zz, xy, xz, yz of inverse(A) transposed(inverse(A))
  cf_f32 step_mm, ambient, diffuse, specular;
  cf_f32 background[3];          // 0 … 1
  int shininess;                 // specular power is 2^shininess
  int planes, perspective, jitter, shade;
  int width, height;
};

// The samples of one ray in one lane: what plain C++ and a CUDA thread compute.
struct CfOneLane {
  typedef float F;
  typedef int I;
  typedef bool M;
  CF_FN F splat(float a) { return a; }
  CF_FN F select(M m, F a, F b) { return m ? a : b; }
  CF_FN I select(M m, I a, I b) { return m ? a : b; }
  CF_FN bool any(M m) { return m; }
  CF_FN M no(M m) { return !m; }
  CF_FN F real(I a) { return (float)a; }
  CF_FN I whole(F a) { return (int)a; }  // towards 0; |a| < 2^31
  CF_FN F root(F a) { return sqrtf(a); }
  CF_FN F at(const cf_f32* from, I index) { return from[index]; }
  CF_FN I at(const unsigned int* from, I index) { return (int)from[index]; }
  CF_FN I at(const cf_u8* from, I index) { return from[index]; }
  template <typename T>
  CF_FN void pair(const T* from, I index, F& a, F& b) {
    a = (float)from[index];
    b = (float)from[index + 1];
  }
};

template <class L>
struct CfRays {
  typename L::F o[3], d[3];
};

template <class L>
struct CfPlace {
  typename L::I voxel[3];
  typename L::F part[3];
};

template <class L>
CF_FN typename L::F cf_min(typename L::F a, typename L::F b) {
  return L::select(a < b, a, b);
}
template <class L>
CF_FN typename L::F cf_max(typename L::F a, typename L::F b) {
  return L::select(a > b, a, b);
}

// A share of one step, the same for the same pixel in every picture: spreads the rings that equal steps draw.
template <class L>
CF_FN typename L::F cf_ray_jitter(typename L::I x, typename L::I y) {
  // Multiplications stay below 2^31, so that signed arithmetic is exact everywhere.
  typename L::I h = ((x & 0xfff) << 12 ^ (y & 0xfff)) & 0xffffff;
  h = h ^ (h >> 11);
  h = ((h & 0xffff) * 0x6c4b + (h >> 16) * 0x2545) & 0xffffff;
  h = h ^ (h >> 9);
  h = ((h & 0xffff) * 0x5bd1 + (h >> 16) * 0x1b87) & 0xffffff;
  h = h ^ (h >> 13);
  h = ((h & 0xffff) * 0x49a3 + (h >> 16) * 0x3c6f) & 0xffffff;
  return L::real((h >> 8) & 0xffff) * (1.0f / 65536.0f);
}

template <class L>
CF_FN CfRays<L> cf_ray_begin(const CfRayScene& s, typename L::I px, typename L::I py) {
  typedef typename L::F F;
  CfRays<L> r;
  const F x = L::real(px), y = L::real(py);
  F scale = L::splat(1.0f);
  if (s.perspective) {
    const F u = x * s.plane[2] + s.plane[0], v = y * s.plane[3] + s.plane[1];
    scale = 1.0f / L::root(u * u + v * v + 1.0f);
  }
  F shift = L::splat(0.0f);
  if (s.jitter) shift = cf_ray_jitter<L>(px, py);
  for (int i = 0; i < 3; ++i) {
    const F sideways = x * s.across[i] + y * s.down[i];
    if (s.perspective) {
      r.d[i] = (sideways + s.forward[i]) * scale;
      r.o[i] = r.d[i] * shift + s.origin[i];
    } else {
      r.d[i] = L::splat(s.forward[i]);
      r.o[i] = sideways + s.origin[i] + r.d[i] * shift;
    }
  }
  return r;
}

// Narrows [begin, end] to where low <= o + t d <= high. A direction of (nearly) 0 never leaves.
template <class L>
CF_FN void cf_ray_slab(typename L::F o, typename L::F d, typename L::F low, typename L::F high, typename L::F& begin,
                       typename L::F& end) {
  typedef typename L::F F;
  typedef typename L::M M;
  const M along = (d < 1e-9f) & (d > -1e-9f);
  const M outside = (o < low) | (o > high);
  const F way = 1.0f / L::select(along, L::splat(1.0f), d);
  const F a = (low - o) * way, b = (high - o) * way;
  const F near = L::select(along, L::select(outside, L::splat(CF_RAY_FAR), begin), cf_min<L>(a, b));
  const F far = L::select(along, end, cf_max<L>(a, b));
  begin = cf_max<L>(begin, near);
  end = cf_min<L>(end, far);
}

template <class L>
CF_FN void cf_ray_clip(const CfRayScene& s, const CfRays<L>& r, typename L::F& begin, typename L::F& end) {
  typedef typename L::F F;
  begin = L::splat(0.0f);
  end = L::splat(1e6f);
  for (int i = 0; i < 3; ++i)
    cf_ray_slab<L>(r.o[i], r.d[i], L::splat(s.box_low[i]), L::splat(s.box_high[i]), begin, end);
  for (int i = 0; i < s.planes; ++i) {
    const float* c = s.clip[i];
    const F o = r.o[0] * c[0] + r.o[1] * c[1] + r.o[2] * c[2] + c[3];
    const F d = r.d[0] * c[0] + r.d[1] * c[1] + r.d[2] * c[2];
    cf_ray_slab<L>(o, d, L::splat(0.0f), L::splat(CF_RAY_FAR), begin, end);
  }
}

// The voxel before t on each axis and the way to the next one, clamped into the volume: indices are valid for every
// lane of a packet, also for rays that have ended.
template <class L>
CF_FN CfPlace<L> cf_ray_place(const CfRays<L>& r, typename L::F t, const int* size) {
  typedef typename L::F F;
  CfPlace<L> p;
  for (int i = 0; i < 3; ++i) {
    // Clamped in an order that turns what is not a number into 0.
    const F at = cf_min<L>(cf_max<L>(r.o[i] + t * r.d[i], L::splat(0.0f)), L::splat((float)(size[i] - 1)));
    const F floor = cf_min<L>(L::real(L::whole(at)), L::splat((float)(size[i] - 2)));
    p.voxel[i] = L::whole(floor);
    p.part[i] = at - floor;
  }
  return p;
}

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
  const F c = cf_ray_row<L, kind>(g, index + slice, p.part[0]), d = cf_ray_row<L, kind>(g, index + slice + row, p.part[0]);
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

template <class L>
CF_FN typename L::I cf_ray_entry(const CfRayLayer& g, typename L::F value) {
  typedef typename L::F F;
  const F place = (value - g.first) * g.steps + 0.5f, last = L::splat((float)(g.entries - 1));
  // Not a number fails the comparison and gives entry 0.
  return L::whole(L::select(place >= 0.0f, L::select(place < last, place, last), L::splat(0.0f)));
}

// Looks up the cell of a sample: whether it is empty, and the first sample behind what the map says of it.
template <class L>
CF_FN typename L::M cf_ray_empty(const CfRayLayer& g, const CfRays<L>& r, const typename L::F* way,
                                 typename L::F t, typename L::F& next) {
  typedef typename L::F F;
  typedef typename L::I I;
  const CfPlace<L> p = cf_ray_place<L>(r, t, g.size);
  I cell[3];
  for (int i = 0; i < 3; ++i) cell[i] = p.voxel[i] >> CF_CELL_SHIFT;
  const I index = (cell[2] * g.cells[1] + cell[1]) * g.cells[0] + cell[0];
  const I distance = L::at(g.distance, index);
  const typename L::M empty = distance > 0;
  const I reach = L::select(empty, distance, distance + 1);
  F leave = L::splat(CF_RAY_FAR);
  for (int i = 0; i < 3; ++i) {
    const F low = L::real((cell[i] - reach + 1) * CF_CELL), high = L::real((cell[i] + reach) * CF_CELL);
    // way = 1 / direction; 0 stands for a ray along the cell's faces, which never leaves through them.
    const F border = L::select(way[i] > 0.0f, high, low);
    const F steps = (border - r.o[i]) * way[i];
    leave = L::select((way[i] > 0.0f) | (way[i] < 0.0f), cf_min<L>(leave, steps), leave);
  }
  const F floor = L::real(L::whole(cf_max<L>(cf_min<L>(leave, L::splat(1e6f)), L::splat(0.0f))));
  next = cf_max<L>(floor, t) + 1.0f;
  return empty;
}

template <class L>
CF_FN void cf_ray_ways(const CfRays<L>& r, typename L::F* way) {
  for (int i = 0; i < 3; ++i) {
    const typename L::M along = (r.d[i] < 1e-9f) & (r.d[i] > -1e-9f);
    way[i] = L::select(along, L::splat(0.0f), 1.0f / L::select(along, L::splat(1.0f), r.d[i]));
  }
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

// State of a packet of rays while it marches.
template <class L>
struct CfMarch {
  typename L::F red, green, blue, through, light, gloss, pending, half;
};

template <class L>
CF_FN void cf_ray_blend(CfMarch<L>& m, const CfRayLayer& g, typename L::I entry, typename L::M seen, typename L::F weight,
                        typename L::F light, typename L::F gloss, typename L::F t) {
  typedef typename L::F F;
  typedef typename L::I I;
  const I colour = L::at(g.colour, entry);
  const F w = L::select(seen, weight, L::splat(0.0f)), bright = light * (1.0f / 1023.0f);
  m.red = m.red + w * (L::real((colour >> 20) & 1023) * bright + gloss);
  m.green = m.green + w * (L::real((colour >> 10) & 1023) * bright + gloss);
  m.blue = m.blue + w * (L::real(colour & 1023) * bright + gloss);
  m.through = m.through - w;
  m.half = L::select((m.half < 0.0f) & (m.through < 0.5f), t, m.half);
}

// Lambert and Phong with the light at the viewer, both sides lit. The gradient is a covector: its product with the
// direction is the same in indices and in mm.
template <class L, int kind>
CF_FN void cf_ray_light(const CfRayScene& s, const CfRays<L>& r, const CfPlace<L>& p, typename L::I index,
                        typename L::M shade, CfMarch<L>& m) {
  typedef typename L::F F;
  F g[3];
  cf_ray_gradient<L, kind>(s.layer, p, index, g);
  const float* q = s.metric;
  const F square = g[0] * g[0] * q[0] + g[1] * g[1] * q[1] + g[2] * g[2] * q[2] + g[0] * g[1] * q[3] +
                   g[0] * g[2] * q[4] + g[1] * g[2] * q[5];
  const F along = g[0] * r.d[0] + g[1] * r.d[1] + g[2] * r.d[2];
  F facing = L::root(along * along / (square * (s.step_mm * s.step_mm) + 1e-12f));
  facing = cf_min<L>(facing, L::splat(1.0f));
  F gloss = facing;
  for (int i = 0; i < s.shininess; ++i) gloss = gloss * gloss;
  m.light = L::select(shade, facing * s.diffuse + s.ambient, m.light);
  m.gloss = L::select(shade, gloss * s.specular, m.gloss);
}

// One packet of rays through pixels (px, py); lanes outside `wanted` do nothing. `fused`: the other layer takes part.
template <class L, int kind, bool fused>
CF_FN CfMarch<L> cf_ray_march(const CfRayScene& s, typename L::I px, typename L::I py, typename L::M wanted) {
  typedef typename L::F F;
  typedef typename L::I I;
  typedef typename L::M M;
  const CfRays<L> r = cf_ray_begin<L>(s, px, py);
  const F zero = L::splat(0.0f);
  F begin, end, way[3], other_way[3], other_begin = zero, other_end = zero;
  CfRays<L> other = r;
  cf_ray_clip<L>(s, r, begin, end);
  cf_ray_ways<L>(r, way);
  if (fused) {
    for (int i = 0; i < 3; ++i) {
      const float* row = s.to_other + 4 * i;
      other.o[i] = r.o[0] * row[0] + r.o[1] * row[1] + r.o[2] * row[2] + row[3];
      other.d[i] = r.d[0] * row[0] + r.d[1] * row[1] + r.d[2] * row[2];
    }
    cf_ray_ways<L>(other, other_way);
    other_begin = zero;
    other_end = L::splat(1e6f);
    for (int i = 0; i < 3; ++i)
      cf_ray_slab<L>(other.o[i], other.d[i], zero, L::splat((float)(s.other.size[i] - 1)), other_begin, other_end);
  }
  CfMarch<L> m = {zero, zero, zero, L::splat(1.0f), L::splat(s.ambient + 0.7f * s.diffuse), zero, zero, L::splat(-1.0f)};
  M alive = wanted & (begin <= end);
  // The first whole t at or behind `begin`.
  const F whole = L::real(L::whole(cf_min<L>(begin, L::splat(1e6f))));
  F t = L::select(whole < begin, whole + 1.0f, whole), stop = t;
  alive = alive & (t <= end);
  while (L::any(alive)) {
    M seek = alive & (t >= stop);
    while (L::any(seek)) {
      F next;
      M empty = cf_ray_empty<L>(s.layer, r, way, t, next);
      if (fused) {
        const M before = t < other_begin, behind = t > other_end;
        F then;
        const M nothing = cf_ray_empty<L>(s.other, other, other_way, t, then);
        // Whole samples up to the other volume's box; behind it there is nothing more of it.
        then = L::select(behind, L::splat(CF_RAY_FAR), then);
        const F enter = cf_max<L>(L::real(L::whole(cf_min<L>(other_begin, L::splat(1e6f)))), t + 1.0f);
        then = L::select(before, enter, then);
        next = cf_min<L>(next, then);
        empty = empty & (before | behind | nothing);
      }
      t = L::select(seek & empty, next, t);
      stop = L::select(seek & L::no(empty), next, stop);
      alive = alive & (t <= end);
      seek = alive & (t >= stop);
    }
    if (!L::any(alive)) break;
    const CfPlace<L> p = cf_ray_place<L>(r, t, s.layer.size);
    const I index = cf_ray_index<L>(p, s.layer.size);
    const I entry = cf_ray_entry<L>(s.layer, cf_ray_value<L, kind>(s.layer, p, index));
    const F opacity = L::at(s.layer.opacity, entry);
    M seen = alive & (opacity > 0.0f);
    if (s.keep != 0 && L::any(seen)) seen = seen & cf_ray_kept<L>(s, p, index);
    if (L::any(seen)) {
      const F weight = m.through * opacity;
      m.pending = L::select(seen, m.pending + weight, m.pending);
      const M shade = seen & (m.pending > CF_RAY_RESHADE);
      if (s.shade && L::any(shade)) {
        cf_ray_light<L, kind>(s, r, p, index, shade, m);
        m.pending = L::select(shade, zero, m.pending);
      }
      cf_ray_blend<L>(m, s.layer, entry, seen, weight, m.light, m.gloss, t);
    }
    if (fused) {
      const M inside = alive & (t >= other_begin) & (t <= other_end);
      if (L::any(inside)) {
        const CfPlace<L> q = cf_ray_place<L>(other, t, s.other.size);
        const I at = cf_ray_index<L>(q, s.other.size);
        const I there = cf_ray_entry<L>(s.other, cf_ray_value<L, CF_KIND_ASK>(s.other, q, at));
        const F share = L::at(s.other.opacity, there);
        M glows = inside & (share > 0.0f);
        if (s.keep != 0 && L::any(glows)) glows = glows & cf_ray_kept<L>(s, p, index);
        if (L::any(glows)) cf_ray_blend<L>(m, s.other, there, glows, m.through * share, L::splat(1.0f), zero, t);
      }
    }
    t = t + 1.0f;
    alive = alive & (t <= end) & (m.through >= CF_RAY_OPAQUE);
  }
  m.red = m.red + m.through * s.background[0];
  m.green = m.green + m.through * s.background[1];
  m.blue = m.blue + m.through * s.background[2];
  return m;
}

CF_FN void cf_ray_store(const CfRayScene& s, int x, int y, float red, float green, float blue, float through,
                        float half) {
  const long long at = (long long)y * s.width + x;
  s.rgb[3 * at] = cf_clamp_u8(red * 255.0f);
  s.rgb[3 * at + 1] = cf_clamp_u8(green * 255.0f);
  s.rgb[3 * at + 2] = cf_clamp_u8(blue * 255.0f);
  if (s.seen != 0) {
    s.seen[2 * at] = 1.0f - through;
    s.seen[2 * at + 1] = half;
  }
}
