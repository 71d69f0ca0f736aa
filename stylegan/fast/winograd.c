/* Convolutions by Winograd's minimal filtering (Lavin and Gray 2016), float32, for processors with AVX-512.
 *
 * Tiles of 2x2 outputs: with 3x3 taps, 16 products in place of 36; with the 2x2 taps of the layers that double the
 * size, 9 in place of 16. The products are matrix products over the channels, one for each position of the
 * transformed tile, and take nearly all the time. The transforms' constants are 1, -1 and 1/2, so that errors stay
 * within a few roundings.
 */

#include "common.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TARGET __attribute__((target("avx512f,fma")))
#define FAST_INLINE static inline __attribute__((always_inline, target("avx512f,fma")))

enum { TILES = 24, POSITIONS = 16, MOST_TILES = 96 };

typedef struct {
    array x;             /* [images, ., width, in], with a row above the first that the output is centred on */
    const float *weight; /* [channels / panel, positions, in, panel], transformed */
    float *out;          /* [images, out_rows, out_width, channels] */
    float *scratch;                             /* For each thread as much as stylegan_winograd_scratch says. */
    long images, rows, width, in;               /* rows: of x */
    long out_rows, out_width, channels;         /* channels: of out */
    int taps;                                   /* 3 or 2 */
    int panel;                                  /* Outputs that lie together in the weight: 64, 32 or 16. */
} winograd_args;

/* m[t][0 .. 16 * vecs - 1] = sum over k of v[t][k] * u[k][.], for `tiles` t: all accumulators in registers. */
FAST_INLINE void multiply(const float *v, const float *u, float *m, long in, int tiles, int vecs) {
    vec sum[TILES];
#pragma GCC unroll 24
    for (int i = 0; i < tiles * vecs; i++) sum[i] = (vec){0};
    for (long k = 0; k < in; k++) {
        vec b[4];
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++) memcpy(&b[j], u + (k * vecs + j) * LANES, sizeof(vec));
#pragma GCC unroll 24
        for (int i = 0; i < tiles; i++) {
            float a = v[i * in + k];
#pragma GCC unroll 4
            for (int j = 0; j < vecs; j++) sum[i * vecs + j] += a * b[j];
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < tiles * vecs; i++) memcpy(m + i * LANES, &sum[i], sizeof(vec));
}

/* The input's transform along one axis: B^T of F(2, 3), or of F(2, 2). */
FAST_INLINE void transform_input(vec *d, int step, int taps) {
    if (taps == 3) {
        vec d1 = d[step], d2 = d[2 * step];
        d[0] -= d2;
        d[3 * step] = d1 - d[3 * step];
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
    } else {
        d[0] -= d[step];
        d[2 * step] -= d[step];
    }
}

/* The output's along one axis: A^T of either. */
FAST_INLINE void transform_output(vec *m, int step, int taps) {
    if (taps == 3) {
        m[0] += m[step] + m[2 * step];
        m[step] -= m[2 * step] + m[3 * step];
    } else {
        m[0] += m[step];
        m[step] += m[2 * step];
    }
}

/* v[position][tile][channel] of some tiles, from `first` on. */
FAST_INLINE void read_tiles(const winograd_args *a, long first, long tiles, const float *zeros, float *v, int taps) {
    const int side = taps + 1;
    long across = (a->out_width + 1) / 2, down = (a->out_rows + 1) / 2;
    for (long t = 0; t < tiles; t++) {
        long tile = first + t, image = tile / (across * down);
        long y = tile / across % down * 2, x = tile % across * 2 - 1;
        const float *source[POSITIONS];
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) {
                int inside = y + i < a->rows && x + j >= 0 && x + j < a->width && tile < across * down * a->images;
                long at = image * a->x.image + ((y + i) * a->width + x + j) * a->in;
                source[i * side + j] = inside ? (const float *)a->x.data + at : zeros;
            }
        for (long k = 0; k < a->in; k += LANES) {
            vec d[POSITIONS];
#pragma GCC unroll 16
            for (int i = 0; i < side * side; i++) memcpy(&d[i], source[i] + k, sizeof(vec));
#pragma GCC unroll 4
            for (int i = 0; i < side; i++) transform_input(d + i * side, 1, taps);
#pragma GCC unroll 4
            for (int i = 0; i < side; i++) transform_input(d + i, side, taps);
#pragma GCC unroll 16
            for (int i = 0; i < side * side; i++) memcpy(v + (i * tiles + t) * a->in + k, &d[i], sizeof(vec));
        }
    }
}

