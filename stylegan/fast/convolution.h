/* What winograd.c and direct.c are called with. */

#include "epilogue.h"

typedef struct {
    array x;             /* [images, rows, width, in], with a row above the first that the output is centred on */
    const float *weight; /* As either says, in blocks of channels. */
    float *out;          /* [images, out_rows, out_width, channels], or with 2 taps [..., 2, 2, channels] */
    float *scratch;      /* As much as stylegan_..._scratch says. */
    const epilogue_args *epilogue; /* Done as the outputs of 3 taps are written, to its out; NULL = none. */
    long images, rows, width, in;  /* rows: of x */
    long out_rows, out_width, channels;
    long block; /* Channels that are done together. */
    int taps;   /* 3; or 2: kernels of 2x2 taps for each pixel of 2x2 blocks, which double the size. */
} convolution_args;
