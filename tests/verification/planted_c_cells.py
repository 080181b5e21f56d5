"""The edits of the cells in C and of their device: (file, text that occurs once, text in its place)."""

from __future__ import annotations

# --- datapath M

MSHIFT = "qgru_mshift.c"
_BIASES = """static int64_t pl_bias(const qgru_mshift_params *p, int second, size_t i)
{
    size_t H = (size_t)p->hidden, gate = i / H, from = gate;
    if (@{gate-order-r-z-g}) from = gate == 2 ? 2 : 1 - gate;
    if (@{gate-order-z-g-r}) from = gate == 0 ? 0 : 3 - gate;
    i += (from - gate) * H;
    int64_t b = (second != @{biases-exchanged}) ? p->br[i] : p->bx[i];
    return @{bias-missing} ? 0 : @{bias-twice} ? 2 * b : @{bias-subtracted} ? -b : b;
}

static int64_t pl_clip3(int64_t a, int64_t b) { return pl_clip(a + b, INT32_MIN, INT32_MAX); }

static int32_t pre_code("""
_TERMS = (
    "    o.Rh_aligned = qgru_align(Rh, is_z ? p->m_Rh_z : p->m_Rh_r);\n"
    "    o.bx_aligned = qgru_align(p->bx[column], p->m_bx);\n"
    "    o.br_aligned = qgru_align(p->br[column], is_z ? p->m_br_z : p->m_br_r);\n"
    "    o.acc = Wx + o.Rh_aligned + o.bx_aligned + o.br_aligned;\n"
)
_LOST = "(@{alignment-left-out@align-r} && !is_z) || (@{alignment-left-out@align-z} && is_z)"
_PROBE = """{
        int all = %s || (@{alignment-left-out@align-r-and-g} && !is_z);
        int64_t bx = pl_bias(p, 0, column), br = pl_bias(p, 1, column);
        o.Rh_aligned = all ? (int32_t)Rh : qgru_align(Rh, is_z ? p->m_Rh_z : p->m_Rh_r);
        o.bx_aligned = all ? (int32_t)bx : qgru_align(bx, p->m_bx);
        o.br_aligned = all ? (int32_t)br : qgru_align(br, is_z ? p->m_br_z : p->m_br_r);
    }
    o.acc = Wx + o.Rh_aligned + o.bx_aligned + o.br_aligned;
    if (@{sum-wraps}) o.acc = (int32_t)o.acc;
    if (@{sum-saturates-each-addition}) o.acc = pl_clip3(pl_clip3(pl_clip3(Wx, o.Rh_aligned), o.bx_aligned), o.br_aligned);
"""
MSHIFT_EDITS = [
    (MSHIFT, "static int32_t pre_code(", _BIASES),
    (MSHIFT, _TERMS, "    " + _PROBE % _LOST),
    (
        MSHIFT,
        "look_up(p, is_z ? p->table_z : p->table_r, o.pre)",
        "look_up(p, is_z != @{tables-exchanged} ? p->table_z : p->table_r, o.pre)",
    ),
    (
        MSHIFT,
        "    o.br_aligned = qgru_align(p->br[column], p->m_br_g);\n    o.b_acc = Rh + o.br_aligned;\n",
        """    int lost = @{alignment-left-out@align-g} || @{alignment-left-out@align-r-and-g};
    int64_t bx = pl_bias(p, 0, column), br = pl_bias(p, 1, column);
    o.br_aligned = lost ? (int32_t)br : qgru_align(br, p->m_br_g);
    o.b_acc = Rh + o.br_aligned;
    if (@{sum-wraps}) o.b_acc = (int32_t)o.b_acc;
    if (@{sum-saturates-each-addition}) o.b_acc = pl_clip3(Rh, o.br_aligned);
""",
    ),
    (
        MSHIFT,
        "    o.rb = r * (int64_t)o.b;\n",
        """    o.rb = r * (int64_t)o.b;
    if (@{reset-without-bias}) o.rb = r * Rh + (int64_t)ONE * o.br_aligned;
    if (@{reset-left-out}) o.rb = (int64_t)ONE * o.b;
    if (@{reset-inverted}) o.rb = (int64_t)(ONE - r) * o.b;
""",
    ),
    (
        MSHIFT,
        "    o.bx_aligned = qgru_align(p->bx[column], p->m_bx);\n    o.acc = Wx + o.c + o.bx_aligned;\n",
        """    o.bx_aligned = lost ? (int32_t)bx : qgru_align(bx, p->m_bx);
    o.acc = Wx + o.c + o.bx_aligned;
    if (@{sum-wraps}) o.acc = (int32_t)o.acc;
    if (@{sum-saturates-each-addition}) o.acc = pl_clip3(pl_clip3(Wx, o.c), o.bx_aligned);
""",
    ),
    (
        MSHIFT,
        "    o.n_acc = (ONE - z) * g;\n",
        """    int32_t one = @{one-is-1} ? 1 : @{one-plus-one} ? ONE + 1 : @{one-less-one} ? ONE - 1 : ONE;
    int swapped = @{update-weights-exchanged};
    o.n_acc = (swapped || @{update-keeps-z} ? z : one - z) * g;
""",
    ),
    (
        MSHIFT,
        "    o.S = z * ((int64_t)h - p->zp_h) + o.n;\n",
        "    o.S = (swapped ? ONE - z : @{update-without-state} ? 0 : z) * ((int64_t)h - p->zp_h) + o.n;\n",
    ),
    (
        MSHIFT,
        "        Wx[gate] = qgru_linear8(x + row * inputs, p->W + column, inputs, columns, p->zp_x);\n"
        "        Rh[gate] = qgru_linear8(h + row * hidden, p->R + column, hidden, columns, p->zp_h);\n",
        """        size_t from = gate;
        if (@{gate-order-r-z-g}) from = gate == 2 ? 2 : 1 - gate;
        if (@{gate-order-z-g-r}) from = gate == 0 ? 0 : 3 - gate;
        size_t at_w = from * hidden + j;
        Wx[gate] = qgru_linear8(x + row * inputs, p->W + at_w, inputs, columns, p->zp_x);
        Rh[gate] = @{R-transposed}
            ? qgru_linear8(h + row * hidden, p->R + j * columns + gate * hidden, hidden, 1, p->zp_h)
            : qgru_linear8(h + row * hidden, p->R + at_w, hidden, columns, p->zp_h);
""",
    ),
    (
        MSHIFT,
        "    g = qgru_mshift_candidate(p, j, Wx[GATE_G], Rh[GATE_G], r.out);\n"
        "    s = qgru_mshift_hidden(p, z.out, g.g, h[at]);\n",
        """    g = qgru_mshift_candidate(p, j, Wx[GATE_G], Rh[GATE_G], @{reset-by-z} || @{gates-exchanged} ? z.out : r.out);
    s = qgru_mshift_hidden(p, @{update-by-r} || @{gates-exchanged} ? r.out : z.out, g.g, h[at]);
""",
    ),
    (
        MSHIFT,
        "            if (kind == QGRU_ZONEOUT_MASK && zoneout->mask[at] == 1) {\n",
        "            int kept = @{zoneout-mask-inverted} ? 0 : 1;\n"
        "            if (kind == QGRU_ZONEOUT_MASK && !@{zoneout-ignored} && zoneout->mask[at] == kept) {\n",
    ),
    (
        MSHIFT,
        "                code = qgru_zoneout_code(acc, p->zp_h, -128, 127);\n",
        "                code = @{zoneout-ignored} ? code : qgru_zoneout_code(acc, p->zp_h, -128, 127);\n",
    ),
    (
        MSHIFT,
        "        run->h[i] = run->h0 != NULL ? run->h0[i] : qgru_saturate(p->zp_h, -128, 127);\n",
        """        run->h[i] = run->h0 != NULL && !@{h0-ignored} ? run->h0[i]
                    : @{missing-h0-is-code-0} ? 0 : (int32_t)pl_clip(p->zp_h, -128, 127);
""",
    ),
    (
        MSHIFT,
        "        size_t t = run->reverse ? steps - 1 - i : i;\n",
        """        int reverse = run->reverse && !@{reverse-runs-forward};
        size_t read = reverse ? steps - 1 - i : i, t = reverse && !@{reverse-not-put-back} ? steps - 1 - i : i;
        size_t masked = read, stale = run->reverse ? t + 1 : t - 1;
        const int32_t *x, *before = previous;
        void *kept = NULL;
""",
    ),
    (
        MSHIFT,
        "            zoneout.mask += t * tnh;\n        }\n"
        "        qgru_mshift_step(p, batch, run->x + t * tnc, previous, &zoneout, next, &view);\n"
        "        previous = next;\n",
        """            zoneout.mask += (@{zoneout-mask-in-processing-order} ? i : masked) * tnh;
        }
        if (@{input-in-processing-order}) read = i;
        if (@{input-stale} && i > 0) read = stale;
        x = run->x + read * tnc;
        if (@{input-of-previous-row} || @{input-of-first-row}) {
            x = kept = pl_rows(x, batch, (size_t)p->inputs, @{input-of-first-row});
        }
        if (@{state-stale}) {
            previous = i > 1 ? run->h + (run->reverse ? t + 3 : t - 1) * tnh : run->h;
        }
        if (@{state-not-carried}) previous = run->h;
        if (@{state-of-previous-row}) previous = kept = pl_rows(previous, batch, (size_t)p->hidden, 0);
        qgru_mshift_step(p, batch, x, previous, &zoneout, next, &view);
        if (i + 1 == steps && (@{last-step-lost} ? !run->reverse : @{reverse-last-step-lost} && run->reverse)) {
            memcpy(next, before, tnh * sizeof *next);
        }
        free(kept);
        previous = next;
""",
    ),
]

