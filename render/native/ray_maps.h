// Maps of empty space, made on the CPU: extremes of blocks of voxels once per volume, what of them shows something
// (sights) and how far it is to that (distances) once per transfer function.
#pragma once
#include "../kernels/ray_scene.h"

namespace {

constexpr int kBlock = 8;  // voxels along a block: 2 x 2 x 2 cells of the kernels
constexpr int kFarthest = 32;

// Values with which interpolation may give what is not a number hide what else there is.
template <typename T>
bool sound(T) {
  return true;
}
bool sound(float v) { return v > -1e37f && v < 1e37f; }

// The voxels that samples in one block may touch: 9 x 9 x 9 of them, the outermost ones repeated beyond the volume.
template <typename T>
struct Block {
  T v[kBlock + 1][kBlock + 1][kBlock + 1];
  bool is_sound = true;

  Block(const T* values, const int* n, int bx, int by, int bz) {
    int across[kBlock + 1];
    for (int i = 0; i <= kBlock; ++i) across[i] = clamped(bx * kBlock + i, n[0]);
    for (int k = 0; k <= kBlock; ++k)
      for (int j = 0; j <= kBlock; ++j) {
        const long long number = (long long)clamped(bz * kBlock + k, n[2]) * n[1] + clamped(by * kBlock + j, n[1]);
        const T* row = values + number * n[0];
        if (across[kBlock] == across[0] + kBlock)
          __builtin_memcpy(v[k][j], row + across[0], sizeof v[k][j]);
        else
          for (int i = 0; i <= kBlock; ++i) v[k][j][i] = row[across[i]];
        for (int i = 0; i <= kBlock; ++i) is_sound &= sound(v[k][j][i]);
      }
  }
  static int clamped(int at, int size) { return at < size ? at : size - 1; }
};

// Calls visit(block x, y, z, its number) for layers [z_begin, z_end) of blocks.
template <class Visit>
void every_block(const int* n, int z_begin, int z_end, Visit visit) {
  const int cx = (n[0] + kBlock - 2) / kBlock, cy = (n[1] + kBlock - 2) / kBlock;
  for (int z = z_begin; z < z_end; ++z)
    for (int y = 0; y < cy; ++y)
      for (int x = 0; x < cx; ++x) visit(x, y, z, ((long long)z * cy + y) * cx + x);
}

template <typename T>
void blocks(const T* values, const int* n, float* low, float* high, int z_begin, int z_end) {
  every_block(n, z_begin, z_end, [&](int x, int y, int z, long long number) {
    const Block<T> block(values, n, x, y, z);
    const T* v = block.v[0][0];
    T least = v[0], most = v[0];
    for (int i = 1; i < (int)(sizeof block.v / sizeof(T)); ++i) {
      least = v[i] < least ? v[i] : least;
      most = v[i] > most ? v[i] : most;
    }
    // An unsound block is always looked at.
    low[number] = block.is_sound ? (float)least : __builtin_nanf("");
    high[number] = block.is_sound ? (float)most : __builtin_nanf("");
  });
}

// The numbers of T in their order: what an index of it stands for.
template <typename T>
struct Ordered {
  static constexpr long long kFirst = (T)-1 < 0 ? -32768 : 0, kLast = (T)-1 < 0 ? 32767 : 65535;
  static T at(long long index) { return (T)index; }
};
template <>
struct Ordered<float> {
  static constexpr long long kLast = 0x7cf0bdc2, kFirst = -kLast;  // 1e37: sound values are nearer to 0
  static float at(long long index) {
    const unsigned bits = index < 0 ? 0x80000000u | (unsigned)-index : (unsigned)index;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }
};

// Which values show something: the tables of a transfer function, without colours.
struct Sight {
  float first, steps;
  int entries;
  const int* visible_before;  // of each entry, how many before it are not fully transparent; entries + 1 of them

  bool sees(float low, float high) const {
    const int a = cf_table_index(low, first, steps, entries), b = cf_table_index(high, first, steps, entries);
    return !(low <= high) || visible_before[b + 1] > visible_before[a];
  }

