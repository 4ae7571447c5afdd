// Where a slab's pixels go: display values by a table, and the reduced values themselves.
#pragma once

#include "../kernels/slab.h"
#include "lanes.h"

namespace {

struct Target {
  CfTable table;
  cf_u8 outside;
  float missing;
  cf_u8* picture;
  float* reduced;
};

// cf_table_index of every lane.
inline CfI table_index(CfF value, const CfTable& table) {
  const CfF place = (value - table.first) * table.steps + 0.5f, last = cf_all((float)(table.size - 1));
  const CfF low = place >= 0.0f ? place : cf_all(0.0f);
  return cf_truncate(low < last ? low : last);
}

// Pixels [x, x + count) of a row lie outside.
inline void store_outside(const CfSlab& s, const Target& to, int x, int y, int count) {
  const long long at = (long long)y * s.width + x;
  if (to.picture != nullptr && count > 0) memset(to.picture + at, to.outside, (size_t)count);
  if (to.reduced != nullptr)
    for (int i = 0; i < count; ++i) to.reduced[at + i] = to.missing;
}

// Pixels [x, x + count) of a row, all inside and at most 128; whole vectors are read.
inline void store_row(const CfSlab& s, const Target& to, const CfF* values, int x, int y, int count) {
  const long long at = (long long)y * s.width + x;
  if (to.picture != nullptr) {
    CfI index[128 / CF_LANES];
    for (int n = 0; n * CF_LANES < count; ++n) index[n] = table_index(values[n], to.table);
    const int* entry = reinterpret_cast<const int*>(index);
    const cf_u8* entries = to.table.entries;
    cf_u8* out = to.picture + at;
    for (int i = 0; i < count; ++i) out[i] = entries[entry[i]];
  }
  if (to.reduced != nullptr) memcpy(to.reduced + at, values, sizeof(float) * (size_t)count);
}

// Pixels [x, x + count) of a row; those that are not `hits` lie outside.
inline void store_hits(const CfSlab& s, const Target& to, const CfF* values, const CfI* hits, int x, int y, int count) {
  const long long at = (long long)y * s.width + x;
  for (int i = 0; i < count; i += CF_LANES) {
    const CfI hit = hits[i / CF_LANES];
    const CfF value = values[i / CF_LANES];
    const CfI index = table_index(value, to.table);
    for (int lane = 0; lane < CF_LANES && i + lane < count; ++lane) {
      if (to.picture != nullptr) to.picture[at + i + lane] = hit[lane] ? to.table.entries[index[lane]] : to.outside;
      if (to.reduced != nullptr) to.reduced[at + i + lane] = hit[lane] ? value[lane] : to.missing;
    }
  }
}

}  // namespace
