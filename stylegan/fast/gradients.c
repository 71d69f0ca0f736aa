/* Training kernels: the gradient of the epilogue, and the filter by itself.
 *
 * Features, types, threads and sums are as there.
 */

#include <stdlib.h>

#include "common.h"

/* The sums of the gradient, and of the gradient times (y - mean). */

typedef struct {
    array gradient, y; /* Of one type. */
    const float *mean; /* [images, channels] */
    double *sums;      /* [images * rows, 2, channels] */
    long rows, width, channels;
} moments_args;

INLINE void moments_row(const moments_args *a, long row, int bfloat16, int full) {
    long image = row / a->rows, c = a->channels, first = row % a->rows * a->width * c;
    long g = image * a->gradient.image + first, y = image * a->y.image + first;
    double *sums = a->sums + row * 2 * c;
    memset(sums, 0, 2 * c * sizeof *sums);
    for (long block = 0; block < a->width; block += BLOCK) {
        long end = block + BLOCK < a->width ? block + BLOCK : a->width;
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k;
            vec mean = load(a->mean + image * c + k, n), sum = {0}, product = {0};
            for (long p = block * c + k; p < end * c; p += c) {
                vec v = load_as(a->gradient.data, g + p, n, bfloat16);
                sum += v;
                product += v * (load_as(a->y.data, y + p, n, bfloat16) - mean);
            }
            add_to(sums + k, sum, n);
            add_to(sums + c + k, product, n);
        }
    }
}

INLINE void moments_work_body(const void *args, long row, int thread) {
    (void)thread;
    const moments_args *a = args;
    SPECIALIZE(moments_row, a->y.bfloat16 != 0, a, row)
}
VARIANTS(moments_work)

PUBLIC void stylegan_moments(const moments_args *a, long images, int threads) {
    for_each(moments_work[capability], a, images * a->rows, threads);
}

/* The gradient before the activation: (gradient * by_gradient + (y - mean) * by_y + shift), times the slope where y is
 * negative; and its sums, plain and times the noise.
 */

typedef struct {
    array gradient, y, out;                         /* Of one type. */
    const float *mean, *by_gradient, *by_y, *shift; /* [images, channels] */
    const float *noise;                             /* [images or 1, rows, width]; NULL = none */
    long noise_image;
    double *sums; /* [images * rows, 2, channels] */
    long rows, width, channels;
    float slope;
} gradient_args;

INLINE void gradient_row(const gradient_args *a, long row, int bfloat16, int full) {
    long image = row / a->rows, c = a->channels, r = row % a->rows, first = r * a->width * c;
    long g = image * a->gradient.image + first, y = image * a->y.image + first, out = image * a->out.image + first;
    const float *noise = a->noise ? a->noise + image * a->noise_image + r * a->width : NULL;
    double *sums = a->sums + row * 2 * c;
    memset(sums, 0, 2 * c * sizeof *sums);
    for (long block = 0; block < a->width; block += BLOCK) {
        long end = block + BLOCK < a->width ? block + BLOCK : a->width;
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k, at = image * c + k;
            vec mean = load(a->mean + at, n), by_gradient = load(a->by_gradient + at, n);
            vec by_y = load(a->by_y + at, n), shift = load(a->shift + at, n), sum = {0}, product = {0};
            for (long p = block; p < end; p++) {
                vec activated = load_as(a->y.data, y + p * c + k, n, bfloat16);
                vec v = load_as(a->gradient.data, g + p * c + k, n, bfloat16) * by_gradient;
                v += (activated - mean) * by_y + shift;
                v = where_positive(activated, v, v * a->slope);
                store_as(a->out.data, out + p * c + k, v, n, bfloat16);
                sum += v;
                if (noise) product += v * noise[p];
            }
            add_to(sums + k, sum, n);
            add_to(sums + c + k, product, n);
        }
    }
}

INLINE void gradient_work_body(const void *args, long row, int thread) {
    (void)thread;
    const gradient_args *a = args;
    SPECIALIZE(gradient_row, a->y.bfloat16 != 0, a, row)
}
VARIANTS(gradient_work)

PUBLIC void stylegan_gradient(const gradient_args *a, long images, int threads) {
    for_each(gradient_work[capability], a, images * a->rows, threads);
}

/* A separable filter of three taps, with zeros beyond the border. */

typedef struct {
    array x, out;      /* Of one type. */
    const float *taps; /* Three. */
    long rows, width, channels;
} blur_args;

/* Over three rows into `line`, then along the row. */
INLINE void blur_row(const blur_args *a, float *line, long row, int bfloat16, int full) {
    long image = row / a->rows, r = row % a->rows, size = a->width * a->channels, c = a->channels;
    long x = image * a->x.image + r * size, out = image * a->out.image + r * size;
    /* Whole vectors where there are no borders between the channels: the rows are added up as they lie. */
    long above = r > 0 ? -size : 0, below = r < a->rows - 1 ? size : 0;
    float first = above ? a->taps[0] : 0, last = below ? a->taps[2] : 0;
    for (long i = 0; i < size; i += LANES) {
        long n = full ? LANES : size - i;
        vec v = a->taps[1] * load_as(a->x.data, x + i, n, bfloat16);
        v += first * load_as(a->x.data, x + above + i, n, bfloat16);
        v += last * load_as(a->x.data, x + below + i, n, bfloat16);
        store(line + i, v, n);
    }
    for (long k = 0; k < c; k += LANES) {
        long n = full ? LANES : c - k;
        vec left = {0}, middle = load(line + k, n);
        for (long p = 0; p < a->width; p++) {
            vec right = {0};
            if (p < a->width - 1) right = load(line + (p + 1) * c + k, n);
            vec v = a->taps[0] * left + a->taps[1] * middle + a->taps[2] * right;
            store_as(a->out.data, out + p * c + k, v, n, bfloat16);
            left = middle;
            middle = right;
        }
    }
}

INLINE void blur_work_body(const void *args, long row, int thread) {
    (void)thread;
    const blur_args *a = args;
    float *line = malloc(a->width * a->channels * sizeof *line);
    if (!line) abort();
    SPECIALIZE(blur_row, a->x.bfloat16 != 0, a, line, row)
    free(line);
}
VARIANTS(blur_work)

PUBLIC void stylegan_blur(const blur_args *a, long images, int threads) {
    for_each(blur_work[capability], a, images * a->rows, threads);
}
