// Gray pictures on the CPU, 16 output rows at a time: whole source rows are summed (vectors over columns), turned, so that
// vectors hold one column of all these rows, then columns are summed and turned back. Nothing is gathered, and each source
// sample becomes a float once for a block. Sums are added in the order of cf_resample_pixel.
#pragma once

#include <stdlib.h>

#include "target.h"

namespace {

constexpr int kRows = 16;    // of a block
constexpr int kStrip = 64;   // source columns whose rows of a block stay in the nearest cache
constexpr int kShown = 128;  // pixels that are looked up at a time

template <int... Lane>
struct Lanes {};

#if CF_LANES == 16
typedef Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> AllLanes;
#elif CF_LANES == 8
typedef Lanes<0, 1, 2, 3, 4, 5, 6, 7> AllLanes;
#else
typedef Lanes<0, 1, 2, 3> AllLanes;
#endif

#if defined(__clang__)
#define CF_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define CF_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, CfI{__VA_ARGS__})
#endif

// Exchanges the lanes whose number has the bit in the first with those that have not in the second.
template <int Bit, int... Lane>
CF_INLINE void exchange(CfF& first, CfF& second, Lanes<Lane...>) {
  const CfF a = first, b = second;
  first = CF_SHUFFLE(a, b, ((Lane & Bit) ? Lane - Bit + CF_LANES : Lane)...);
  second = CF_SHUFFLE(a, b, ((Lane & Bit) ? Lane + CF_LANES : Lane + Bit)...);
}

template <int Bit>
CF_INLINE void turn_by(CfF* square) {
  for (int i = 0; i < CF_LANES; ++i)
    if (!(i & Bit)) exchange<Bit>(square[i], square[i + Bit], AllLanes());
}

// Rows of a square of CF_LANES x CF_LANES become its columns.
CF_INLINE void turn(CfF* square) {
  turn_by<1>(square);
  turn_by<2>(square);
#if CF_LANES >= 8
  turn_by<4>(square);
#endif
#if CF_LANES >= 16
  turn_by<8>(square);
#endif
}

CF_INLINE CfF load_floats(const float* at) {
  CfF value;
  memcpy(&value, at, sizeof value);
  return value;
}

// Memory for floats, aligned to cache lines; get() is null when there is none.
class Floats {
 public:
  explicit Floats(long count) : values_(static_cast<float*>(aligned_alloc(64, (size_t)((count + 15) / 16 * 64)))) {}
  ~Floats() { free(values_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* get() const { return values_; }

 private:
  float* values_;
};

// Sixteen neighbours, and sixteen such rows.
struct Sixteen {
  CfF of[kRows / CF_LANES];
};
struct Tile {
  Sixteen row[kRows];
};

// Weighted sum of `count` sixteens: `at` the first, `step` floats from one to the next, `beyond` from weight to weight.
CF_INLINE Sixteen weighted(const float* at, int step, const float* weight, long long beyond, int count) {
  Sixteen sum;
  for (int v = 0; v < kRows / CF_LANES; ++v) sum.of[v] = load_floats(at + v * CF_LANES) * weight[0];
  for (int i = 1; i < count; ++i) {
    at += step;
    weight += beyond;
    for (int v = 0; v < kRows / CF_LANES; ++v) sum.of[v] += load_floats(at + v * CF_LANES) * *weight;
  }
  return sum;
}

// Column c of the tile becomes the sixteen floats at to + c * step.
CF_INLINE void store_turned(const Tile& tile, float* to, long long step) {
  for (int v = 0; v < kRows / CF_LANES; ++v)
    for (int first = 0; first < kRows; first += CF_LANES) {
      CfF square[CF_LANES];
      for (int r = 0; r < CF_LANES; ++r) square[r] = tile.row[first + r].of[v];
      turn(square);
      for (int c = 0; c < CF_LANES; ++c) memcpy(to + (v * CF_LANES + c) * step + first, &square[c], sizeof(CfF));
    }
}

// Source rows [first, first + span) at columns [x, x + count), count <= kStrip, as floats.
template <typename T>
void widen(const T* source, int stride, int first, int span, int x, int count, float* __restrict wide) {
  for (int row = 0; row < span; ++row) {
    const T* at = source + (long long)(first + row) * stride + x;
    float* __restrict to = wide + (long long)row * kStrip;
    // The next strip's: rows lie too far apart for the processor to see what comes.
    for (unsigned ahead = 0; ahead < kStrip * sizeof(T); ahead += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(at + kStrip) + ahead);
    if (count == kStrip) {
      for (int i = 0; i < kStrip; ++i) to[i] = (float)at[i];
    } else {
      for (int i = 0; i < count; ++i) to[i] = (float)at[i];
      for (int i = count; i < kStrip; ++i) to[i] = 0.0f;
    }
  }
}

// A block of output rows [y, y + kRows), those behind the last one being the last.
struct Block {
  int y[kRows];
  int first, span;  // source rows that it is made of

  Block(const CfTaps& ty, int begin, int end) : first(ty.start[begin]), span(0) {
    int last = 0;
    for (int r = 0; r < kRows; ++r) {
      y[r] = begin + r < end ? begin + r : end - 1;
      const int start = ty.start[y[r]], behind = start + ty.count[y[r]];
      first = start < first ? start : first;
      last = behind > last ? behind : last;
    }
    span = last - first;
  }
};

int longest_span(const CfTaps& ty, int begin, int end) {
  int most = 0;
  for (int y = begin; y < end; y += kRows) {
    const Block block(ty, y, end);
    most = block.span > most ? block.span : most;
  }
  return most;
}

// Sums over rows: columns[(x - begin) * kRows + r] is source column x of the block's row r.
template <typename T>
void sum_rows_turned(const T* source, int stride, const CfTaps& ty, const Block& block, int begin, int end, float* wide,
                     float* columns) {
  for (int x = begin; x < end; x += kStrip) {
    const int count = end - x < kStrip ? end - x : kStrip;
    widen(source, stride, block.first, block.span, x, count, wide);
    for (int i = 0; i < count; i += kRows) {
      Tile tile;
      for (int r = 0; r < kRows; ++r) {
        const int y = block.y[r];
        tile.row[r] = weighted(wide + (long long)(ty.start[y] - block.first) * kStrip + i, kStrip, ty.weight + y,
                               ty.outputs, ty.count[y]);
      }
      store_turned(tile, columns + (long long)(x - begin + i) * kRows, kRows);
    }
  }
}

// Sums over columns, turned back: `sums` has kRows rows of `padded` floats.
inline void sum_columns_turned(const float* columns, const CfTaps& tx, int begin, int padded, float* sums) {
  for (int x = 0; x < tx.outputs; x += kRows) {
    Tile tile;
    for (int c = 0; c < kRows; ++c) {
      const int at = x + c < tx.outputs ? x + c : tx.outputs - 1;
      tile.row[c] = weighted(columns + (long long)(tx.start[at] - begin) * kRows, kRows, tx.weight + at, tx.outputs,
                             tx.count[at]);
    }
    store_turned(tile, sums + x, padded);
  }
}

// Display values of `count` index values by a table that is a line; whole vectors are read.
CF_INLINE void show_line(const CfF* values, const CfTable& table, const Ramp& ramp, int count, cf_u8* to) {
  int i = 0;
  for (; i + CF_LANES <= count; i += CF_LANES) {
    const CfBytes shown = ramp_bytes(ramp, table_index(values[i / CF_LANES], table));
    memcpy(to + i, &shown, sizeof shown);
  }
  if (i < count) {
    const CfBytes shown = ramp_bytes(ramp, table_index(values[i / CF_LANES], table));
    memcpy(to + i, &shown, (size_t)(count - i));
  }
}

// Display values of a row of index values: computed where the table is a line, else looked up.
template <typename T>
void look_up(const T* at, const CfTable& table, const Ramp& ramp, int width, cf_u8* to) {
  for (int x = 0; x < width; x += kShown) {
    const int count = width - x < kShown ? width - x : kShown;
    CfF values[kShown / CF_LANES];
    float* value = reinterpret_cast<float*>(values);
    if (count == kShown) {
      for (int i = 0; i < kShown; ++i) value[i] = (float)at[x + i];
    } else {
      for (int i = 0; i < kShown; ++i) value[i] = i < count ? (float)at[x + i] : 0.0f;
    }
    if (ramp.slope != 0.0f) {
      show_line(values, table, ramp, count, to + x);
    } else {
      CfI index[kShown / CF_LANES];
      for (int n = 0; n * CF_LANES < count; ++n) index[n] = table_index(values[n], table);
      const int* entry = reinterpret_cast<const int*>(index);
      for (int i = 0; i < count; ++i) to[x + i] = table.entries[entry[i]];
    }
  }
}

inline bool is_identity(const CfTaps& taps, int begin, int end) {
  for (int i = begin; i < end; ++i)
    if (taps.count[i] != 1 || taps.weight[i] != 1.0f || taps.start[i] != taps.start[begin] + i - begin) return false;
  return true;
}

// The source indexes that an axis uses: from the first to before the end.
inline int first_used(const CfTaps& taps) {
  int first = taps.start[0];
  for (int i = 1; i < taps.outputs; ++i) first = taps.start[i] < first ? taps.start[i] : first;
  return first;
}

inline int end_used(const CfTaps& taps) {
  int end = 0;
  for (int i = 0; i < taps.outputs; ++i) {
    const int last = taps.start[i] + taps.count[i];
    end = last > end ? last : end;
  }
  return end;
}

// Rows [y_begin, y_end) of a gray picture. False when there is no memory.
template <typename T>
bool gray_rows(const T* source, int stride, const CfTaps& tx, const CfTaps& ty, const CfTable& table, const Ramp& ramp,
               cf_u8* out, int y_begin, int y_end) {
  const int width = tx.outputs;
  if (is_identity(tx, 0, width) && is_identity(ty, y_begin, y_end)) {
    for (int y = y_begin; y < y_end; ++y)
      look_up(source + (long long)ty.start[y] * stride + tx.start[0], table, ramp, width, out + (long long)y * width);
    return true;
  }
  const int begin = first_used(tx), end = end_used(tx);
  const int padded = (width + kRows - 1) / kRows * kRows;
  const Floats wide((long)longest_span(ty, y_begin, y_end) * kStrip), sums((long)padded * kRows);
  const Floats columns((long)(end - begin + kStrip) * kRows);
  if (wide.get() == nullptr || columns.get() == nullptr || sums.get() == nullptr) return false;
  for (int y = y_begin; y < y_end; y += kRows) {
    sum_rows_turned(source, stride, ty, Block(ty, y, y_end), begin, end, wide.get(), columns.get());
    sum_columns_turned(columns.get(), tx, begin, padded, sums.get());
    for (int r = 0; r < kRows && y + r < y_end; ++r)
      look_up(sums.get() + (long long)r * padded, table, ramp, width, out + (long long)(y + r) * width);
  }
  return true;
}

}  // namespace
