"""The style sheet of the HTML report."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 100rem; margin: 1.5rem auto; padding: 0 1rem; color: #222;
background: #fff; } h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; }
p { max-width: 48rem; } p.cpu { max-width: none; color: #555; font-size: .85rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .85rem; }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
table.steps { font-size: .75rem; } table.steps th { vertical-align: bottom; }
table.steps td, table.steps th { padding: .25rem .35rem; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } tr.rejected, tr.failed, tr.reason { color: #8a4b2d; }
tr.rejected td, tr.failed td { border-bottom: 0; } tr.reason td { padding-top: 0; }
tr.on { background: #e7f1f9; } td.step { overflow-wrap: anywhere; min-width: 6.5rem; }
small { color: #666; font-size: .92em; }
table.steps td { white-space: nowrap; }
table.steps td.step, table.steps tr.reason td { white-space: normal; }
table.steps small { display: block; }
.chart { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
.chart svg { flex: 1 1 24rem; } .chart table { flex: 0 1 auto; }
.scroll { overflow-x: auto; } .long { max-height: 26rem; overflow-y: auto; }
details { margin: .4rem 0; border-bottom: 1px solid #eee; padding-bottom: .3rem; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .5rem; font-size: .8rem; }
svg { width: 100%; max-width: 44rem; height: auto; display: block; } svg text { font-size: 10px; fill: #444; }
svg text.number { font-size: 10px; font-weight: 600; fill: #222; }
.leader { stroke: #aaa; stroke-width: .7; } .grid { stroke: #e6e6e6; }
path.bound { stroke: #c8553d; stroke-dasharray: 5 4; } svg text.bound { fill: #c8553d; }
.front { fill: none; stroke: #1b6ca8; stroke-width: 1.8; } .accepted { fill: #b9cfe0; stroke: #1b6ca8; }
.on { fill: #1b6ca8; stroke: #1b6ca8; } .original { fill: #222; stroke: #222; }
path.rejected { fill: #c8553d; stroke: #c8553d; stroke-width: 2; }
@media (max-width: 50rem) { svg text { font-size: 14px; } svg text.number { font-size: 12px; }
table.steps, table.steps tbody, table.steps tr { display: block; }
table.steps tr.head { display: none; } table.steps tr { border: 1px solid #ddd; border-radius: 6px; margin: .6rem 0; }
table.steps td { display: flex; justify-content: space-between; gap: 1rem; text-align: right;
white-space: normal; }
table.steps td::before { content: attr(data-name); color: #666; text-align: left; }
table.steps tr.reason { border: 0; margin-top: -.4rem; } table.steps tr.reason td { text-align: left; } }
"""
