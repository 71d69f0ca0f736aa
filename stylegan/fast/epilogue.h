/* The epilogue: out = activation(x + noise * strength + bias), and the sums of out and of its square.
 *
 * With `up`, x holds 2x2 blocks [images, rows / 2 + 1, width / 2 + 1, 2, 2, channels], which reach over the border by
 * one pixel; the filter comes first, with zeros beyond the border.
 */

#include "common.h"

typedef struct {
    array x, out;
    const float *noise; /* [images or 1, rows, width]; NULL = none */
    long noise_image;
    const float *strength, *bias; /* [channels] */
    const float *taps;            /* The filter's three, for `up`; NULL = none. */
    double *sums;                 /* [images, 2, channels]; stylegan_epilogue: the first rows of [images, rows, ...] */
    long rows, width, channels;
    float slope;
    int first, last; /* The rows begin, end at the border. */
} epilogue_args;

/* Where a row lies in out and noise. */
typedef struct {
    long out;
    const float *noise;
} row_place;

INLINE row_place place_row(const epilogue_args *a, long image, long row) {
    long first = row * a->width;
    return (row_place){image * a->out.image + first * a->channels,
                       a->noise ? a->noise + image * a->noise_image + first : NULL};
}

/* n channels of a block of pixels, whose float32 sums stay short. */
typedef struct {
    vec bias, strength, sum, square;
} block_sums;

INLINE block_sums begin_block(const epilogue_args *a, long k, long n) {
    return (block_sums){load(a->bias + k, n), a->noise ? load(a->strength + k, n) : (vec){0}, {0}, {0}};
}

/* Bias, noise, activation and sums of n channels of pixel p. */
INLINE void activate(const epilogue_args *a, row_place at, block_sums *b, vec v, long p, long k, long n, int out16) {
    v += b->bias;
    if (at.noise) v += at.noise[p] * b->strength;
    v = where_positive(v, v, v * a->slope);
    store_as(a->out.data, at.out + p * a->channels + k, v, n, out16);
    b->sum += v;
    b->square += v * v;
}
