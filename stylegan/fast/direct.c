/* Convolutions of few pixels, float32, for processors with AVX2 or AVX-512.
 *
 * To read the weights takes as long as to multiply by them here, and transformed ones, as of winograd.c, are four times
 * as many. So these are the nine taps of the kernel: each is multiplied by all pixels, and the products are added up
 * where they belong. Layers that double the size take nine for the four pixels of a block, not four times four.
 */

#include "convolution.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include "products.h"

enum { TAPS = 9, MOST_ROWS = 96, MOST_BLOCK = 64 };

/* The images are done in pieces of some. weight: [channels / block, TAPS, block / panel, in, panel] */
typedef struct {
    const convolution_args *a;
    product product;
    long pixels, images, pieces;   /* Of an image, without the rows above and below; of a piece; of all. */
    long v_size, m_step, m_size; /* In float32 values: of a piece; from one tap's products to the next; of all. */
    float *v, *m;
} plan;

static plan plan_of(const convolution_args *a) {
    plan p = {.a = a, .product = product_of(a->block), .pixels = (a->rows - 2) * a->width};
    p.images = p.pixels < MOST_ROWS ? MOST_ROWS / p.pixels : 1;
    if (p.images > a->images) p.images = a->images;
    p.pieces = (a->images + p.images - 1) / p.images;
    const long rows = (p.images * p.pixels + p.product.group - 1) / p.product.group * p.product.group;
    p.v_size = rows * a->in;
    p.m_step = rows * a->block + LINE;
    p.m_size = TAPS * p.m_step;
    p.v = a->scratch;
    p.m = p.v + p.pieces * p.v_size;
    return p;
}

/* In float32 values. */
PUBLIC long stylegan_direct_scratch(const convolution_args *a, int threads) {
    const plan p = plan_of(a);
    return p.m - a->scratch + threads * p.m_size;
}

/* The pixels of an image, to where those of its piece lie together. */
INLINE void image_work_body(const void *args, long image, int thread) {
    (void)thread;
    const plan *p = args;
    const long size = p->pixels * p->a->in;
    const float *from = (const float *)p->a->x.data + image * p->a->x.image + p->a->width * p->a->in;
    memcpy(p->v + image / p->images * p->v_size + image % p->images * size, from, 4 * size);
}
VARIANTS(image_work)

/* The products that add up to a pixel. */
typedef struct {
    const float *from[TAPS];
    int count;
} neighbours;

/* Those of (y, x) of an image whose products begin at m. up: of an image that has twice their height and width. */
INLINE neighbours find(const plan *p, const float *m, long y, long x, int up) {
    const long height = p->a->rows - 2, width = p->a->width;
    neighbours n = {.count = 0};
    for (int i = 0; i < TAPS; i++) {
        const long row = (y + i / 3 - 1) >> up, column = (x + i % 3 - 1) >> up;
        if (row >= 0 && row < height && column >= 0 && column < width)
            n.from[n.count++] = m + i * p->m_step + (row * width + column) * p->a->block;
    }
    return n;
}

INLINE vec add_up(const neighbours *n, long k) {
    vec v = {0};
    for (int i = 0; i < n->count; i++) v += load(n->from[i] + k, LANES);
    return v;
}

/* A block of channels of an image, from `channel` on: with the epilogue, and their sums. */
INLINE void write_image(const plan *p, const float *m, long image, long channel) {
    const epilogue_args *e = p->a->epilogue;
    block_sums b[MOST_BLOCK / LANES];
    for (long k = 0; k < p->a->block; k += LANES) b[k / LANES] = begin_block(e, channel + k, LANES);
    for (long y = 0; y < e->rows; y++) {
        const row_place at = place_row(e, image, y);
        for (long x = 0; x < e->width; x++) {
            const neighbours n = find(p, m, y, x, 0);
            for (long k = 0; k < p->a->block; k += LANES)
                activate(e, at, &b[k / LANES], add_up(&n, k), x, channel + k, LANES, e->out.bfloat16);
        }
    }
    double *sums = e->sums + image * 2 * e->channels + channel, *squares = sums + e->channels;
    memset(sums, 0, p->a->block * sizeof *sums);
    memset(squares, 0, p->a->block * sizeof *squares);
    for (long k = 0; k < p->a->block; k += LANES) {
        add_to(sums + k, b[k / LANES].sum, LANES);
        add_to(squares + k, b[k / LANES].square, LANES);
    }
}

/* The same without; with `up` as 2x2 blocks that reach over the border by one pixel. */
INLINE void write_pixels(const plan *p, const float *m, long image, long channel, int up) {
    const convolution_args *a = p->a;
    const long height = a->out_rows << up, width = a->out_width << up;
    float *out = a->out + ((image * a->out_rows * a->out_width * a->channels) << (2 * up)) + channel;
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++) {
            const long pixel = up ? (y / 2 * a->out_width + x / 2) * 4 + y % 2 * 2 + x % 2 : y * width + x;
            const neighbours n = find(p, m, y - up, x - up, up);
            for (long k = 0; k < a->block; k += LANES) store(out + pixel * a->channels + k, add_up(&n, k), LANES);
        }
}

/* A block of channels of a piece. */
INLINE void block_work_body(const void *args, long task, int thread) {
    const plan *p = args;
    const convolution_args *a = p->a;
    const long channel = task / p->pieces * a->block, first = task % p->pieces * p->images;
    const long left = a->images - first, images = left < p->images ? left : p->images;
    const float *v = p->v + task % p->pieces * p->v_size, *u = a->weight + channel * TAPS * a->in;
    float *m = p->m + thread * p->m_size;
    for (int i = 0; i < TAPS; i++, u += a->block * a->in)
        multiply_rows(&p->product, v, u, v, m + i * p->m_step, images * p->pixels, a->in, a->block);
    for (long i = 0; i < images; i++) {
        const float *from = m + i * p->pixels * a->block;
        if (a->epilogue) write_image(p, from, first + i, channel);
        else if (a->taps == 2) write_pixels(p, from, first + i, channel, 1);
        else write_pixels(p, from, first + i, channel, 0);
    }
}
VARIANTS(block_work)

PUBLIC void stylegan_direct(const convolution_args *a, int threads) {
    const plan p = plan_of(a);
    for_each(image_work[capability], &p, a->images, threads);
    for_each(block_work[capability], &p, a->channels / a->block * p.pieces, threads);
}

#endif
