// A plane or a slab through a volume: one parallel ray of samples behind every output pixel, reduced to its largest,
// smallest or mean value. One sample is a plane (MPR); samples through the whole volume with the largest value, a MIP.
#pragma once

#include "sample.h"

#define CF_LARGEST 0
#define CF_SMALLEST 1
#define CF_MEAN 2

// Samples are looked at in chunks of this many; cells are of 8 x 8 x 8 voxels.
#define CF_CHUNK 8
#define CF_CELL_SHIFT 3

// Sample k of pixel (x, y) lies at ((origin + x * across) + y * down) + k * through, in voxels. The order is fixed, so
// that every path adds the same numbers. The host guarantees 1 <= samples <= CF_MOST_SAMPLES.
#define CF_MOST_SAMPLES 8192
struct CfSlab {
  CfGrid grid;
  float origin[3], across[3], down[3], through[3];
  int width, height, samples;
  int kind;    // CF_LARGEST, CF_SMALLEST, CF_MEAN
  int cubic;   // 0: trilinear
  int order;   // of mixing a linear sample: CF_XYZ …
  float start;    // largest or smallest value to begin with: what is beyond it cannot change the picture
  float enough;   // the ray may end when its value is beyond this
};

// Smallest and largest value of each cell's voxels and their right neighbours: bounds of every linear sample inside.
struct CfCells {
  const float *low, *high;
  int nx, ny, nz;
};

struct CfRay {
  float x, y, z;
};

CF_FN CfRay cf_slab_ray(const CfSlab* slab, int x, int y) {
  const float fx = (float)x, fy = (float)y;
  const CfRay ray = {(slab->origin[0] + fx * slab->across[0]) + fy * slab->down[0],
                     (slab->origin[1] + fx * slab->across[1]) + fy * slab->down[1],
                     (slab->origin[2] + fx * slab->across[2]) + fy * slab->down[2]};
  return ray;
}

// Running value of a ray. `count`: samples inside the volume.
struct CfReduced {
  float value;
  int count;
};

template <typename T>
CF_FN void cf_slab_add(const T* values, const CfSlab* slab, const CfRay ray, int k, CfReduced* sum) {
  const float fk = (float)k;
  const float x = ray.x + fk * slab->through[0], y = ray.y + fk * slab->through[1], z = ray.z + fk * slab->through[2];
  if (!cf_inside(slab->grid, x, y, z)) return;
  const float s = slab->cubic ? cf_cubic<T>(values, slab->grid, x, y, z) : cf_linear_by<T>(values, slab->grid, x, y, z, slab->order);
  if (slab->kind == CF_LARGEST)
    sum->value = s > sum->value ? s : sum->value;
  else if (slab->kind == CF_SMALLEST)
    sum->value = s < sum->value ? s : sum->value;
  else
    sum->value += s;
  ++sum->count;
}

CF_FN CfReduced cf_slab_begin(const CfSlab* slab) {
  const CfReduced sum = {slab->kind == CF_MEAN ? 0.0f : slab->start, 0};
  return sum;
}

CF_FN float cf_slab_end(const CfSlab* slab, const CfReduced sum) {
  return slab->kind == CF_MEAN && sum.count > 0 ? sum.value / (float)sum.count : sum.value;
}

// Every sample of one pixel: the definition that all other paths must equal. count 0: the ray misses the volume.
template <typename T>
CF_FN CfReduced cf_slab_pixel(const T* values, const CfSlab* slab, int x, int y) {
  const CfRay ray = cf_slab_ray(slab, x, y);
  CfReduced sum = cf_slab_begin(slab);
  for (int k = 0; k < slab->samples; ++k) cf_slab_add<T>(values, slab, ray, k, &sum);
  sum.value = cf_slab_end(slab, sum);
  return sum;
}

// Cells from the voxel before `low` to the one before `high`, along one axis; first > last where there is none.
CF_FN void cf_cell_range(float low, float high, int size, int* first, int* last) {
  const float a = cf_within(low, size), b = cf_within(high, size);
  *first = cf_before(a, size) >> CF_CELL_SHIFT;
  *last = cf_before(b, size) >> CF_CELL_SHIFT;
}

