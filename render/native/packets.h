// Oblique slabs: packets of near pixels go through chunks of samples; what a chunk's box of places says decides: outside
// (nothing), within the centres (no masks), or at the edge. Values equal cf_slab_pixel bit by bit.
#pragma once

#include <stdlib.h>

#include "samples.h"
#include "target.h"

namespace {

const int kStrip = 8;         // packets whose place is found at once

// Places of sample 0 of a packet's pixels.
struct Packet {
  CfF x, y, z;
};

CfI lane_column() {
  CfI column;
  for (int i = 0; i < CF_LANES; ++i) column[i] = i % CF_ACROSS;
  return column;
}

CfI lane_row() {
  CfI row;
  for (int i = 0; i < CF_LANES; ++i) row[i] = i / CF_ACROSS;
  return row;
}

// Lanes beyond the picture repeat its last column or row.
Packet packet_at(const CfSlab& s, CfI columns, CfI rows, int x, int y) {
  const CfI last_x = cf_all_int(s.width - 1), last_y = cf_all_int(s.height - 1);
  CfI xs = columns + x, ys = rows + y;
  xs = xs < last_x ? xs : last_x;
  ys = ys < last_y ? ys : last_y;
  const CfF fx = cf_float(xs), fy = cf_float(ys);
  Packet p;
  p.x = (s.origin[0] + fx * s.across[0]) + fy * s.down[0];
  p.y = (s.origin[1] + fx * s.across[1]) + fy * s.down[1];
  p.z = (s.origin[2] + fx * s.across[2]) + fy * s.down[2];
  return p;
}

// Sample 0 of the pixels of CF_DOWN rows from (x, y), `columns` wide. Rounding keeps the order of places along each of
// x, y and k: the box of the outermost holds all others exactly, however far from the volume the view begins.
Box box_at(const CfSlab& s, int x, int y, int columns) {
  const float left = (float)x, right = (float)(x + columns - 1), top = (float)y, bottom = (float)(y + CF_DOWN - 1);
  Box box;
  for (int i = 0; i < 3; ++i) {
    const float a = s.across[i], d = s.down[i];
    box.low[i] = (s.origin[i] + (a < 0.0f ? right : left) * a) + (d < 0.0f ? bottom : top) * d;
    box.high[i] = (s.origin[i] + (a < 0.0f ? left : right) * a) + (d < 0.0f ? top : bottom) * d;
  }
  return box;
}

Box box_of(const CfSlab& s, const Box& start, int k, int end) {
  Box box;
  for (int i = 0; i < 3; ++i) {
    const float a = (float)k * s.through[i], b = (float)(end - 1) * s.through[i];
    box.low[i] = start.low[i] + (a < b ? a : b);
    box.high[i] = start.high[i] + (a < b ? b : a);
  }
  return box;
}

// What a packet's rays have come to.
struct Sums {
  CfF value;
  CfF count;
};

template <int KIND>
inline void add(Sums& sums, CfF s, CfI mask) {
  if (KIND == CF_LARGEST)
    sums.value = ((s > sums.value) & mask) ? s : sums.value;
  else if (KIND == CF_SMALLEST)
    sums.value = ((s < sums.value) & mask) ? s : sums.value;
  else
    sums.value = mask ? sums.value + s : sums.value;
  sums.count = mask ? sums.count + 1.0f : sums.count;
}

// Samples [k, end) of a chunk, all within the centres.
template <typename T, int KIND>
void chunk_within(const T* values, const CfSlab& s, const Packet& p, int k, int end, Sums& sums) {
  Cell cells[CF_CHUNK];
  const int count = end - k;
  for (int i = 0; i < count; ++i) {
    const float f = (float)(k + i);
    cells[i] = cell_within(s.grid, p.x + f * s.through[0], p.y + f * s.through[1], p.z + f * s.through[2]);
  }
  const CfI every = cf_all_int(-1);
  for (int i = 0; i < count; ++i) add<KIND>(sums, linear(values, s.grid, cells[i]), every);
}

template <typename T, int KIND, bool CUBIC>
void chunk(const T* values, const CfSlab& s, const Packet& p, Where place, int k, int end, Sums& sums) {
  const CfI every = cf_all_int(-1);
  if (place == kWithin && !CUBIC) {
    for (; k < end; k += CF_CHUNK)
      chunk_within<T, KIND>(values, s, p, k, k + CF_CHUNK < end ? k + CF_CHUNK : end, sums);
    return;
  }
  for (; k < end; ++k) {
    const float f = (float)k;
    const CfF x = p.x + f * s.through[0], y = p.y + f * s.through[1], z = p.z + f * s.through[2];
    if (place == kWithin) {
      add<KIND>(sums, cubic_within(values, s.grid, x, y, z), every);
      continue;
    }
    const CfI mask = inside(s.grid, x, y, z);
    if (!cf_any(mask)) continue;
    CfF sample;
    if (CUBIC)
      for (int i = 0; i < CF_LANES; ++i)
        sample[i] = mask[i] ? cf_cubic<T>(values, s.grid, x[i], y[i], z[i]) : 0.0f;
    else
      sample = linear(values, s.grid, cell_at_edge(s.grid, x, y, z));
    add<KIND>(sums, sample, mask);
  }
}

template <typename T, int KIND, bool CUBIC>
Sums all_chunks(const T* values, const CfSlab& s, const Packet& p, Where strip, int x, int y) {
  Sums sums = {cf_all(KIND == CF_MEAN ? 0.0f : s.start), cf_all(0.0f)};
  if (strip == kOutside) return sums;
  if (strip == kWithin) {
    chunk<T, KIND, CUBIC>(values, s, p, kWithin, 0, s.samples, sums);
    return sums;
  }
  const Box first = box_at(s, x, y, CF_ACROSS);
  for (int k = 0; k < s.samples; k += CF_CHUNK) {
    const int end = k + CF_CHUNK < s.samples ? k + CF_CHUNK : s.samples;
    const Where place = where(s.grid, box_of(s, first, k, end), CUBIC ? 1.0f : 0.0f);
    if (place != kOutside) chunk<T, KIND, CUBIC>(values, s, p, place, k, end, sums);
  }
  return sums;
}

// A chunk that is still to be looked at.
struct Wanted {
  float bound;
  int k;
  Where place;
};

// Lanes whose samples [k, end) touch the volume.
void touch(const CfSlab& s, const Packet& p, int k, int end, CfF& count) {
  for (; k < end; ++k) {
    const float f = (float)k;
    const CfI mask = inside(s.grid, p.x + f * s.through[0], p.y + f * s.through[1], p.z + f * s.through[2]);
    count = mask ? cf_all(1.0f) : count;
  }
}

// The lane that is farthest from being settled.
template <int KIND>
float weakest(const Sums& sums) {
  return KIND == CF_LARGEST ? cf_lowest_lane(sums.value) : -cf_lowest_lane(-sums.value);
}

// Largest or smallest: chunks in the order of their cells' bounds, until no bound is beyond every lane's value.
template <typename T, int KIND>
Sums best_chunks(const T* values, const CfSlab& s, const CfCells& cells, const Packet& p, int x, int y,
                 Wanted* wanted) {
  Sums sums = {cf_all(s.start), cf_all(0.0f)};
  const Box first = box_at(s, x, y, CF_ACROSS);
  int count = 0;
  for (int k = 0; k < s.samples; k += CF_CHUNK) {
    const int end = k + CF_CHUNK < s.samples ? k + CF_CHUNK : s.samples;
    const Box box = box_of(s, first, k, end);
    const Where place = where(s.grid, box, 0.0f);
    if (place == kOutside) continue;
    if (place == kWithin)
      sums.count = cf_all(1.0f);
    else if (cf_any(sums.count == 0.0f))
      touch(s, p, k, end, sums.count);
    const float bound = cf_cells_bound(&cells, s.grid, box.low, box.high, KIND);
    if (cf_beyond(KIND, bound, s.start)) wanted[count++] = {bound, k, place};
  }
  float least = s.start;
  while (count > 0 && !cf_beyond(KIND, least, s.enough)) {
    int best = 0;
    for (int i = 1; i < count; ++i) best = cf_beyond(KIND, wanted[i].bound, wanted[best].bound) ? i : best;
    const Wanted next = wanted[best];
    if (!cf_beyond(KIND, next.bound, least)) break;
    wanted[best] = wanted[--count];
    const int end = next.k + CF_CHUNK < s.samples ? next.k + CF_CHUNK : s.samples;
    const CfF seen = sums.count;
    chunk<T, KIND, false>(values, s, p, next.place, next.k, end, sums);
    sums.count = seen;
    least = weakest<KIND>(sums);
  }
  return sums;
}

void store(const CfSlab& s, const Target& to, const Sums& sums, int x, int y) {
  const int wide = s.width - x < CF_ACROSS ? s.width - x : CF_ACROSS;
  const int tall = s.height - y < CF_DOWN ? s.height - y : CF_DOWN;
  const CfI hit = sums.count > 0.0f;
  if (to.picture != nullptr) {
    const CfI index = table_index(sums.value, to.table);
    cf_u8* at = to.picture + (long long)y * s.width + x;
    for (int j = 0; j < tall; ++j, at += s.width)
      for (int i = 0; i < wide; ++i) {
        const int lane = j * CF_ACROSS + i;
        at[i] = hit[lane] ? to.table.entries[index[lane]] : to.outside;
      }
  }
  if (to.reduced != nullptr) {
    const CfF value = hit ? sums.value : cf_all(to.missing);
    float* at = to.reduced + (long long)y * s.width + x;
    for (int j = 0; j < tall; ++j, at += s.width)
      for (int i = 0; i < wide; ++i) at[i] = value[j * CF_ACROSS + i];
  }
}

template <typename T, int KIND, bool CUBIC>
int packets(const T* values, const CfSlab& s, const CfCells& cells, const Target& to, int y_begin, int y_end) {
  const bool skips = cells.low != nullptr && KIND != CF_MEAN && !CUBIC && s.samples > CF_CHUNK;
  Wanted* wanted = nullptr;
  if (skips) {
    wanted = static_cast<Wanted*>(malloc(sizeof(Wanted) * (size_t)(s.samples / CF_CHUNK + 1)));
    if (wanted == nullptr) return 1;
  }
  const CfI columns = lane_column(), rows = lane_row();
  CfSlab tile = s;  // lanes below the tile belong to another thread
  tile.height = y_end;
  for (int y = y_begin; y < y_end; y += CF_DOWN) {
    int known = 0;  // packets before this column are known to lie within the centres, or outside
    Where place = kEdge;
    for (int x = 0; x < s.width; x += CF_ACROSS) {
      if (!skips && x >= known) {
        place = where(s.grid, box_of(s, box_at(s, x, y, kStrip * CF_ACROSS), 0, s.samples), CUBIC ? 1.0f : 0.0f);
        known = x + kStrip * CF_ACROSS;
      }
      const Packet p = packet_at(tile, columns, rows, x, y);
      Sums sums = skips ? best_chunks<T, KIND == CF_MEAN ? CF_LARGEST : KIND>(values, tile, cells, p, x, y, wanted)
                        : all_chunks<T, KIND, CUBIC>(values, tile, p, place, x, y);
      if (KIND == CF_MEAN && s.samples > 1) sums.value = sums.count > 0.0f ? sums.value / sums.count : sums.value;
      store(tile, to, sums, x, y);
    }
  }
  free(wanted);
  return 0;
}

}  // namespace
