// A packet of rays side by side in one vector register: the CPU's lanes for kernels/raycast.h. Vector extensions of GCC
// and Clang; gathers by instruction where there is one. Every lane computes what CfOneLane computes, bit by bit.
#pragma once
#include "../kernels/raycast.h"

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define CF_LANES 16
#elif defined(__AVX2__)
#define CF_LANES 8
#else
#define CF_LANES 4
#endif

typedef float CfVecF __attribute__((vector_size(4 * CF_LANES)));
typedef int CfVecI __attribute__((vector_size(4 * CF_LANES)));
typedef unsigned int CfVecU __attribute__((vector_size(4 * CF_LANES)));

struct CfPacket {
  typedef CfVecF F;
  typedef CfVecI I;
  typedef CfVecI M;  // all bits of a lane, or none
  enum { kAhead = 2 };  // samples that are looked up together
  CF_FN F splat(float a) { return a - F{}; }  // 0 + a is another number for -0
  CF_FN F select(M m, F a, F b) { return m ? a : b; }
  CF_FN I select(M m, I a, I b) { return m ? a : b; }
  CF_FN M no(M m) { return ~m; }
  CF_FN F real(I a) { return __builtin_convertvector(a, F); }
  CF_FN I whole(F a) { return __builtin_convertvector(a, I); }

  CF_FN bool any(M m) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#else
    int found = 0;
    for (int i = 0; i < CF_LANES; ++i) found |= m[i];
    return found != 0;
#endif
  }

  CF_FN float least(F a) {
    float found[CF_LANES];
    __builtin_memcpy(found, &a, sizeof a);
    for (int half = CF_LANES / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) found[i] = found[i + half] < found[i] ? found[i + half] : found[i];
    return found[0];
  }
  CF_FN float most(F a) { return -least(-a); }

  // One bit per lane.
  CF_FN unsigned bits(M m) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m);
#elif defined(__AVX2__)
    return (unsigned)_mm256_movemask_ps((__m256)m);
#else
    unsigned found = 0;
    for (int i = 0; i < CF_LANES; ++i) found |= (unsigned)(m[i] != 0) << i;
    return found;
#endif
  }

  // Of the lanes of `which`, those with begin <= at <= end and the lowest bit of `sight`.
  CF_FN unsigned looking(unsigned which, F begin, F end, F at, I sight) {
#if defined(__AVX512F__)
    __mmask16 lanes = _mm512_mask_cmp_ps_mask((__mmask16)which, (__m512)begin, (__m512)at, _CMP_LE_OQ);
    lanes = _mm512_mask_cmp_ps_mask(lanes, (__m512)end, (__m512)at, _CMP_GE_OQ);
    return _mm512_mask_test_epi32_mask(lanes, (__m512i)sight, _mm512_set1_epi32(1));
#else
    return which & bits((begin <= at) & (end >= at) & ((sight & 1) != 0));
#endif
  }

  // The other way round.
  CF_FN M mask(unsigned which) {
#if defined(__AVX512F__)
    return (M)_mm512_maskz_set1_epi32((__mmask16)which, -1);
#else
    M m;
    for (int i = 0; i < CF_LANES; ++i) m[i] = -(int)(which >> i & 1);
    return m;
#endif
  }

  // The lanes of `which`, side by side, to `to`; room for all lanes there.
  CF_FN void pack(unsigned which, F a, float* to) {
#if defined(__AVX512F__)
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps((__mmask16)which, (__m512)a));
#elif defined(__AVX2__)
    _mm256_storeu_ps(to, _mm256_permutevar8x32_ps((__m256)a, gathered(which)));
#else
    for (; which; which &= which - 1) *to++ = a[__builtin_ctz(which)];
#endif
  }
#if defined(__AVX2__)
  CF_FN void pack(unsigned which, I a, int* to) {
#if defined(__AVX512F__)
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32((__mmask16)which, (__m512i)a));
#else
    _mm256_storeu_si256((__m256i*)to, _mm256_permutevar8x32_epi32((__m256i)a, gathered(which)));
