"""Held-out loss against stored parameters as one SVG, drawn by hand: no plotting library is needed."""
import math
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 480, 70, 180, 30, 60


def ticks(low, high):
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(s for s in (step / 5, step / 2, step) if (high - low) / s <= 8)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def svg(results):
    """results: [{name, stored, target}]. x: log10 of stored parameters; y: held-out loss."""
    xs = [math.log10(max(r["stored"], 1)) for r in results]
    ys = [r["target"] for r in results]
    x0, x1 = math.floor(min(xs)), math.ceil(max(xs))
    pad = 0.05 * (max(ys) - min(ys) or 1)
    y0, y1 = min(ys) - pad, max(ys) + pad
    px = lambda x: LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    py = lambda y: HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for x in range(x0, x1 + 1):
        out.append(f'<line x1="{px(x):.1f}" y1="{TOP}" x2="{px(x):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">10^{x}</text>')
    for y in ticks(y0, y1):
        out.append(f'<line x1="{LEFT}" y1="{py(y):.1f}" x2="{WIDTH - RIGHT}" y2="{py(y):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{py(y) + 4:.1f}" text-anchor="end">{y:.2g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 18}" text-anchor="middle">parameters stored</text>'
               f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">held-out loss</text>')
    taken = []
    for r, x, y in sorted(zip(results, xs, ys), key=lambda t: t[2]):
        label = py(y) + 4
        while any(abs(label - t) < 12 and abs(px(x) - tx) < 150 for t, tx in taken):
            label += 12
        taken.append((label, px(x)))
        out.append(f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="4" fill="#2a6fb0"/>'
                   f'<text x="{px(x) + 8:.1f}" y="{label:.1f}">{escape(r["name"])}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
