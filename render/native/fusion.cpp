// CPU entry point over fusion.h, on tiles of rows.
#include "../kernels/fusion.h"

extern "C" {

// base, index (rows, width) and out (rows, width, 3), contiguous; rows [y_begin, y_end) are written. Status 0 = done.
int cf_fuse_u8(const cf_u8* base, const cf_u8* index, const cf_u8* keep, const cf_u16* colour, cf_u8* out, int width,
               int y_begin, int y_end) {
  for (long long at = (long long)y_begin * width; at < (long long)y_end * width; ++at)
    cf_fuse_pixel(base[at], index[at], keep, colour, out + 3 * at);
  return 0;
}

}  // extern "C"
