// Values of pixels between neighbours of one row of floats: where a vector's columns lie near each other, a load and
// two permutations replace a gather. The patterns are found once and kept for all rows.
#pragma once

#include "axes.h"
#include "samples.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

const int kMostColumns = 512;
const int kTogether = 64;  // columns whose patterns stay in registers while rows change
const int kSpan = 1024;    // voxels that a block's columns may reach over

enum { kOneLoad, kTwoLoads, kGathers };

// Of a vector's columns: the voxel before each is base + at, `fraction` the way from it to the next.
struct Picks {
  CfI at, next;
  CfF fraction;
  int base;
};

struct PickedColumns {
  int count;        // columns of this block
  int low, voxels;  // voxels [low, low + voxels) are needed
  int picks;        // kOneLoad, kTwoLoads, kGathers: what all vectors allow
  Picks of[kMostColumns / CF_LANES];
};

// A block of columns from `first`, at most to `end`. The host's step lets 64 columns reach over less than kSpan voxels.
inline void picks_of(PickedColumns* c, const Steps& across, int first, int end) {
  const float step = across.step < 0.0f ? -across.step : across.step;
  int most = kMostColumns;
  while (most > kTogether && step * (float)most > (float)(kSpan - 3)) most -= kTogether;
  c->count = end - first < most ? end - first : most;
  const int a = across.place(first).index, b = across.place(first + c->count - 1).index;
  c->low = a < b ? a : b;
  c->voxels = (a < b ? b : a) - c->low + 2;
  int widest = 0;
  CfI lane;
  for (int i = 0; i < CF_LANES; ++i) lane[i] = i;
  const CfI last = cf_all_int(first + c->count - 1);
  const int vectors = (c->count + kTogether - 1) / kTogether * (kTogether / CF_LANES);
  for (int n = 0; n < vectors; ++n) {
    const CfI column = lane + (first + n * CF_LANES);
    Picks& p = c->of[n];
    // As Steps::place.
    const CfF place = across.origin + cf_float(column < last ? column : last) * across.step;
    const CfF at = within(place, across.size);
    const CfI index = before(at, across.size);
    p.fraction = at - cf_float(index);
    const int left = index[0], right = index[CF_LANES - 1];
    const int base = left < right ? left : right, wide = left + right - 2 * base;
    widest = wide > widest ? wide : widest;
    p.base = base - c->low;
    p.at = index - base;
    p.next = p.at + 1;
  }
  c->picks = widest <= CF_LANES - 2 ? kOneLoad : (widest <= 2 * CF_LANES - 2 ? kTwoLoads : kGathers);
}

// Rows have room for two vectors behind their last voxel.
template <int PICKS>
CF_INLINE CfF picked(const float* row, const Picks& p) {
  const float* from = row + p.base;
  CfPair pair;
#if defined(__AVX512F__)
  if (PICKS == kOneLoad) {
    __m512 all = _mm512_loadu_ps(from);
    __asm__("" : "+v"(all));  // one load for both: a load across cache lines costs more than a register
    pair = {(CfF)_mm512_maskz_permutexvar_ps(0xFFFF, (__m512i)p.at, all), (CfF)_mm512_maskz_permutexvar_ps(0xFFFF, (__m512i)p.next, all)};
  } else if (PICKS == kTwoLoads) {
    const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
    pair = {(CfF)_mm512_permutex2var_ps(low, (__m512i)p.at, high),
            (CfF)_mm512_permutex2var_ps(low, (__m512i)p.next, high)};
  } else {
    pair = cf_gather_pair(from, p.at);
  }
#elif defined(__AVX2__)
  if (PICKS == kOneLoad) {
    const __m256 all = _mm256_loadu_ps(from);
    pair = {(CfF)_mm256_permutevar8x32_ps(all, (__m256i)p.at), (CfF)_mm256_permutevar8x32_ps(all, (__m256i)p.next)};
  } else {
    pair = cf_gather_pair(from, p.at);
  }
#else
  pair = cf_gather_pair(from, p.at);
#endif
  return pair.first + p.fraction * (pair.second - pair.first);
}

}  // namespace
