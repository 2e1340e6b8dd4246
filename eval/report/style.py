"""The page's style sheet. Colours are told apart in light and dark, and by people who do not see red or green."""

CSS = """
:root { color-scheme: light dark;
  --page: #fcfcfb; --panel: #f3f3f0; --ink: #171715; --soft: #5a5955; --grid: #e1e0db; --axis: #a5a49e;
  --gain: #2a78d6; --loss: #d9532c; --warn: #fdf0d3; --warn-ink: #5c4300; --good: #0a6b35;
  --c0: #2a78d6; --c1: #d9622b; --c2: #15906a; --c3: #b27a00;
  --c4: #c2518a; --c5: #4a3aa7; --c6: #008300; --c7: #c93a39; }
@media (prefers-color-scheme: dark) { :root {
  --page: #191918; --panel: #242422; --ink: #f4f4f1; --soft: #b5b4ad; --grid: #363633; --axis: #74736d;
  --gain: #4f9bef; --loss: #ee7a4e; --warn: #41330f; --warn-ink: #f8dd9a; --good: #6fce94;
  --c0: #4f9bef; --c1: #ee7a4e; --c2: #35b98a; --c3: #d7a12b;
  --c4: #e07aad; --c5: #a69bf0; --c6: #5fbf4d; --c7: #ef7474; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 0 0 .4rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .3rem; }
h4 { font-size: .85rem; margin: .7rem 0 .1rem; color: var(--soft); }
p { margin: .3rem 0 .7rem; }
section { margin-top: 2.6rem; padding-top: 1.2rem; border-top: 1px solid var(--grid); }
.kicker, .note, figcaption, .interval { color: var(--soft); }
.kicker { margin: 0; font-size: .9rem; }
.note, figcaption { font-size: .9rem; }
.lead { margin: 0; }
.verdict { font-size: 1.05rem; padding-left: 1.1rem; }
p.verdict { padding: 0; }
.warning { background: var(--warn); color: var(--warn-ink); padding: .7rem 1rem; border-radius: .4rem;
  margin: 1rem 0 0; }
.scroll { overflow-x: auto; margin: .2rem 0 .6rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.caption { margin: .8rem 0 0; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--grid); }
td { overflow-wrap: anywhere; min-width: 3rem; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; }
.numbers td, .numbers thead th + th { text-align: right; padding: .35rem 0 .35rem .9rem; white-space: nowrap; }
.numbers tbody th { min-width: 9rem; }
.strip { display: block; margin: .15rem 0 0 auto; }
details { margin: .7rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; width: fit-content; padding: .2rem 0; }
summary:hover { color: var(--ink); }
:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
svg { max-width: 100%; height: auto; display: block; }
svg.strip, .legend svg { max-width: none; height: 1rem; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .direct, svg .strong { fill: var(--ink); font-weight: 600; }
svg .direct { font-size: 13px; paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
svg .gain-name { fill: var(--gain); font-weight: 600; } svg .loss-name { fill: var(--loss); font-weight: 600; }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
.bar { stroke-width: 2; stroke-opacity: .6; } .span { stroke-width: 3; } .curve { fill: none; stroke-width: 2; }
.mark { stroke: var(--page); stroke-width: 1.5; }
.gain { fill: var(--gain); } .loss { fill: var(--loss); } rect.lower { fill: var(--axis); }
.narrow { display: none; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 16rem; max-width: 21rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .5rem 0;
  font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .35rem; }
code, pre { font: .85em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { background: var(--panel); padding: .7rem 1rem; border-radius: .4rem; overflow-x: auto; margin: .4rem 0; }
code { color: var(--soft); } pre code { color: var(--ink); font-size: 1em; }
.file { margin: .8rem 0 0; }
.worst { padding-left: 1.4rem; } .worst > li { padding: .6rem 0 1rem; border-bottom: 1px solid var(--grid); }
.worst ul, .worst ol { margin: .1rem 0; padding-left: 1.3rem; }
.worst li li { margin: .3rem 0; }
.query { font-weight: 600; margin: 0; } .query + .note { margin: 0; }
.snippet { color: var(--soft); font-size: .9rem; margin: .1rem 0; }
.badge { font-size: .8rem; padding: 0 .45rem; border-radius: 1rem; background: var(--panel); white-space: nowrap; }
.badge.good { color: var(--good); }
.unseen { color: var(--loss); font-size: .85em; }
@media (max-width: 50rem) { .wide { display: none; } .narrow { display: block; } body { padding-top: 1rem; }
  h1 { font-size: 1.6rem; } figure { flex-basis: 100%; } section { margin-top: 2rem; }
  .interval { display: block; } .numbers tbody th { min-width: 5rem; overflow-wrap: normal; } }
@media print { body { max-width: none; font-size: 11pt; } section, .worst > li, figure { break-inside: avoid-page; }
  .scroll { overflow: visible; } pre { white-space: pre-wrap; } }
"""


def colours(count: int) -> str:
    """Rules that give each class `c0`, `c1`, … its colour, whatever is drawn in it."""
    return "".join(
        f".mark.c{each}, .upper.c{each} {{ fill: var(--c{each}); }} "
        f".bar.c{each}, .span.c{each}, .curve.c{each} {{ stroke: var(--c{each}); }}\n"
        for each in range(count)
    )
