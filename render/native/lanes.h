// Packets of pixels: as many lanes as the processor's vectors hold, as the vector types of GCC and Clang. Arithmetic is
// plain C++; only gathers and mask tests name instructions.
#pragma once

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif
#include <string.h>

#include "../kernels/resample.h"

// For what stands in the innermost loops: a call would pass its vectors through memory.
#define CF_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define CF_LANES 16
#elif defined(__AVX2__)
#define CF_LANES 8
#else
#define CF_LANES 4
#endif

typedef float CfF __attribute__((vector_size(4 * CF_LANES)));
typedef int CfI __attribute__((vector_size(4 * CF_LANES)));
typedef unsigned CfUnsigned __attribute__((vector_size(4 * CF_LANES)));

// A packet covers CF_ACROSS x CF_DOWN pixels: near ones, so that they share cache lines and cells.
#define CF_ACROSS (CF_LANES >= 8 ? 4 : 2)
#define CF_DOWN (CF_LANES / CF_ACROSS)

static inline CfF cf_all(float value) { return value - CfF{}; }
static inline CfI cf_all_int(int value) { return value - CfI{}; }
static inline CfF cf_float(CfI value) { return __builtin_convertvector(value, CfF); }
static inline CfI cf_truncate(CfF value) { return __builtin_convertvector(value, CfI); }
static inline CfF cf_least(CfF a, CfF b) { return a < b ? a : b; }
static inline CfF cf_most(CfF a, CfF b) { return a > b ? a : b; }

static inline bool cf_any(CfI mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  int any = 0;
  for (int i = 0; i < CF_LANES; ++i) any |= mask[i];
  return any != 0;
#endif
}

static inline bool cf_every(CfI mask) { return !cf_any(~mask); }

static inline float cf_lowest_lane(CfF value) {
  float least = value[0];
  for (int i = 1; i < CF_LANES; ++i) least = value[i] < least ? value[i] : least;
  return least;
}

// 64 whole numbers of 16 bits cut to 0 to 255.
CF_INLINE void cf_narrow(const CfI* values, unsigned char* out) {
#if defined(__AVX512BW__)
  const __m512i a = _mm512_packs_epi32((__m512i)values[0], (__m512i)values[1]);
  const __m512i b = _mm512_packs_epi32((__m512i)values[2], (__m512i)values[3]);
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  _mm512_storeu_si512(out, _mm512_maskz_permutexvar_epi32(0xFFFF, order, _mm512_packus_epi16(a, b)));
#elif defined(__AVX2__)
  const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
  for (int i = 0; i < 2; ++i, values += 4, out += 32) {
    const __m256i a = _mm256_packs_epi32((__m256i)values[0], (__m256i)values[1]);
    const __m256i b = _mm256_packs_epi32((__m256i)values[2], (__m256i)values[3]);
    _mm256_storeu_si256((__m256i*)out, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order));
  }
#elif defined(__SSE4_1__)
  for (int i = 0; i < 4; ++i, values += 4, out += 16) {
    const __m128i a = _mm_packs_epi32((__m128i)values[0], (__m128i)values[1]);
    const __m128i b = _mm_packs_epi32((__m128i)values[2], (__m128i)values[3]);
    _mm_storeu_si128((__m128i*)out, _mm_packus_epi16(a, b));
  }
#else
  for (int i = 0; i < 64; ++i) {
    const int value = values[i / CF_LANES][i % CF_LANES];
    out[i] = (unsigned char)(value < 0 ? 0 : (value > 255 ? 255 : value));
  }
#endif
}

// Two neighbours (index, index + 1) of every lane as floats.
struct CfPair {
  CfF first, second;
};

CF_INLINE CfI cf_gather_words(const void* from, CfI index) {
#if defined(__AVX512F__)
  return (CfI)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xFFFF, (__m512i)index, from, 2);
#elif defined(__AVX2__)
  return (CfI)_mm256_i32gather_epi32((const int*)from, (__m256i)index, 2);
#else
  CfI words;
  for (int i = 0; i < CF_LANES; ++i) {
    int word;
    memcpy(&word, (const char*)from + 2LL * index[i], 4);
    words[i] = word;
  }
  return words;
#endif
}

