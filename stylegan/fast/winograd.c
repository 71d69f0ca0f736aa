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

/* A tile of 2x2 outputs: its image and its place in it, and how many tiles there are. */
typedef struct {
    long image, y, x;
    long left; /* Tiles from this one to the last. */
} place;

FAST_INLINE place tile_at(const winograd_args *a, long tile) {
    long across = (a->out_width + 1) / 2, down = (a->out_rows + 1) / 2;
    return (place){tile / (across * down), tile / across % down * 2, tile % across * 2, across * down * a->images - tile};
}

FAST_INLINE void advance(const winograd_args *a, place *at) {
    at->left--;
    if ((at->x += 2) < a->out_width) return;
    at->x = 0;
    if ((at->y += 2) < a->out_rows) return;
    at->y = 0;
    at->image++;
}

/* Where the pixels of a tile are; zeros for those beyond the border. */
FAST_INLINE void find_pixels(const winograd_args *a, place at, const float *zeros, const float **pixels, int side) {
    const float *first = (const float *)a->x.data + at.image * a->x.image + (at.y * a->width + at.x - 1) * a->in;
    int inside = at.left > 0 && at.x > 0 && at.x - 1 + side <= a->width && at.y + side <= a->rows;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            long x = at.x - 1 + j;
            int here = inside || (at.left > 0 && at.y + i < a->rows && x >= 0 && x < a->width);
            pixels[i * side + j] = here ? first + (i * a->width + j) * a->in : zeros;
        }
}

/* v[position][tile][channel] of some tiles, from `first` on. */
FAST_INLINE void read_tiles(const winograd_args *a, long first, long tiles, const float *zeros, float *v, int taps) {
    const int side = taps + 1;
    place at = tile_at(a, first);
    for (long t = 0; t < tiles; t++, advance(a, &at)) {
        const float *pixels[POSITIONS];
        find_pixels(a, at, zeros, pixels, side);
        for (long k = 0; k < a->in; k += LANES) {
            vec d[POSITIONS];
#pragma GCC unroll 16
            for (int i = 0; i < side * side; i++) memcpy(&d[i], pixels[i] + k, sizeof(vec));
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
    place at = tile_at(a, first);
    for (long t = 0; t < tiles && at.left > 0; t++, advance(a, &at)) {
        float *out = a->out + ((at.image * a->out_rows + at.y) * a->out_width + at.x) * a->channels + channel;
        int height = at.y + 1 < a->out_rows ? 2 : 1, width = at.x + 1 < a->out_width ? 2 : 1;
        for (int j = 0; j < vecs; j++) {
            vec d[POSITIONS];
#pragma GCC unroll 16
            for (int i = 0; i < side * side; i++) memcpy(&d[i], m + ((i * tiles + t) * vecs + j) * LANES, sizeof(vec));
#pragma GCC unroll 4
            for (int i = 0; i < side; i++) transform_output(d + i * side, 1, taps);
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++) transform_output(d + i, side, taps);
            for (int dy = 0; dy < height; dy++)
                for (int dx = 0; dx < width; dx++)
                    memcpy(out + (dy * a->out_width + dx) * a->channels + j * LANES, &d[dy * side + dx], sizeof(vec));
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

PUBLIC int stylegan_has_winograd(void) { return capability == 2; }

#else

PUBLIC int stylegan_has_winograd(void) { return 0; }

#endif
