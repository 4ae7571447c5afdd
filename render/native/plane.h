// An oblique plane: one sample a pixel. Tiles of 32 columns and 4 rows go down strips of their columns: neighbours down
// a column share the rows of voxels that neighbours along a row have left. Values equal cf_slab_pixel bit by bit.
#pragma once

#include "samples.h"
#include "target.h"

namespace {

#ifndef TC
#define TC 32
#define TR 4
#endif
const int kPlaneColumns = TC, kPlaneRows = TR;  // of a tile
const int kRowVectors = kPlaneColumns / CF_LANES;
const int kPlaneVectors = kRowVectors * kPlaneRows;

inline bool finite(const float* v) {
  const float sum = (v[0] - v[0]) + (v[1] - v[1]) + (v[2] - v[2]);
  return sum == 0.0f;
}

// Ends of the places of pixels [x, x + columns) of rows [y, y + rows): rounding keeps their order along x and y.
inline Box box_of_tile(const CfSlab& s, int x, int y, int columns, int rows) {
  const float left = (float)x, right = (float)(x + columns - 1), top = (float)y, bottom = (float)(y + rows - 1);
  Box box;
  for (int i = 0; i < 3; ++i) {
    const float a = s.across[i], d = s.down[i];
    box.low[i] = (s.origin[i] + (a < 0.0f ? right : left) * a) + (d < 0.0f ? bottom : top) * d;
    box.high[i] = (s.origin[i] + (a < 0.0f ? left : right) * a) + (d < 0.0f ? top : bottom) * d;
  }
  return box;
}

// Places of a tile's pixels, row by row; lanes behind its last column repeat it.
struct Places {
  CfF x[kPlaneVectors], y[kPlaneVectors], z[kPlaneVectors];
};

inline void places_of(const CfSlab& s, int x, int y, int columns, int rows, Places* places) {
  CfI lane;
  for (int i = 0; i < CF_LANES; ++i) lane[i] = i;
  const CfI last = cf_all_int(x + columns - 1);
  for (int j = 0; j < kRowVectors; ++j) {
    const CfI column = lane + (x + j * CF_LANES);
    const CfF fx = cf_float(column < last ? column : last);
    const CfF ax = s.origin[0] + fx * s.across[0], ay = s.origin[1] + fx * s.across[1];
    const CfF az = s.origin[2] + fx * s.across[2];
    for (int r = 0; r < rows; ++r) {
      const float fy = (float)(y + r);
      const int n = r * kRowVectors + j;
      places->x[n] = ax + fy * s.down[0];
      places->y[n] = ay + fy * s.down[1];
      places->z[n] = az + fy * s.down[2];
    }
  }
}

template <typename T, bool CUBIC>
void samples_within(const T* values, const CfGrid& g, const Places& p, int vectors, CfF* samples) {
  if (CUBIC) {
    for (int n = 0; n < vectors; ++n) samples[n] = cubic_within(values, g, p.x[n], p.y[n], p.z[n]);
    return;
  }
  // All cells before the first value is loaded: loads need not wait for their indexes.
  Cell cells[kPlaneVectors];
  for (int n = 0; n < vectors; ++n) cells[n] = cell_within(g, p.x[n], p.y[n], p.z[n]);
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
void tile(const T* values, const CfSlab& s, const Target& to, int x, int y, int columns, int rows) {
  const Where place = where(s.grid, box_of_tile(s, x, y, columns, rows), CUBIC ? 1.0f : 0.0f);
  if (place == kOutside) {
    for (int r = 0; r < rows; ++r) store_outside(s, to, x, y + r, columns);
    return;
  }
  const int vectors = kRowVectors * rows;
  Places places;
  CfF samples[kPlaneVectors];
  CfI hits[kPlaneVectors];
  places_of(s, x, y, columns, rows, &places);
  if (place == kWithin)
    samples_within<T, CUBIC>(values, s.grid, places, vectors, samples);
  else
    samples_at_edge<T, CUBIC>(values, s.grid, places, vectors, samples, hits);
  if (s.kind != CF_MEAN)
    for (int n = 0; n < vectors; ++n) samples[n] = reduced_once(s, samples[n]);
  for (int r = 0; r < rows; ++r) {
    const int n = r * kRowVectors;
    place == kWithin ? store_row(s, to, samples + n, x, y + r, columns)
                     : store_hits(s, to, samples + n, hits + n, x, y + r, columns);
  }
}

template <typename T, bool CUBIC>
void plane(const T* values, const CfSlab& s, const Target& to, int y_begin, int y_end) {
  for (int x = 0; x < s.width; x += kPlaneColumns) {
    const int columns = s.width - x < kPlaneColumns ? s.width - x : kPlaneColumns;
    for (int y = y_begin; y < y_end; y += kPlaneRows)
      tile<T, CUBIC>(values, s, to, x, y, columns, y_end - y < kPlaneRows ? y_end - y : kPlaneRows);
  }
}

}  // namespace