#endif
  }

  // What was packed, back in the lanes of `which`; the others are anything. Reads as many as there are lanes.
  CF_FN F spread(unsigned which, const float* from) {
#if defined(__AVX512F__)
    return (F)_mm512_maskz_expand_ps((__mmask16)which, _mm512_loadu_ps(from));
#else
    return (F)_mm256_permutevar8x32_ps(_mm256_loadu_ps(from), scattered(which));
#endif
  }
  CF_FN I spread(unsigned which, const int* from) {
#if defined(__AVX512F__)
    return (I)_mm512_maskz_expand_epi32((__mmask16)which, _mm512_loadu_si512(from));
#else
    return (I)_mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i*)from), scattered(which));
#endif
  }

#if !defined(__AVX512F__)
  // Permutations that AVX-512 has as instructions, by numbers of lanes in the bytes of a word: those of `which` first;
  // and of each lane of `which`, how many come before it.
  CF_FN __m256i gathered(unsigned which) { return lanes(_pext_u64(0x0706050403020100, bytes(which))); }
  CF_FN __m256i scattered(unsigned which) { return lanes(_pdep_u64(0x0706050403020100, bytes(which))); }
  CF_FN unsigned long long bytes(unsigned which) { return _pdep_u64(which, 0x0101010101010101) * 255; }
  CF_FN __m256i lanes(unsigned long long word) { return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)word)); }
#endif
#endif

  CF_FN F load(const float* from) {
    F a;
    __builtin_memcpy(&a, from, sizeof a);
    return a;
  }

  CF_FN F root(F a) {
#if defined(__AVX512F__)
    return (F)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);
#elif defined(__AVX2__)
    return (F)_mm256_sqrt_ps((__m256)a);
#else
    F b;
    for (int i = 0; i < CF_LANES; ++i) b[i] = sqrtf(a[i]);
    return b;
#endif
  }

  // 4 bytes from (char*)from + scale * index, unaligned.
  template <int scale>
  CF_FN I gather(const void* from, I index) {
#if defined(__AVX512F__)
    return (I)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, (__m512i)index, from, scale);
#elif defined(__AVX2__)
    return (I)_mm256_mask_i32gather_epi32(_mm256_setzero_si256(), (const int*)from, (__m256i)index,
                                          _mm256_set1_epi32(-1), scale);
#else
    I out;
    for (int i = 0; i < CF_LANES; ++i) {
      int word;
      __builtin_memcpy(&word, (const char*)from + (long long)scale * index[i], 4);
      out[i] = word;
    }
    return out;
#endif
  }

  CF_FN F at(const cf_f32* from, I index) { return (F)gather<4>(from, index); }
  CF_FN I at(const unsigned int* from, I index) { return gather<4>(from, index); }
  // Reads 3 bytes more than it uses: the caller's array has them.
  CF_FN I at(const cf_u8* from, I index) { return gather<1>(from, index) & 255; }

  CF_FN void pair(const cf_i16* from, I index, F& a, F& b) {
    const I both = gather<2>(from, index);
    a = real((both << 16) >> 16);
    b = real(both >> 16);
  }
  CF_FN void pair(const cf_u16* from, I index, F& a, F& b) {
    const I both = gather<2>(from, index);
    a = real(both & 0xffff);
    b = real((both >> 16) & 0xffff);
  }
  CF_FN void pair(const cf_f32* from, I index, F& a, F& b) {
    a = (F)gather<4>(from, index);
    b = (F)gather<4>(from + 1, index);
  }
};

#if defined(__AVX512F__)
// What they are defined as, by one instruction: GCC takes two.
template <>
inline CfVecF cf_min<CfPacket>(CfVecF a, CfVecF b) {
  return (CfVecF)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
}
template <>
inline CfVecF cf_max<CfPacket>(CfVecF a, CfVecF b) {
  return (CfVecF)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
}
#endif