# --- datapath P

POT = "qgru_pot.c"
POT_EDITS = [
    (
        POT,
        "    return rescale(p, 1, 0, p->z_out.exponent) + p->z_out.zero_point;\n",
        """    int32_t e = -p->z_out.exponent;
    int64_t one = (p->rounding == QGRU_TIES_EVEN ? qgru_ties_even(1, e) : qgru_ties_away(1, e)) + p->z_out.zero_point;
    if (@{one-saturated}) one = pl_clip(one, p->z_out.fmt.qmin, p->z_out.fmt.qmax);
    if (@{one-without-zero-point}) one -= p->z_out.zero_point;
    return one;
""",
    ),
]

# --- the device: which deviation, and the factor of the zoneout

PORT = "c_port.c"
PORT_EDITS = [
    (
        PORT,
        "    memset(&c, 0, sizeof c);\n    c.config = config;\n    c.inputs = inputs;\n    c.input_count = input_count;\n"
        "    c.outputs = outputs;\n    c.output_count = output_count;\n    memset(&run",
        """    const char *plant = strstr(config->id, "-plant-");
    qgru_plant = plant == NULL ? 0 : atoi(plant + 7);
    memset(&c, 0, sizeof c);
    c.config = config;
    c.inputs = inputs;
    c.input_count = input_count;
    c.outputs = outputs;
    c.output_count = output_count;
    memset(&run""",
    ),
    (
        PORT,
        "    double scaled = (double)(float)p * 32768.0;\n",
        "    double scaled = @{zoneout-factor-of-qmax} ? (double)(float)((float)p * 32767.0f) : (double)(float)p * 32768.0;\n",
    ),
    (
        PORT,
        "    return k + (rest > 0.5 || (rest == 0.5 && k % 2 != 0));\n",
        "    return @{zoneout-factor-floored} ? k : k + (rest > 0.5 || (rest == 0.5 && k % 2 != 0));\n",
    ),
]