// Two neighbours that were read as one word of 32 bits; the pointer only tells their type.
CF_INLINE CfPair cf_split(CfI words, const cf_i16*) {
  return {cf_float((words << 16) >> 16), cf_float(words >> 16)};
}

CF_INLINE CfPair cf_split(CfI words, const cf_u16*) {
  return {cf_float(words & 0xFFFF), cf_float((CfI)((CfUnsigned)words >> 16))};
}

CF_INLINE CfPair cf_gather_pair(const cf_i16* from, CfI index) {
  return cf_split(cf_gather_words(from, index), from);
}

CF_INLINE CfPair cf_gather_pair(const cf_u16* from, CfI index) {
  return cf_split(cf_gather_words(from, index), from);
}

static inline CfF cf_gather(const cf_f32* from, CfI index) {
#if defined(__AVX512F__)
  return (CfF)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xFFFF, (__m512i)index, from, 4);
#elif defined(__AVX2__)
  return (CfF)_mm256_i32gather_ps(from, (__m256i)index, 4);
#else
  CfF values;
  for (int i = 0; i < CF_LANES; ++i) values[i] = from[index[i]];
  return values;
#endif
}

CF_INLINE CfPair cf_gather_pair(const cf_f32* from, CfI index) {
  return {cf_gather(from, index), cf_gather(from + 1, index)};
}

// Between two neighbours that were read as one word. The first and the difference are whole numbers of at most 17 bits:
// one multiplication of 16-bit halves makes each, and the sum is the same as that of the neighbours as floats.
CF_INLINE CfI cf_halves(CfI words, int by) {
#if defined(__AVX512BW__)
  return (CfI)_mm512_madd_epi16((__m512i)words, _mm512_set1_epi32(by));
#elif defined(__AVX2__)
  return (CfI)_mm256_madd_epi16((__m256i)words, _mm256_set1_epi32(by));
#elif defined(__SSE4_1__)
  return (CfI)_mm_madd_epi16((__m128i)words, _mm_set1_epi32(by));
#else
  return ((words << 16) >> 16) * (short)by + (words >> 16) * (by >> 16);
#endif
}

CF_INLINE CfF cf_mix_words(CfI words, CfF f, const cf_i16*) {
  return cf_float(cf_halves(words, 1)) + f * cf_float(cf_halves(words, 0x0001FFFF));  // low; high - low
}

CF_INLINE CfF cf_mix_words(CfI words, CfF f, const cf_u16*) {
  return cf_float(words & 0xFFFF) + f * cf_float(cf_halves(words ^ (int)0x80008000, 0x0001FFFF));
}

// The four rows of a cell: at index, beyond it in y (row), in z (slice), in both; pairs, or values between them along x.
struct CfCorners {
  CfPair of[4];
};

struct CfMixedCorners {
  CfF of[4];
};

struct CfCornerWords {
  CfI of[4];
};

#if defined(__SSE4_1__)
// Makes four vectors here and not where they are used.
#if defined(__AVX512F__)
#define CF_NOW(a, b, c, d) __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d))
#else
#define CF_NOW(a, b, c, d) __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d))
#endif

CF_INLINE __m128i cf_four_words(const short* a, const short* b, const short* c, const short* d, long long beyond) {
  int word[4];
  memcpy(&word[0], a + beyond, 4);
  memcpy(&word[1], b + beyond, 4);
  memcpy(&word[2], c + beyond, 4);
  memcpy(&word[3], d + beyond, 4);
  return _mm_set_epi32(word[3], word[2], word[1], word[0]);
}

CF_INLINE CfI cf_joined(const __m128i* quarters) {
#if defined(__AVX512F__)
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(quarters[0]), quarters[1], 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(quarters[2]), quarters[3], 1);
  return (CfI)_mm512_maskz_inserti64x4(0xFF, _mm512_castsi256_si512(low), high, 1);
#elif defined(__AVX2__)
  return (CfI)_mm256_inserti128_si256(_mm256_castsi128_si256(quarters[0]), quarters[1], 1);
#else
  return (CfI)quarters[0];
#endif
}
#endif

