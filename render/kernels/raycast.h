// Shaded volume rendering by ray casting (Levoy, IEEE CG&A 8, 1988), front to back, of one volume or of two fused
// ones. Common subset of CUDA C++ and C++17. The code is written once over a "lanes" type L: CfOneLane here (CUDA
// threads, and the definition that tests hold everything against), packets of rays in native/packet.h.
//
// Coordinates are voxel indices of the first volume: voxel (i, j, k) is a point, the volume fills [0, n - 1] of each
// axis. A ray is p(t) = origin + t * direction with one sample at every whole t; skipping empty space changes which
// samples are looked at, never where they lie.
#pragma once
#include "resample.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define CF_METHOD __device__ __forceinline__
#else
#include <math.h>
#define CF_METHOD inline
#endif

#define CF_RAY_PLANES 16      // clip planes of one scene
#define CF_RAY_STOPS 3        // opaque planes of one scene
#define CF_RAY_FAR 1e9f
#define CF_RAY_OPAQUE 0.01f   // a ray ends when less than this share of light comes through
#define CF_RAY_RESHADE 0.02f  // weight that samples of one ray may gather before the gradient is taken anew

enum CfValueKind { CF_KIND_I16 = 0, CF_KIND_U16 = 1, CF_KIND_F32 = 2, CF_KIND_ASK = 3 };

