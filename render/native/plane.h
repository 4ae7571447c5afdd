// An oblique plane: one sample a pixel, vectors of neighbours in a row, strips of 128 columns that stay in the cache
// from row to row. Values equal cf_slab_pixel bit by bit.
#pragma once

#include "samples.h"
#include "target.h"

namespace {

const int kStripColumns = 128;

inline bool finite(const float* v) {
  const float sum = (v[0] - v[0]) + (v[1] - v[1]) + (v[2] - v[2]);
  return sum == 0.0f;
}

// Ends of the places of pixels [x, x + count) of row y: rounding keeps their order.
inline Box box_of_row(const CfSlab& s, int x, int y, int count) {
  const float left = (float)x, right = (float)(x + count - 1), fy = (float)y;
  Box box;
  for (int i = 0; i < 3; ++i) {
    const float p = (s.origin[i] + left * s.across[i]) + fy * s.down[i];
    const float q = (s.origin[i] + right * s.across[i]) + fy * s.down[i];
    box.low[i] = p < q ? p : q;
    box.high[i] = p < q ? q : p;
  }
  return box;
}

// Places of a strip's pixels; lanes behind its last column repeat it.
struct Places {
  CfF x[kStripColumns / CF_LANES], y[kStripColumns / CF_LANES], z[kStripColumns / CF_LANES];
};

inline void places_of(const CfSlab& s, int x, int y, int count, Places* places) {
  CfI lane;
  for (int i = 0; i < CF_LANES; ++i) lane[i] = i;
  const CfI last = cf_all_int(x + count - 1);
  const float fy = (float)y, dx = fy * s.down[0], dy = fy * s.down[1], dz = fy * s.down[2];
  for (int n = 0; n * CF_LANES < count; ++n) {
    const CfI column = lane + (x + n * CF_LANES);
    const CfF fx = cf_float(column < last ? column : last);
    places->x[n] = (s.origin[0] + fx * s.across[0]) + dx;
    places->y[n] = (s.origin[1] + fx * s.across[1]) + dy;
    places->z[n] = (s.origin[2] + fx * s.across[2]) + dz;
  }
}

// Rows of voxels, from a cell's first, that the next output row reaches and this one does not: the two beyond the cell.
struct Ahead {
  long long in_y, in_z;
};

inline Ahead ahead_of(const CfSlab& s) {
  const long long row = s.grid.nx, slice = row * s.grid.ny;
  const long long y = s.down[1] > 0.0f ? row : 0, z = s.down[2] > 0.0f ? slice : 0;
  return {(s.down[1] > 0.0f ? 2 * row : -row) + z, y + (s.down[2] > 0.0f ? 2 * slice : -slice)};
}

// No processor foresees oblique rows, and other work has put their lines out of the near caches since the last picture.
template <typename T>
inline void expect(const T* values, const Cell* cells, int vectors, const Ahead& ahead) {
  const char* from = reinterpret_cast<const char*>(values);
  for (int n = 0; n < vectors; ++n) {
    const int* at = reinterpret_cast<const int*>(&cells[n].at);
    for (int i = 0; i < CF_LANES; i += 4) {
      __builtin_prefetch(from + (at[i] + ahead.in_y) * (long long)sizeof(T));
      __builtin_prefetch(from + (at[i + 2] + ahead.in_z) * (long long)sizeof(T));
    }
  }
}

template <typename T, bool CUBIC>
void samples_within(const T* values, const CfSlab& s, const Places& p, int vectors, CfF* samples) {
  const CfGrid& g = s.grid;
  if (CUBIC) {
    for (int n = 0; n < vectors; ++n) samples[n] = cubic_within(values, g, p.x[n], p.y[n], p.z[n]);
    return;
  }
  Cell cells[kStripColumns / CF_LANES];
  for (int n = 0; n < vectors; ++n) cells[n] = cell_within(g, p.x[n], p.y[n], p.z[n]);
  expect(values, cells, vectors, ahead_of(s));
  for (int n = 0; n < vectors; ++n) samples[n] = linear(values, g, cells[n]);
}

template <typename T, bool CUBIC>
void samples_at_edge(const T* values, const CfGrid& g, const Places& p, int vectors, CfF* samples, CfI* hits) {
  for (int n = 0; n < vectors; ++n) {
    hits[n] = inside(g, p.x[n], p.y[n], p.z[n]);
    samples[n] = cf_all(0.0f);
    if (!cf_any(hits[n])) continue;
    if (CUBIC) {
      for (int i = 0; i < CF_LANES; ++i)
        if (hits[n][i]) samples[n][i] = cf_cubic<T>(values, g, p.x[n][i], p.y[n][i], p.z[n][i]);
    } else {
      samples[n] = linear(values, g, cell_at_edge(g, p.x[n], p.y[n], p.z[n]));
    }
  }
}

template <typename T, bool CUBIC>
void strip(const T* values, const CfSlab& s, const Target& to, int x, int y, int count) {
  const Where place = where(s.grid, box_of_row(s, x, y, count), CUBIC ? 1.0f : 0.0f);
  if (place == kOutside) return store_outside(s, to, x, y, count);
  const int vectors = (count + CF_LANES - 1) / CF_LANES;
  Places places;
  CfF samples[kStripColumns / CF_LANES];
  CfI hits[kStripColumns / CF_LANES];
  places_of(s, x, y, count, &places);
  if (place == kWithin)
    samples_within<T, CUBIC>(values, s, places, vectors, samples);
  else
    samples_at_edge<T, CUBIC>(values, s.grid, places, vectors, samples, hits);
  if (s.kind != CF_MEAN)
    for (int n = 0; n < vectors; ++n) samples[n] = reduced_once(s, samples[n]);
  place == kWithin ? store_row(s, to, samples, x, y, count) : store_hits(s, to, samples, hits, x, y, count);
}

template <typename T, bool CUBIC>
void plane(const T* values, const CfSlab& s, const Target& to, int y_begin, int y_end) {
  for (int x = 0; x < s.width; x += kStripColumns)
    for (int y = y_begin; y < y_end; ++y)
      strip<T, CUBIC>(values, s, to, x, y, s.width - x < kStripColumns ? s.width - x : kStripColumns);
}

}  // namespace
