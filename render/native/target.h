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

// Pixels [x, x + count) of a row, all inside; whole vectors are read.
inline void store_row(const CfSlab& s, const Target& to, const CfF* values, int x, int y, int count) {
  const long long at = (long long)y * s.width + x;
  if (to.picture != nullptr) {
    cf_u8* out = to.picture + at;
    for (int i = 0; i < count; i += CF_LANES) {
      const CfI index = table_index(values[i / CF_LANES], to.table);
      const int wide = count - i < CF_LANES ? count - i : CF_LANES;
      if (wide == CF_LANES) {
        cf_u8 shown[CF_LANES];
        for (int lane = 0; lane < CF_LANES; ++lane) shown[lane] = to.table.entries[index[lane]];
        memcpy(out + i, shown, CF_LANES);
      } else {
        for (int lane = 0; lane < wide; ++lane) out[i + lane] = to.table.entries[index[lane]];
      }
    }
  }
  if (to.reduced != nullptr) memcpy(to.reduced + at, values, sizeof(float) * (size_t)count);
}

}  // namespace