// Largest (or smallest) value that any linear sample in the box [low, high] of places can have.
CF_FN float cf_cells_bound(const CfCells* cells, const CfGrid grid, const float* low, const float* high, int kind) {
  int x0, x1, y0, y1, z0, z1;
  cf_cell_range(low[0], high[0], grid.nx, &x0, &x1);
  cf_cell_range(low[1], high[1], grid.ny, &y0, &y1);
  cf_cell_range(low[2], high[2], grid.nz, &z0, &z1);
  const float* of = kind == CF_LARGEST ? cells->high : cells->low;
  float bound = of[((long long)z0 * cells->ny + y0) * cells->nx + x0];
  for (int z = z0; z <= z1; ++z)
    for (int y = y0; y <= y1; ++y) {
      const float* row = of + ((long long)z * cells->ny + y) * cells->nx;
      for (int x = x0; x <= x1; ++x) {
        const bool better = kind == CF_LARGEST ? row[x] > bound : row[x] < bound;
        bound = better ? row[x] : bound;
      }
    }
  return bound;
}

CF_FN bool cf_beyond(int kind, float a, float b) { return kind == CF_LARGEST ? a > b : a < b; }

// Bound of the samples [k, end) of one ray.
CF_FN float cf_ray_bound(const CfCells* cells, const CfSlab* slab, const CfRay ray, int k, int end) {
  const float a = (float)k, b = (float)(end - 1);
  const float from[3] = {ray.x, ray.y, ray.z};
  float low[3], high[3];
  for (int i = 0; i < 3; ++i) {
    const float p = from[i] + a * slab->through[i], q = from[i] + b * slab->through[i];
    low[i] = p < q ? p : q;
    high[i] = p < q ? q : p;
  }
  return cf_cells_bound(cells, slab->grid, low, high, slab->kind);
}

// The same value as cf_slab_pixel for the largest and smallest value, linear: chunks whose cells cannot change it are
// skipped, the most promising chunk comes first. The count is only zero or not.
template <typename T>
CF_FN CfReduced cf_slab_pixel_skipping(const T* values, const CfSlab* slab, const CfCells* cells, int x, int y) {
  const CfRay ray = cf_slab_ray(slab, x, y);
  CfReduced sum = cf_slab_begin(slab);
  int best = 0;
  float best_bound = slab->start;
  for (int k = 0; k < slab->samples; k += CF_CHUNK) {
    const int end = k + CF_CHUNK < slab->samples ? k + CF_CHUNK : slab->samples;
    for (int i = k; sum.count == 0 && i < end; ++i) {
      const float f = (float)i;
      sum.count += cf_inside(slab->grid, ray.x + f * slab->through[0], ray.y + f * slab->through[1],
                             ray.z + f * slab->through[2]);
    }
    const float bound = cf_ray_bound(cells, slab, ray, k, end);
    if (cf_beyond(slab->kind, bound, best_bound)) best = k, best_bound = bound;
  }
  if (sum.count == 0) return sum;
  for (int i = best; i < best + CF_CHUNK && i < slab->samples; ++i) cf_slab_add<T>(values, slab, ray, i, &sum);
  for (int k = 0; k < slab->samples && !cf_beyond(slab->kind, sum.value, slab->enough); k += CF_CHUNK) {
    const int end = k + CF_CHUNK < slab->samples ? k + CF_CHUNK : slab->samples;
    if (k == best || !cf_beyond(slab->kind, cf_ray_bound(cells, slab, ray, k, end), sum.value)) continue;
    for (int i = k; i < end; ++i) cf_slab_add<T>(values, slab, ray, i, &sum);
  }
  return sum;
}

// Display value of a reduced ray.
CF_FN cf_u8 cf_slab_shown(const CfReduced sum, const CfTable table, cf_u8 outside) {
  return sum.count > 0 ? table.entries[cf_table_index(sum.value, table.first, table.steps, table.size)] : outside;
}
