// Maps of empty space, made on the CPU: extremes of blocks of voxels once per volume, what of them shows something
// (parts) and how far it is to that (distances) once per transfer function.
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

// Which values show something: the tables of a transfer function, without colours.
struct Sight {
  float first, steps;
  int entries;
  const int* visible_before;  // of each entry, how many before it are not fully transparent; entries + 1 of them

  bool sees(float low, float high) const {
    const int a = cf_table_index(low, first, steps, entries), b = cf_table_index(high, first, steps, entries);
    return !(low <= high) || visible_before[b + 1] > visible_before[a];
  }
};

// Extremes of 3 neighbours each, 2 apart: `rows` of length `count` each, 2 * kParts + 1 of them, to kParts.
template <typename T, bool most>
void narrow(const T* rows, int count, T* to) {
  for (int part = 0; part < kBlock / 2; ++part) {
    const T *a = rows + 2 * part * count, *b = a + count, *c = b + count;
    for (int i = 0; i < count; ++i) {
      const T ab = most ? (a[i] > b[i] ? a[i] : b[i]) : (a[i] < b[i] ? a[i] : b[i]);
      to[part * count + i] = most ? (ab > c[i] ? ab : c[i]) : (ab < c[i] ? ab : c[i]);
    }
  }
}

template <typename T, bool most>
void parts_of(const Block<T>& block, T (*to)[kBlock / 2][kBlock / 2]) {
  constexpr int wide = kBlock + 1, half = kBlock / 2;
  T layers[half][wide][wide], rows[half][half][wide];
  narrow<T, most>(block.v[0][0], wide * wide, layers[0][0]);
  for (int k = 0; k < half; ++k) {
    narrow<T, most>(layers[k][0], wide, rows[k][0]);
    for (int j = 0; j < half; ++j) narrow<T, most>(rows[k][j], 1, to[k][j]);
  }
}

template <typename T>
void parts(const T* values, const int* n, const float* low, const float* high, const Sight& sight, cf_u8* map,
           int z_begin, int z_end) {
  const long long row = (n[0] + kBlock - 2) / kBlock * 2, slice = row * ((n[1] + kBlock - 2) / kBlock * 2);
  every_block(n, z_begin, z_end, [&](int x, int y, int z, long long number) {
    cf_u8* to = map + 2 * z * slice + 2 * y * row + 2 * x;
    const bool visible = sight.sees(low[number], high[number]);
    cf_u8 bits[8];
    __builtin_memset(bits, 0, sizeof bits);
    if (visible) {
      constexpr int half = kBlock / 2;
      const Block<T> block(values, n, x, y, z);
      T least[half][half][half], most[half][half][half];
      parts_of<T, false>(block, least);
      parts_of<T, true>(block, most);
      for (int i = 0; i < half * half * half; ++i) {
        const int px = i % half, py = i / half % half, pz = i / half / half;
        const bool seen = !block.is_sound || sight.sees((float)least[pz][py][px], (float)most[pz][py][px]);
        bits[pz / 2 * 4 + py / 2 * 2 + px / 2] |= (cf_u8)(seen << (pz % 2 * 4 + py % 2 * 2 + px % 2));
      }
    }
    for (int i = 0; i < 8; ++i) to[i / 4 * slice + i / 2 % 2 * row + i % 2] = bits[i];
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
