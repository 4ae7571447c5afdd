// Sheets: copies of single planes x = constant, (z, y) side by side. In the volume each of their voxels lies in a cache
// line of its own; a view along x that is looked at more than once is drawn from sheets (native/sheets.py).
#pragma once

#include "../kernels/sample.h"
#include "lanes.h"

namespace {

const int kSheetsAtOnce = 32;  // their voxels share a cache line of 16-bit words

// Sheets by x, null where there is none; voxel (y, z) at [z * ny + y], whole vectors may be read behind the last.
template <typename T>
struct Sheets {
  const T* const* of;

  bool have(int x) const { return of != nullptr && of[x] != nullptr && of[x + 1] != nullptr; }
};

// CF_LANES neighbours as floats.
template <typename T>
CF_INLINE CfF loaded(const T* from) {
  typedef T Few __attribute__((vector_size(sizeof(T) * CF_LANES)));
  Few few;
  memcpy(&few, from, sizeof few);
  return cf_float(__builtin_convertvector(few, CfI));  // by way of 32 bits: one instruction each
}

CF_INLINE CfF loaded(const float* from) {
  CfF few;
  memcpy(&few, from, sizeof few);
  return few;
}

// Sheets of x in [first, first + count), `apart` voxels from one to the next, rows of slices [z_begin, z_end).
template <typename T>
void make_sheets(const T* values, const CfGrid& g, int first, int count, T* sheets, long long apart, int z_begin,
                 int z_end) {
  T turned[kSheetsAtOnce][kSheetsAtOnce];
  for (int z = z_begin; z < z_end; ++z)
    for (int y = 0; y < g.ny; y += kSheetsAtOnce) {
      const int rows = g.ny - y < kSheetsAtOnce ? g.ny - y : kSheetsAtOnce;
      const long long row = (long long)z * g.ny + y;
      const T* from = values + row * g.nx + first;
      for (int j = 0; j < rows; ++j, from += g.nx) {
        __builtin_prefetch(from + 2LL * kSheetsAtOnce * g.nx);  // no pattern that processors foresee
        for (int i = 0; i < count; ++i) turned[i][j] = from[i];
      }
      for (int i = 0; i < count; ++i) memcpy(sheets + i * apart + row, turned[i], sizeof(T) * (size_t)rows);
    }
}

}  // namespace
