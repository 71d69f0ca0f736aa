/* Instance normalization and style (equation 1) of each channel, from statistics and w. */

#include <math.h>

#include "common.h"

/* What normalization and style make of a channel, x -> (x - mean) * scale + shift, from the sums of its features. */

typedef struct {
    const double *sums; /* [2, images, channels]: of the features, of their squares */
    const float *w, *weight, *bias; /* [images, w_dim], [2 * channels, w_dim], [2 * channels]; NULL = no style */
    float *mean, *scale, *shift;    /* [images, channels] */
    long images, channels, w_dim;
    double pixels, epsilon, factor; /* epsilon < 0: no normalization */
} style_args;

INLINE float style_of(const style_args *a, long image, long row) {
    const float *w = a->w + image * a->w_dim, *weight = a->weight + row * a->w_dim;
    vec sums[4] = {{0}};
    long k = 0;
    for (; k + 4 * LANES <= a->w_dim; k += 4 * LANES)
        for (int i = 0; i < 4; i++) sums[i] += load(w + k + i * LANES, LANES) * load(weight + k + i * LANES, LANES);
    for (; k < a->w_dim; k += LANES) sums[0] += load(w + k, a->w_dim - k) * load(weight + k, a->w_dim - k);
    return total((sums[0] + sums[1]) + (sums[2] + sums[3])) + a->bias[row];
}

INLINE void style_channel(const style_args *a, long image, long channel) {
    const long i = image * a->channels + channel;
    double mean = a->sums[i] / a->pixels, square = a->sums[a->images * a->channels + i] / a->pixels;
    double scale = a->weight ? style_of(a, image, channel) : 1, variance = square - mean * mean;
    a->shift[i] = a->weight ? style_of(a, image, a->channels + channel) : 0;
    if (a->epsilon < 0) {
        mean = 0;
        scale /= a->factor;
    } else {
        scale /= sqrt((variance < 0 ? 0 : variance) + a->epsilon);
    }
    a->mean[i] = mean;
    a->scale[i] = scale;
}

enum { STYLES = 16 }; /* Channels of a piece of work. */

INLINE void style_work_body(const void *args, long piece, int thread) {
    (void)thread;
    const style_args *a = args;
    for (long channel = piece * STYLES; channel < (piece + 1) * STYLES && channel < a->channels; channel++)
        for (long image = 0; image < a->images; image++) style_channel(a, image, channel);
}
VARIANTS(style_work)

PUBLIC void stylegan_style(const style_args *a, int threads) {
    for_each(style_work[capability], a, (a->channels + STYLES - 1) / STYLES, threads);
}