/* The outputs of some tiles, channels from `channel` on, from m[position][tile][panel]. */
FAST_INLINE void write_tiles(
    const winograd_args *a, long first, long tiles, long channel, const float *m, int taps, int vecs) {
    const int side = taps + 1;
    long across = (a->out_width + 1) / 2, down = (a->out_rows + 1) / 2;
    for (long t = 0; t < tiles && first + t < across * down * a->images; t++) {
        long tile = first + t, image = tile / (across * down);
        long y = tile / across % down * 2, x = tile % across * 2;
        for (int j = 0; j < vecs; j++) {
            vec d[POSITIONS];
#pragma GCC unroll 16
            for (int i = 0; i < side * side; i++) memcpy(&d[i], m + ((i * tiles + t) * vecs + j) * LANES, sizeof(vec));
#pragma GCC unroll 4
            for (int i = 0; i < side; i++) transform_output(d + i * side, 1, taps);
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++) transform_output(d + i, side, taps);
            for (int dy = 0; dy < 2 && y + dy < a->out_rows; dy++)
                for (int dx = 0; dx < 2 && x + dx < a->out_width; dx++) {
                    long at = ((image * a->out_rows + y + dy) * a->out_width + x + dx) * a->channels + channel;
                    memcpy(a->out + at + j * LANES, &d[dy * side + dx], sizeof(vec));
                }
        }
    }
}

/* As many tiles as keep their transform in a core's second cache. */
static long tiles_of(const winograd_args *a) {
    long positions = (a->taps + 1) * (a->taps + 1), tiles = 200000 / (positions * a->in) / TILES * TILES;
    return tiles < TILES ? TILES : tiles > MOST_TILES ? MOST_TILES : tiles;
}

/* In float32 values. */
PUBLIC long stylegan_winograd_scratch(const winograd_args *a) {
    long positions = (a->taps + 1) * (a->taps + 1);
    return positions * tiles_of(a) * (a->in + a->panel) + a->in;
}

FAST_INLINE void convolve_tiles(const winograd_args *a, long task, int thread, int taps, int vecs) {
    const long positions = (taps + 1) * (taps + 1), tiles = tiles_of(a), group = TILES / vecs, panel = vecs * LANES;
    float *v = a->scratch + thread * stylegan_winograd_scratch(a);
    float *m = v + positions * tiles * a->in, *zeros = m + positions * tiles * panel;
    memset(zeros, 0, 4 * a->in);
    read_tiles(a, task * tiles, tiles, zeros, v, taps);
    for (long channel = 0; channel < a->channels; channel += panel) {
        for (long p = 0; p < positions; p++) {
            const float *u = a->weight + (channel * positions + p * panel) * a->in;
            for (long t = 0; t < tiles; t += group)
                multiply(v + (p * tiles + t) * a->in, u, m + (p * tiles + t) * panel, a->in, TILES / vecs, vecs);
        }
        write_tiles(a, task * tiles, tiles, channel, m, taps, vecs);
    }
}

TARGET static void winograd_work(const void *args, long task, int thread) {
    const winograd_args *a = args;
    switch (a->taps * 100 + a->panel) {
    case 364: convolve_tiles(a, task, thread, 3, 4); break;
    case 332: convolve_tiles(a, task, thread, 3, 2); break;
    case 316: convolve_tiles(a, task, thread, 3, 1); break;
    case 264: convolve_tiles(a, task, thread, 2, 4); break;
    case 232: convolve_tiles(a, task, thread, 2, 2); break;
    case 216: convolve_tiles(a, task, thread, 2, 1); break;
    }
}

PUBLIC void stylegan_winograd(const winograd_args *a, int threads) {
    long tiles = (a->out_width + 1) / 2 * ((a->out_rows + 1) / 2) * a->images;
    for_each(winograd_work, a, (tiles + tiles_of(a) - 1) / tiles_of(a), threads);
}

PUBLIC int stylegan_has_winograd(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma"); }

#else

PUBLIC int stylegan_has_winograd(void) { return 0; }

#endif