// A volume with its transfer function and its map of empty space.
struct CfRayLayer {
  const void* values;            // (nz, ny, nx), contiguous; each axis at least 2, fewer than 2^31 voxels
  const cf_u8* distance;         // per cell: 0 = something may be seen, d = every cell nearer than d (Chebyshev) is empty
  const cf_u8* parts;            // per cell of 4 x 4 x 4 voxels, a bit for each 2 x 2 x 2, x lowest: something may be
                                 // seen; or 0 when nobody has looked so closely
  const cf_f32* opacity;         // of one sample, by table entry
  const unsigned int* colour;    // 10 bits each: red << 20 | green << 10 | blue
  int size[3];                   // nx, ny, nz
  int cells[3];
  int cell_shift;                // cells are 1 << cell_shift voxels wide; 2 where there are parts
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
  cf_f32 stop[CF_RAY_STOPS][4];  // opaque planes: a ray ends where a x + b y + c z + d = 0
  cf_f32 to_other[12];           // rows of the map from indices of the first volume to those of the other
  cf_f32 metric[6];              // |gradient| in mm: xx, yy, zz, xy, xz, yz of inverse(A) transposed(inverse(A))
  cf_f32 step_mm, ambient, diffuse, specular;
  cf_f32 background[3];          // 0 … 1
  int shininess;                 // specular power is 2^shininess
  int planes, stops, perspective, jitter, shade;
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
  CF_FN float least(F a) { return a; }  // of all lanes
  CF_FN float most(F a) { return a; }
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
  for (int i = 0; i < s.stops; ++i) {
    const float* c = s.stop[i];
    const F o = r.o[0] * c[0] + r.o[1] * c[1] + r.o[2] * c[2] + c[3];
    const F d = r.d[0] * c[0] + r.d[1] * c[1] + r.d[2] * c[2];
    const typename L::M along = (d < 1e-9f) & (d > -1e-9f);
    const F t = (0.0f - o) * (1.0f / L::select(along, L::splat(1.0f), d));
    end = L::select(along | (t < begin), end, cf_min<L>(end, t));
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

// The way of a packet through a volume: a line in its middle and how far, per axis, rays stray from it. Emptiness is
// looked up for the line alone; that costs one ray's arithmetic for all lanes.
struct CfBeam {
  float o[3], d[3], way[3], radius[3];
};

template <class L>
CF_FN CfBeam cf_ray_beam(const CfRays<L>& r, float begin, float end) {
  CfBeam b;
  for (int i = 0; i < 3; ++i) {
    const typename L::F first = r.o[i] + r.d[i] * begin, last = r.o[i] + r.d[i] * end;
    const float low[2] = {L::least(first), L::least(last)}, high[2] = {L::most(first), L::most(last)};
    const float from = 0.5f * (low[0] + high[0]), to = 0.5f * (low[1] + high[1]);
    b.d[i] = end > begin ? (to - from) / (end - begin) : 0.0f;
    b.o[i] = from - b.d[i] * begin;
    // Straying is linear in t, so that it is largest at an end. What is added covers rounding: a sample that this map
    // calls empty is empty by its own place too, whatever packet it is in.
    const float stray = cf_min<CfOneLane>(low[0] - from, low[1] - to);
    const float size = cf_max<CfOneLane>(cf_max<CfOneLane>(from, -from), cf_max<CfOneLane>(to, -to)) +
                       cf_max<CfOneLane>(b.o[i], -b.o[i]);
    b.radius[i] = 0.01f - stray + 1e-6f * size;
    b.way[i] = b.d[i] < 1e-9f && b.d[i] > -1e-9f ? 0.0f : 1.0f / b.d[i];
  }
  return b;
}

// The first whole t, not before this one, at which the map does not say of every ray that it is in empty space.
CF_FN float cf_ray_skip(const CfRayLayer& g, const CfBeam& b, float t) {
  float at[3];
  int cell[3];
  const int width = 1 << g.cell_shift;
  for (int i = 0; i < 3; ++i) {
    at[i] = b.o[i] + t * b.d[i];
    const float inside = cf_min<CfOneLane>(cf_max<CfOneLane>(at[i], 0.0f), (float)(g.size[i] - 2));
    cell[i] = (int)inside >> g.cell_shift;
  }
  const int distance = g.distance[(cell[2] * g.cells[1] + cell[1]) * g.cells[0] + cell[0]];
  if (distance == 0) return t;
  float leave = 1e6f;
  bool empty = true;
  for (int i = 0; i < 3; ++i) {
    // Beyond the volume there is nothing.
    const float low = cell[i] - distance < 0 ? -CF_RAY_FAR : (float)((cell[i] - distance + 1) * width) + b.radius[i];
    const float high =
        cell[i] + distance >= g.cells[i] ? CF_RAY_FAR : (float)((cell[i] + distance) * width) - b.radius[i];
    empty = empty && at[i] >= low && at[i] <= high;
    if (b.way[i] != 0.0f) {
      const float steps = ((b.way[i] > 0.0f ? high : low) - b.o[i]) * b.way[i];
      leave = cf_min<CfOneLane>(leave, steps);
    }
  }
  if (!empty) return t;
  return cf_max<CfOneLane>((float)(int)cf_max<CfOneLane>(leave, 0.0f), t) + 1.0f;
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

// Whether something may be seen at a sample: a look at one byte, most of which stay in the nearest caches, before eight
// values that do not.
template <class L>
CF_FN typename L::M cf_ray_may_see(const CfRayLayer& g, const CfPlace<L>& p) {
  typedef typename L::I I;
  if (g.parts == 0) return p.voxel[0] >= 0;
  const I x = p.voxel[0] >> 1, y = p.voxel[1] >> 1, z = p.voxel[2] >> 1;
  const I bits = L::at(g.parts, ((z >> 1) * g.cells[1] + (y >> 1)) * g.cells[0] + (x >> 1));
  return ((bits >> ((z & 1) * 4 + (y & 1) * 2 + (x & 1))) & 1) != 0;
}

// State of a packet of rays while it marches. Samples that share a gradient are summed (colour x weight, and weight)
// and lit together: light comes in when the sum is complete, and then only as a factor.
template <class L>
struct CfMarch {
  typename L::F red, green, blue;     // unlit light: the fused layer, and the background in the end
  typename L::F sum[4];               // of the samples that share a gradient: red, green, blue, weight
  typename L::F lit;                  // t where it is taken, -1: before the first
  typename L::F through, pending, half;
};

// Sums that a packet has completed and that wait for their light; see CfLitNow.
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
    cf_ray_gradient<L, kind>(s.layer, p, cf_ray_index<L>(p, s.layer.size), g);
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

// Where completed sums go: this one lights them at once. Packets collect them until every lane has one.
template <class L, int kind>
struct CfLitNow {
  CfLit<L> total;
  CF_METHOD void take(const CfRayScene& s, const CfRays<L>& r, typename L::I, typename L::I, typename L::M which,
                      const CfMarch<L>& m) {
    const CfLit<L> lit = cf_ray_light<L, kind>(s, r, m.lit, m.sum);
    const typename L::F zero = L::splat(0.0f);
    total.red = total.red + L::select(which, lit.red, zero);
    total.green = total.green + L::select(which, lit.green, zero);
    total.blue = total.blue + L::select(which, lit.blue, zero);
  }
};

template <class L>
CF_FN void cf_ray_pass(CfMarch<L>& m, typename L::F weight, float t) {
  m.through = m.through - weight;
  m.half = L::select((m.half < 0.0f) & (m.through < 0.5f), L::splat(t), m.half);
}

// A sample of the lit layer joins the sum at hand, or begins a new one.
template <class L, class Sink>
CF_FN void cf_ray_add(const CfRayScene& s, const CfRays<L>& r, typename L::I px, typename L::I py, CfMarch<L>& m,
                      typename L::I entry, typename L::M seen, typename L::F opacity, float t, Sink& sink) {
  typedef typename L::F F;
  typedef typename L::I I;
  const F zero = L::splat(0.0f), w = L::select(seen, m.through * opacity, zero);
  m.pending = m.pending + w;
  const typename L::M shade = seen & (m.pending > CF_RAY_RESHADE);
  if (s.shade && L::any(shade)) {
    const typename L::M some = shade & (m.sum[3] > 0.0f);
    if (L::any(some)) sink.take(s, r, px, py, some, m);
    for (int i = 0; i < 4; ++i) m.sum[i] = L::select(shade, zero, m.sum[i]);
    m.lit = L::select(shade, L::splat(t), m.lit);
    m.pending = L::select(shade, zero, m.pending);
  }
  const I colour = L::at(s.layer.colour, entry);
  m.sum[0] = m.sum[0] + w * L::real((colour >> 20) & 1023);
  m.sum[1] = m.sum[1] + w * L::real((colour >> 10) & 1023);
  m.sum[2] = m.sum[2] + w * L::real(colour & 1023);
  m.sum[3] = m.sum[3] + w;
  cf_ray_pass<L>(m, w, t);
}

// A sample of the fused layer glows by itself.
template <class L>
CF_FN void cf_ray_glow(CfMarch<L>& m, const CfRayLayer& g, typename L::I entry, typename L::M seen,
                       typename L::F opacity, float t) {
  typedef typename L::F F;
  const typename L::I colour = L::at(g.colour, entry);
  const F w = L::select(seen, m.through * opacity, L::splat(0.0f)), share = w * (1.0f / 1023.0f);
  m.red = m.red + share * L::real((colour >> 20) & 1023);
  m.green = m.green + share * L::real((colour >> 10) & 1023);
  m.blue = m.blue + share * L::real(colour & 1023);
  cf_ray_pass<L>(m, w, t);
}

// The fused volume along the same rays.
template <class L>
struct CfOther {
  CfRays<L> r;
  CfBeam beam;
  typename L::F begin, end;
};

template <class L>
CF_FN CfOther<L> cf_ray_other(const CfRayScene& s, const CfRays<L>& r, float first, float last) {
  CfOther<L> other;
  for (int i = 0; i < 3; ++i) {
    const float* row = s.to_other + 4 * i;
    other.r.o[i] = r.o[0] * row[0] + r.o[1] * row[1] + r.o[2] * row[2] + row[3];
    other.r.d[i] = r.d[0] * row[0] + r.d[1] * row[1] + r.d[2] * row[2];
  }
  other.begin = L::splat(0.0f);
  other.end = L::splat(1e6f);
  for (int i = 0; i < 3; ++i)
    cf_ray_slab<L>(other.r.o[i], other.r.d[i], L::splat(0.0f), L::splat((float)(s.other.size[i] - 1)), other.begin,
                   other.end);
  other.beam = cf_ray_beam<L>(other.r, first, last);
  return other;
}

template <class L>
CF_FN void cf_ray_sample_other(const CfRayScene& s, const CfOther<L>& other, const CfPlace<L>& p, typename L::I index,
                               typename L::M on, float t, CfMarch<L>& m) {
  typedef typename L::I I;
  const typename L::M inside = on & (other.begin <= t) & (other.end >= t);
  if (!L::any(inside)) return;
  const CfPlace<L> q = cf_ray_place<L>(other.r, L::splat(t), s.other.size);
  const I at = cf_ray_index<L>(q, s.other.size);
  const I entry = cf_ray_entry<L>(s.other, cf_ray_value<L, CF_KIND_ASK>(s.other, q, at));
  const typename L::F opacity = L::at(s.other.opacity, entry);
  typename L::M glows = inside & (opacity > 0.0f);
  if (s.keep != 0 && L::any(glows)) glows = glows & cf_ray_kept<L>(s, p, index);
  if (L::any(glows)) cf_ray_glow<L>(m, s.other, entry, glows, opacity, t);
}

// One packet of rays through pixels (px, py); lanes outside `wanted` do nothing. All lanes are at the same t, so that
// they are near each other in the volume. `fused`: the other layer takes part.
template <class L, int kind, bool fused, class Sink>
CF_FN CfMarch<L> cf_ray_march(const CfRayScene& s, typename L::I px, typename L::I py, typename L::M wanted,
                              Sink& sink) {
  typedef typename L::F F;
  typedef typename L::I I;
  typedef typename L::M M;
  const CfRays<L> r = cf_ray_begin<L>(s, px, py);
  const F zero = L::splat(0.0f), never = L::splat(-1.0f);
  F begin, end;
  cf_ray_clip<L>(s, r, begin, end);
  CfMarch<L> m = {zero, zero, zero, {zero, zero, zero, zero}, never, L::splat(1.0f), zero, never};
  // The first whole t at or behind `begin`.
  const F whole = L::real(L::whole(cf_min<L>(begin, L::splat(1e6f))));
  const F start = L::select(whole < begin, whole + 1.0f, whole);
  M alive = wanted & (begin <= end) & (start <= end);
  float t = L::least(L::select(alive, start, L::splat(CF_RAY_FAR)));
  const float last = L::most(L::select(alive, end, never));
  if (t <= last) {
    const CfBeam beam = cf_ray_beam<L>(r, t, last);
    CfOther<L> other;
    if (fused) other = cf_ray_other<L>(s, r, t, last);
    while (t <= last) {
      const float next = cf_ray_skip(s.layer, beam, t);
      const float then = fused ? cf_ray_skip(s.other, other.beam, t) : next;
      if (next > t && then > t) {
        t = cf_min<CfOneLane>(next, then);
        continue;
      }
      const M on = alive & (start <= t) & (end >= t);
      const CfPlace<L> p = cf_ray_place<L>(r, L::splat(t), s.layer.size);
      const I index = cf_ray_index<L>(p, s.layer.size);
      const M may = on & cf_ray_may_see<L>(s.layer, p);
      if (next <= t && L::any(may)) {
        const I entry = cf_ray_entry<L>(s.layer, cf_ray_value<L, kind>(s.layer, p, index));
        const F opacity = L::at(s.layer.opacity, entry);
        M seen = may & (opacity > 0.0f);
        if (s.keep != 0 && L::any(seen)) seen = seen & cf_ray_kept<L>(s, p, index);
        if (L::any(seen)) cf_ray_add<L>(s, r, px, py, m, entry, seen, opacity, t, sink);
      }
      if (fused && then <= t) cf_ray_sample_other<L>(s, other, p, index, on, t, m);
      alive = alive & (m.through >= CF_RAY_OPAQUE);
      if (!L::any(alive)) break;
      t = t + 1.0f;
    }
  }
  const M rest = m.sum[3] > 0.0f;
  if (L::any(rest)) sink.take(s, r, px, py, rest, m);
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

// One pixel by the definition: what a CUDA thread does.
template <int kind, bool fused>
CF_FN void cf_ray_pixel(const CfRayScene& s, int x, int y) {
  CfLitNow<CfOneLane, kind> lit = {{0.0f, 0.0f, 0.0f}};
  const CfMarch<CfOneLane> m = cf_ray_march<CfOneLane, kind, fused>(s, x, y, true, lit);
  cf_ray_store(s, x, y, m.red + lit.total.red, m.green + lit.total.green, m.blue + lit.total.blue, m.through, m.half);
}
