/* The transforms of winograd.c along one axis of a tile. */

/* A tile: its sides in inputs, in outputs (with 2 taps: blocks of 2x2) and in products. */
typedef struct {
    int in, out, products;
} sides;

INLINE sides sides_of(int taps) { return taps == 3 ? (sides){6, 4, 6} : (sides){4, 3, 7}; }

/* The input's transform along one axis. */
INLINE void transform_input(vec *d, int taps) {
    if (taps == 3) {
        const float a = 0.390625f, b = 2.25f; /* The squares of the points. */
        vec even_a = d[4] - b * d[2], odd_a = 0.625f * (d[3] - b * d[1]);
        vec even_b = d[4] - a * d[2], odd_b = 1.5f * (d[3] - a * d[1]);
        d[0] = a * b * d[0] - (a + b) * d[2] + d[4];
        d[5] = a * b * d[1] - (a + b) * d[3] + d[5];
        d[1] = even_a + odd_a;
        d[2] = even_a - odd_a;
        d[3] = even_b + odd_b;
        d[4] = even_b - odd_b;
    } else {
        vec d1 = d[1], d2 = d[2];
        d[0] -= d2;
        d[1] = d2 + d1;
        d[2] = d2 - d1;
        d[3] -= d1;
    }
}

/* The input that the product i takes, along one axis. */
INLINE int input_of(int i, int taps) {
    static const int inputs[] = {0, 0, 1, 2, 2, 3, 3};
    return taps == 3 ? i : inputs[i];
}

/* The output's along one axis: 4 outputs of 6 products, or 6 of 7. */
INLINE void transform_output(vec *m, int taps) {
    if (taps == 3) {
        const float a = 0.390625f, b = 2.25f;
        vec sum_a = m[1] + m[2], difference_a = 0.625f * (m[1] - m[2]);
        vec sum_b = m[3] + m[4], difference_b = 1.5f * (m[3] - m[4]);
        m[0] += sum_a + sum_b;
        m[1] = difference_a + difference_b;
        m[2] = a * sum_a + b * sum_b;
        m[3] = a * difference_a + b * difference_b + m[5];
    } else {
        vec both = m[2], left = m[3], right = m[4];
        m[0] += both + left;
        m[1] += both + right;
        m[2] = both - left;
        m[3] = both - right;
        m[4] = both + left + m[5];
        m[5] = both + right + m[6];
    }
}
