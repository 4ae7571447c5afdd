// Where a slab's pixels go: display values by a table, and the reduced values themselves.
#pragma once

#include "../kernels/slab.h"
#include "lanes.h"

namespace {

// A table that is a straight line between its ends: entry i is i * slope + base, cut to 0 to 255 and to a whole number.
// The host has compared every entry; slope 0: the table is none.
struct Ramp {
  float slope, base;
};

struct Target {
  CfTable table;
  Ramp ramp;
  cf_u8 outside;
  float missing;
  cf_u8* picture;
  float* reduced;
  bool straight;  // see is_straight
};

// cf_table_index of every lane.
inline CfI table_index(CfF value, const CfTable& table) {
  const CfF place = (value - table.first) * table.steps + 0.5f, last = cf_all((float)(table.size - 1));
  const CfF low = place >= 0.0f ? place : cf_all(0.0f);
  return cf_truncate(low < last ? low : last);
}

// What one sample makes of the value to begin with: the largest or smallest.
inline CfF reduced_once(const CfSlab& s, CfF sample) {
  if (s.kind == CF_LARGEST) return sample > s.start ? sample : cf_all(s.start);
  return sample < s.start ? sample : cf_all(s.start);
}

const float kWholeNumbers = 65536.0f;  // what 16 bits hold lies within

// Whether pictures of whole numbers of 16 bits can be computed without cutting the table's indexes: the table is a ramp
// from black to white or back, beyond whose ends the line goes on, and no number on the way is too large.
inline bool is_straight(const CfTable& table, const Ramp& ramp) {
  const float slope = ramp.slope, base = ramp.base, end = (float)(table.size - 1) * slope + base;
  if (slope == 0.0f) return false;
  const float dark = slope > 0.0f ? base : end, bright = slope > 0.0f ? end : base, most = 1e9f;
  if (!(dark < 1.0f && bright >= 255.0f && base < most && base > -most)) return false;
  const float ends[2] = {-kWholeNumbers, kWholeNumbers};
  for (const float value : ends) {
    const float index = (value - table.first) * table.steps;
    if (!(index < most && index > -most && index * slope < most && index * slope > -most)) return false;
  }
  return true;
}

// The same of a view: its largest or smallest value may begin with something else.
template <typename T>
inline bool is_straight(const CfSlab& s, const CfTable& table, const Ramp& ramp) {
  const bool whole = s.kind == CF_MEAN || (s.start >= -kWholeNumbers && s.start <= kWholeNumbers);
  return sizeof(T) == 2 && whole && is_straight(table, ramp);
}

// A straight table's numbers for whole vectors.
struct Shade {
  CfF first, steps, slope, base;
};

inline Shade shade_of(const Target& to) {
  return {cf_all(to.table.first), cf_all(to.table.steps), cf_all(to.ramp.slope), cf_all(to.ramp.base)};
}

// Display values before they are cut to 0 to 255, which cf_narrow does.
CF_INLINE CfI shaded(const Shade& by, CfF value) {
  const CfI index = cf_truncate((value - by.first) * by.steps + 0.5f);
  return cf_truncate(cf_float(index) * by.slope + by.base);
}

typedef cf_u8 CfBytes __attribute__((vector_size(CF_LANES)));

CF_INLINE CfBytes ramp_bytes(const Ramp& ramp, CfI index) {
  const CfF value = cf_float(index) * ramp.slope + ramp.base;
  const CfF cut = cf_least(cf_most(value, cf_all(0.0f)), cf_all(255.0f));
  return __builtin_convertvector(cf_truncate(cut), CfBytes);
}

// Display values of vectors of indexes that follow a ramp: no look-ups.
inline void store_ramp(const Ramp& ramp, const CfI* index, cf_u8* out, int count) {
  int i = 0;
  for (; i + CF_LANES <= count; i += CF_LANES) {  // of a known size: one store each
    const CfBytes shown = ramp_bytes(ramp, index[i / CF_LANES]);
    memcpy(out + i, &shown, sizeof shown);
  }
  if (i < count) {
    const CfBytes shown = ramp_bytes(ramp, index[i / CF_LANES]);
    memcpy(out + i, &shown, (size_t)(count - i));
  }
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
  int done = 0;
  if (to.picture != nullptr && to.straight) {
    const Shade shade = shade_of(to);
    for (; count - done >= 64; done += 64) {
      CfI shown[64 / CF_LANES];
      for (int n = 0; n < 64 / CF_LANES; ++n) shown[n] = shaded(shade, values[done / CF_LANES + n]);
      cf_narrow(shown, to.picture + at + done);
    }
  }
  if (to.picture != nullptr && done < count) {
    CfI index[128 / CF_LANES];
    for (int n = done / CF_LANES; n * CF_LANES < count; ++n)
      index[n - done / CF_LANES] = table_index(values[n], to.table);
    const int* entry = reinterpret_cast<const int*>(index);
    const cf_u8* entries = to.table.entries;
    cf_u8* out = to.picture + at + done;
    if (to.ramp.slope != 0.0f)
      store_ramp(to.ramp, index, out, count - done);
    else
      for (int i = 0; i < count - done; ++i) out[i] = entries[entry[i]];
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