  // Index of the smallest T whose entry is at least this one; behind the last when there is none.
  template <typename T>
  long long reaching(int entry) const {
    long long low = Ordered<T>::kFirst, high = Ordered<T>::kLast + 1;
    while (low < high) {
      const long long middle = low + (high - low) / 2;
      if (cf_table_index((float)Ordered<T>::at(middle), first, steps, entries) >= entry)
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
};

// The same as ranges of values: what shows something lies in one of them. What is between the fourth and the last of a
// table with more is taken for visible too.
template <typename T>
struct Ranges {
  int count = 0;
  T low[4], high[4];

  explicit Ranges(const Sight& sight) {
    const int* before = sight.visible_before;
    for (int i = 0; i < sight.entries;) {
      int end = i;
      while (end < sight.entries && before[end + 1] > before[end]) ++end;
      if (end > i) add(sight, i, end);
      i = end + 1;
    }
  }

  bool all(float least, float most) const {
    bool found = false;
    for (int i = 0; i < count; ++i) found |= least >= (float)low[i] && most <= (float)high[i];
    return found;
  }

 private:
  void add(const Sight& sight, int entry, int end) {
    const long long from = sight.reaching<T>(entry);
    const long long to = end < sight.entries ? sight.reaching<T>(end) - 1 : Ordered<T>::kLast;
    if (from > to) return;
    if (count < 4) low[count++] = Ordered<T>::at(from);
    high[count - 1] = Ordered<T>::at(to);
  }
};

// Of one row of a block.
typedef unsigned short Flags __attribute__((vector_size(2 * kBlock)));

template <bool most, typename V>
V pick(V a, V b) {
  if (most) return a > b ? a : b;
  return a < b ? a : b;
}

// Extremes of the 2 x 2 x 2 voxels around each of the block's cells.
template <bool most, typename T, typename V>
void corners_of(const Block<T>& block, V (*to)[kBlock]) {
  V layers[2][kBlock];
  for (int k = 0; k <= kBlock; ++k) {
    V rows[kBlock + 1];
    for (int j = 0; j <= kBlock; ++j) {
      V a, b;
      __builtin_memcpy(&a, block.v[k][j], sizeof a);
      __builtin_memcpy(&b, block.v[k][j] + 1, sizeof b);
      rows[j] = pick<most>(a, b);
    }
    for (int j = 0; j < kBlock; ++j) {
      layers[k & 1][j] = pick<most>(rows[j], rows[j + 1]);
      if (k > 0) to[k - 1][j] = pick<most>(layers[0][j], layers[1][j]);
    }
  }
}

// Bits of one block: 4 of words along z, 2 along y and x; rows and slices of the map are so many words apart.
template <typename T>
void sights_of(const Block<T>& block, const Ranges<T>& ranges, unsigned* to, long long row, long long slice) {
  typedef T V __attribute__((vector_size(kBlock * sizeof(T))));
  V least[kBlock][kBlock], most[kBlock][kBlock];
  corners_of<false>(block, least);
  corners_of<true>(block, most);
  const Flags weights = {1, 2, 4, 8, 1, 2, 4, 8};
  for (int z = 0; z < kBlock; z += 2)
    for (int y = 0; y < kBlock; y += 4) {
      unsigned words[2] = {0, 0};
      for (int half = 0; half < 2; ++half) {
        Flags bits = {};
        for (int j = 0; j < 4; ++j) {
          const V low = least[z + half][y + j], high = most[z + half][y + j];
          auto seen = low > high;  // nothing
          for (int i = 0; i < ranges.count; ++i) seen |= (high >= ranges.low[i]) & (low <= ranges.high[i]);
          bits |= (__builtin_convertvector(seen, Flags) & weights) << (unsigned short)(4 * j);
        }
        unsigned long long four[2];
        __builtin_memcpy(four, &bits, sizeof four);
        for (int x = 0; x < 2; ++x) {
          const unsigned long long two = four[x] | four[x] >> 32;
          words[x] |= (unsigned)((two | two >> 16) & 0xffff) << (16 * half);
        }
      }
      unsigned* at = to + z / 2 * slice + y / 4 * row;
      at[0] = words[0];
      at[1] = words[1];
    }
}

// CfRayLayer.sights; the map holds zeros before.
template <typename T>
void sights(const T* values, const int* n, const float* low, const float* high, const Sight& sight, unsigned* map,
            int z_begin, int z_end) {
  const long long row = (n[0] + kBlock - 2) / kBlock * 2, slice = row * ((n[1] + kBlock - 2) / kBlock * 2);
  const Ranges<T> ranges(sight);
  every_block(n, z_begin, z_end, [&](int x, int y, int z, long long number) {
    if (!sight.sees(low[number], high[number])) return;
    unsigned* to = map + 4 * z * slice + 2 * y * row + 2 * x;
    if (low[number] <= high[number] && !ranges.all(low[number], high[number]))
      sights_of(Block<T>(values, n, x, y, z), ranges, to, row, slice);
    else
      for (int i = 0; i < 16; ++i) to[i / 4 * slice + i / 2 % 2 * row + i % 2] = ~0u;
  });
}

// Chebyshev distances along another axis: `rows` of `count` cells that are `stride` apart, d(i) = min over k of
// max(k, d(i + k), d(i - k)).
void widen(cf_u8* map, int rows, long long stride, int count, cf_u8* copy) {
  for (int i = 0; i < rows; ++i) __builtin_memcpy(copy + (long long)i * count, map + i * stride, count);
  for (int i = 0; i < rows; ++i) {
    cf_u8* to = map + i * stride;
    for (int k = 1; k < kFarthest; ++k) {
      cf_u8 farthest = 0;
      for (int x = 0; x < count; ++x) farthest = to[x] > farthest ? to[x] : farthest;
      if (farthest <= k) break;
      for (int side = -k; side <= k; side += 2 * k) {
        if (i + side < 0 || i + side >= rows) continue;
        const cf_u8* from = copy + (long long)(i + side) * count;
        for (int x = 0; x < count; ++x) {
          const cf_u8 reach = from[x] > k ? from[x] : (cf_u8)k;
          to[x] = reach < to[x] ? reach : to[x];
        }
      }
    }
  }
}

}  // namespace
