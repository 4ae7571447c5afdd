// Scenes, rays and lanes of volume rendering (raycast.h). Common subset of CUDA C++ and C++17.
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
  const cf_u8* distance;         // per cell: 0 = something may be seen, d = every cell nearer than d (Chebyshev) is
                                 // empty
  const unsigned int* sights;    // per 4 x 4 x 2 voxels, a bit for each, x lowest: something may be seen between it and
                                 // its next neighbours; or 0 when nobody has looked so closely
  const cf_f32* opacity;         // of one sample, by table entry
  const unsigned int* colour;    // 10 bits each: red << 20 | green << 10 | blue
  int size[3];                   // nx, ny, nz
  int cells[3];
  int cell_shift;                // cells are 1 << cell_shift voxels wide; 2 where there are sights
  int entries;                   // of the two tables
  int kind;                      // CfValueKind
  cf_f32 first, steps;           // entry = (value - first) * steps, nearest, the ends repeat
};

struct CfRayScene {
  CfRayLayer layer;
  CfRayLayer other;              // fused layer; other.values == 0 when there is none
  const cf_u8* keep;             // (nz, ny, nx): 0 = cut away; or 0
  cf_u8* rgb;                    // (height, width, 3)
  cf_f32* seen;                  // (height, width, 2): opacity, and mm to where it passes one half; or 0
  cf_f32 origin[3], across[3], down[3], forward[3];  // origin of pixel (0, 0), steps per pixel, one sample's step
  cf_f32 plane[4];               // perspective: place of pixel (0, 0) on the plane at unit distance, steps per pixel
  cf_f32 box_low[3], box_high[3];
  cf_f32 clip[CF_RAY_PLANES][4]; // kept: a x + b y + c z + d >= 0
  cf_f32 stop[CF_RAY_STOPS][4];  // opaque planes: a ray ends where a x + b y + c z + d = 0
  cf_f32 to_other[12];           // rows of the map from indices of the first volume to those of the other
  cf_f32 metric[6];              // |gradient| in mm: xx, yy, zz, xy, xz, yz of inverse(A) transposed(inverse(A))
  cf_f32 start_mm, never_mm;     // before t = 0; what stands for a place that there is not
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
  enum { kAhead = 2 };  // samples that are looked up together
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
    const typename L::I voxel = L::whole(at), last = voxel * 0 + (size[i] - 2);
    p.voxel[i] = L::select(voxel < last, voxel, last);
    p.part[i] = at - L::real(p.voxel[i]);
  }
  return p;
}