// Single loads, whose indexes are taken once for all four rows, are quicker than four gather instructions. The indexes
// should have been stored a while before: taking a fresh vector apart costs more. Each four lanes are finished before the
// next: sixteen addresses do not fit into the registers.
template <typename T>
CF_INLINE CfCornerWords cf_corner_words(const T* from, const CfI* index, long long row, long long slice) {
#if defined(__SSE4_1__)
  const int* at = reinterpret_cast<const int*>(index);
  const short* words = reinterpret_cast<const short*>(from);
  __m128i part[4][CF_LANES / 4];
#pragma GCC unroll 4
  for (int q = 0; q < CF_LANES / 4; ++q) {
    const short *a = words + at[4 * q], *b = words + at[4 * q + 1];
    const short *c = words + at[4 * q + 2], *d = words + at[4 * q + 3];
    part[0][q] = cf_four_words(a, b, c, d, 0);
    part[1][q] = cf_four_words(a, b, c, d, row);
    part[2][q] = cf_four_words(a, b, c, d, slice);
    part[3][q] = cf_four_words(a, b, c, d, slice + row);
    CF_NOW(part[0][q], part[1][q], part[2][q], part[3][q]);
  }
  return {{cf_joined(part[0]), cf_joined(part[1]), cf_joined(part[2]), cf_joined(part[3])}};
#else
  return {{cf_gather_words(from, *index), cf_gather_words(from + row, *index), cf_gather_words(from + slice, *index),
           cf_gather_words(from + slice + row, *index)}};
#endif
}

template <typename T>
CF_INLINE CfCorners cf_corners(const T* from, const CfI* index, long long row, long long slice) {
  const CfCornerWords words = cf_corner_words(from, index, row, slice);
  return {{cf_split(words.of[0], from), cf_split(words.of[1], from), cf_split(words.of[2], from),
           cf_split(words.of[3], from)}};
}

CF_INLINE CfCorners cf_corners(const float* from, const CfI* index, long long row, long long slice) {
  return {{cf_gather_pair(from, *index), cf_gather_pair(from + row, *index), cf_gather_pair(from + slice, *index),
           cf_gather_pair(from + slice + row, *index)}};
}

template <typename T>
CF_INLINE CfMixedCorners cf_mixed_corners(const T* from, const CfI* index, long long row, long long slice, CfF f) {
  const CfCornerWords words = cf_corner_words(from, index, row, slice);
  return {{cf_mix_words(words.of[0], f, from), cf_mix_words(words.of[1], f, from), cf_mix_words(words.of[2], f, from),
           cf_mix_words(words.of[3], f, from)}};
}

CF_INLINE CfF cf_mix_pair(CfPair pair, CfF f) { return pair.first + f * (pair.second - pair.first); }

CF_INLINE CfMixedCorners cf_mixed_corners(const float* from, const CfI* index, long long row, long long slice, CfF f) {
  const CfCorners pairs = cf_corners(from, index, row, slice);
  return {{cf_mix_pair(pairs.of[0], f), cf_mix_pair(pairs.of[1], f), cf_mix_pair(pairs.of[2], f),
           cf_mix_pair(pairs.of[3], f)}};
}

// Four neighbours (index to index + 3) of every lane: one load of 64 bits for each where they are words.
struct CfFour {
  CfPair left, right;
};

template <typename T>
CF_INLINE CfFour cf_four(const T* from, const CfI* index) {
#if defined(__SSE4_1__)
  const int* at = reinterpret_cast<const int*>(index);
  __m128i left[CF_LANES / 4], right[CF_LANES / 4];
#pragma GCC unroll 4
  for (int q = 0; q < CF_LANES / 4; ++q) {
    long long word[4];
    for (int i = 0; i < 4; ++i) memcpy(&word[i], from + at[4 * q + i], 8);
    const __m128 a = _mm_castsi128_ps(_mm_set_epi64x(word[1], word[0]));
    const __m128 b = _mm_castsi128_ps(_mm_set_epi64x(word[3], word[2]));
    left[q] = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88));
    right[q] = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
  }
  return {cf_split(cf_joined(left), from), cf_split(cf_joined(right), from)};
#else
  return {cf_gather_pair(from, *index), cf_gather_pair(from + 2, *index)};
#endif
}

CF_INLINE CfFour cf_four(const float* from, const CfI* index) {
  return {cf_gather_pair(from, *index), cf_gather_pair(from + 2, *index)};
}
