// Values between neighbours along a row, for many columns at once. Where a vector's columns lie near each other, one
// load and a permutation replace a gather: on pictures of about a voxel a pixel that is several times as fast.
#pragma once

#include "lanes.h"

#if defined(__SSSE3__)
#include <immintrin.h>
#endif

// Words (int16, uint16) are picked from one load of 32 (AVX-512), or from one load of 8 for each four lanes; floats
// from 32 (AVX-512) or 8 (AVX2).
#if defined(__AVX512BW__)
#define CF_PICKS_WORDS 1
#define CF_PICKS_FLOATS 1
#define CF_PART CF_LANES
#define CF_WORDS_READ 32
#define CF_FLOATS_READ 32
#elif defined(__SSSE3__)
#define CF_PICKS_WORDS 1
#define CF_PART 4
#define CF_WORDS_READ 8
#if defined(__AVX2__)
#define CF_PICKS_FLOATS 1
#endif
#define CF_FLOATS_READ 8
#else
#define CF_PART CF_LANES
#define CF_WORDS_READ 1
#define CF_FLOATS_READ 1
#endif

static const int kGroups = 128 / CF_LANES;  // vectors of a block
static const int kColumns = kGroups * CF_LANES;
static const int kParts = CF_LANES / CF_PART;

// Up to 128 columns: the voxel before each and the way to the next. What lies behind the last column repeats it.
struct CfColumns {
  int groups;
  int low, high;  // voxels that are needed: [low, high]
  bool words_near, floats_near;
  CfI index[kGroups];
  CfF fraction[kGroups];
  CfI words[kGroups];                // permutation of a load at word_base
  CfI floats[kGroups];               // permutation of a load at float_base
  int word_base[kGroups * kParts];
  int float_base[kGroups];
};

// `index` and `fraction` of `count` columns (1 to 128, indexes ascending or descending), both with room for 128.
static inline void cf_columns(CfColumns* c, int* index, float* fraction, int count) {
  c->groups = (count + CF_LANES - 1) / CF_LANES;
  for (int i = count; i < c->groups * CF_LANES; ++i) index[i] = index[count - 1], fraction[i] = fraction[count - 1];
  memcpy(c->index, index, sizeof(CfI) * c->groups);
  memcpy(c->fraction, fraction, sizeof(CfF) * c->groups);
  c->low = index[0] < index[count - 1] ? index[0] : index[count - 1];
  c->high = index[0] + index[count - 1] - c->low + 1;
  int most_words = 0, most_floats = 0;
  for (int g = 0; g < c->groups; ++g) {
    const int* at = index + g * CF_LANES;
    CfI word_base = CfI{};
    for (int part = 0; part < kParts; ++part) {
      const int a = at[part * CF_PART], b = at[part * CF_PART + CF_PART - 1], base = a < b ? a : b;
      most_words = a + b - 2 * base > most_words ? a + b - 2 * base : most_words;
      c->word_base[g * kParts + part] = base;
      for (int i = 0; kParts > 1 && i < CF_PART; ++i) word_base[part * CF_PART + i] = base;
      if (kParts == 1) word_base = cf_all_int(base);
    }
    const CfI from = c->index[g] - word_base;
#if defined(__AVX512BW__)
    c->words[g] = (from & 31) | (((from + 1) & 31) << 16);
#else
    const CfI byte = (from * 2) & 15;  // four bytes of the two words
    c->words[g] = byte | ((byte + 1) & 15) << 8 | ((byte + 2) & 15) << 16 | ((byte + 3) & 15) << 24;
#endif
    const int a = at[0], b = at[CF_LANES - 1], base = a < b ? a : b;
    most_floats = a + b - 2 * base > most_floats ? a + b - 2 * base : most_floats;
    c->float_base[g] = base;
    c->floats[g] = c->index[g] - base;
  }
  c->words_near = most_words <= CF_WORDS_READ - 2;
  c->floats_near = most_floats <= CF_FLOATS_READ - 2;
}

#if defined(CF_PICKS_WORDS)
static inline CfI cf_picked_words(const void* row, const CfColumns& c, int g) {
  const short* from = static_cast<const short*>(row);
#if defined(__AVX512BW__)
  return (CfI)_mm512_permutexvar_epi16((__m512i)c.words[g], _mm512_loadu_si512(from + c.word_base[g]));
#elif defined(__AVX2__)
  const __m128i low = _mm_loadu_si128((const __m128i*)(from + c.word_base[2 * g]));
  const __m128i high = _mm_loadu_si128((const __m128i*)(from + c.word_base[2 * g + 1]));
  return (CfI)_mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), (__m256i)c.words[g]);
#else
  return (CfI)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)(from + c.word_base[g])), (__m128i)c.words[g]);
#endif
}
#endif

#if defined(CF_PICKS_FLOATS)
static inline CfPair cf_picked_floats(const float* row, const CfColumns& c, int g) {
  const float* from = row + c.float_base[g];
#if defined(__AVX512BW__)
  const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
  return {(CfF)_mm512_permutex2var_ps(low, (__m512i)c.floats[g], high),
          (CfF)_mm512_permutex2var_ps(low, (__m512i)(c.floats[g] + 1), high)};
#else
  const __m256 eight = _mm256_loadu_ps(from);
  return {(CfF)_mm256_permutevar8x32_ps(eight, (__m256i)c.floats[g]),
          (CfF)_mm256_permutevar8x32_ps(eight, (__m256i)(c.floats[g] + 1))};
#endif
}
#endif

static inline CfF cf_between(const CfPair pair, CfF fraction) {
  return pair.first + fraction * (pair.second - pair.first);
}

// Values of all columns between the voxels of `row`; loads may reach to `end`, not beyond.
template <typename T>
static inline void cf_lerp_row(const T* row, const T* end, const CfColumns& c, CfF* out) {
#if defined(CF_PICKS_WORDS)
  if (c.words_near && end - row >= c.high + CF_WORDS_READ) {
    for (int g = 0; g < c.groups; ++g)
      out[g] = cf_mix_words(cf_picked_words(row, c, g), c.fraction[g], row);
    return;
  }
#endif
  (void)end;
  for (int g = 0; g < c.groups; ++g) out[g] = cf_between(cf_gather_pair(row, c.index[g]), c.fraction[g]);
}

static inline void cf_lerp_row(const float* row, const float* end, const CfColumns& c, CfF* out) {
#if defined(CF_PICKS_FLOATS)
  if (c.floats_near && end - row >= c.high + CF_FLOATS_READ) {
    for (int g = 0; g < c.groups; ++g) out[g] = cf_between(cf_picked_floats(row, c, g), c.fraction[g]);
    return;
  }
#endif
  (void)end;
  for (int g = 0; g < c.groups; ++g) out[g] = cf_between(cf_gather_pair(row, c.index[g]), c.fraction[g]);
}
