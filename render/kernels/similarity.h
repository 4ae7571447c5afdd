// Structural similarity of two 8-bit images (Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13, 2004):
// Gaussian windows of 11 x 11, sigma 1.5, only where the window fits. Common subset of CUDA C++ and C++17.
#pragma once
#include "resample.h"

#define CF_SSIM_TAPS 11

// Similarity of one window from its five weighted means: a, b, a*a, b*b, a*b.
CF_FN float cf_ssim(float a, float b, float aa, float bb, float ab) {
  const float c1 = 6.5025f, c2 = 58.5225f;  // (0.01 * 255)^2, (0.03 * 255)^2
  const float mean = a * b, squares = a * a + b * b;
  return ((2.0f * mean + c1) * (2.0f * (ab - mean) + c2)) / ((squares + c1) * (aa + bb - squares + c2));
}
