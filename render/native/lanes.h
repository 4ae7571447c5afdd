// Packets of pixels: as many lanes as the processor's vectors hold, as the vector types of GCC and Clang. Arithmetic is
// plain C++; only gathers and mask tests name instructions.
#pragma once

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif
#include <string.h>

#include "../kernels/resample.h"

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

// Two neighbours (index, index + 1) of every lane as floats.
struct CfPair {
  CfF first, second;
};

static inline CfI cf_gather_words(const void* from, CfI index) {
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
static inline CfPair cf_split(CfI words, const cf_i16*) { return {cf_float((words << 16) >> 16), cf_float(words >> 16)}; }

static inline CfPair cf_split(CfI words, const cf_u16*) {
  return {cf_float(words & 0xFFFF), cf_float((CfI)((CfUnsigned)words >> 16))};
}

static inline CfPair cf_gather_pair(const cf_i16* from, CfI index) {
  return cf_split(cf_gather_words(from, index), from);
}

static inline CfPair cf_gather_pair(const cf_u16* from, CfI index) {
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

static inline CfPair cf_gather_pair(const cf_f32* from, CfI index) {
  return {cf_gather(from, index), cf_gather(from + 1, index)};
}
