#include "engine/train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/train/chart.h"
#include "engine/train/progress.h"

namespace ft {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
)";

constexpr std::string_view kStyle = R"(<style>
:root { --page: #fcfcfb; --card: #ffffff; --ink: #1c1c1a; --quiet: #63635e; --line: #e4e3de; --strong: #a9a89f;
  --c0: #2a6fdb; --c1: #d9610f; --c2: #12876f; --c3: #8a4fc7; --c4: #b8860b; --c5: #c2356b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #161615; --card: #1f1f1d; --ink: #ecebe6; --quiet: #a3a29a; --line: #33322f; --strong: #6d6c66;
    --c0: #6ea3f5; --c1: #f08a45; --c2: #45bda2; --c3: #b58ae6; --c4: #d8ae45; --c5: #ea7fa6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.5rem 0 .75rem; }
.outcome { color: var(--quiet); margin: .25rem 0 1.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .9rem 1rem .6rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
figcaption { font-weight: 600; }
.legend { margin: .1rem 0 0; color: var(--quiet); font-size: .85rem; }
.legend span { margin-right: 1.1rem; }
.legend i { display: inline-block; width: .9rem; height: 3px; margin-right: .4rem; vertical-align: middle; }
svg { display: block; width: 100%; height: auto; margin-top: .4rem; }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--strong); }
svg .label { fill: var(--quiet); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg circle { stroke: var(--card) !important; stroke-width: 2; }
polyline.s0, circle.s0 { stroke: var(--c0); } i.s0 { background: var(--c0); } circle.s0 { fill: var(--c0); }
polyline.s1, circle.s1 { stroke: var(--c1); } i.s1 { background: var(--c1); } circle.s1 { fill: var(--c1); }
polyline.s2, circle.s2 { stroke: var(--c2); } i.s2 { background: var(--c2); } circle.s2 { fill: var(--c2); }
polyline.s3, circle.s3 { stroke: var(--c3); } i.s3 { background: var(--c3); } circle.s3 { fill: var(--c3); }
polyline.s4, circle.s4 { stroke: var(--c4); } i.s4 { background: var(--c4); } circle.s4 { fill: var(--c4); }
polyline.s5, circle.s5 { stroke: var(--c5); } i.s5 { background: var(--c5); } circle.s5 { fill: var(--c5); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
.sample { margin-bottom: 1.25rem; }
.sample h3 { font-size: 1rem; margin: 0 0 .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.answer { padding: .7rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.answer b { display: block; color: var(--quiet); font-weight: 500; font-size: .85rem; }
.none { color: var(--quiet); }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; } }
pre { padding: .9rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto;
  font: 13px/1.45 ui-monospace, monospace; }
</style>
)";

std::optional<double> number(const nlohmann::json& row, std::string_view key) {
  if (!row.is_object()) return std::nullopt;
  const auto found = row.find(key);
  if (found == row.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

Series series(const RunReport& r, std::string name, std::string_view key, bool marked = false) {
  Series s{.name = std::move(name), .points = {}, .marked = marked};
  for (const nlohmann::json& row : r.metrics)
    if (const auto step = number(row, "step"), value = number(row, key); step && value)
      s.points.emplace_back(*step, *value);
  return s;
}

/// Metrics of evaluation rows, in the order of their first appearance.
std::vector<std::string> evaluations(const RunReport& r) {
  std::vector<std::string> names;
  for (const nlohmann::json& row : r.metrics) {
    if (!row.is_object()) continue;
    for (const auto& [key, value] : row.items())
      if (key.starts_with("eval_") && value.is_number() &&
          std::find(names.begin(), names.end(), key) == names.end())
        names.push_back(key);
  }
  return names;
}

std::string plain(double v) {
  return std::abs(v) >= 1000 && std::abs(v) < 1e15 ? with_commas(std::llround(v)) : fmt::format("{:.4g}", v);
}

std::string charts(const RunReport& r) {
  Chart loss{.title = "Loss", .x_name = "step", .series = {series(r, "training", "loss")}, .format = plain};
  std::vector<Chart> others;
  for (const std::string& name : evaluations(r)) {
    if (name.ends_with("loss"))
      loss.series.push_back(series(r, name, name, true));
    else
      others.push_back(
          {.title = name, .x_name = "step", .series = {series(r, name, name, true)}, .format = plain});
  }
  std::string html = render(loss);
  for (const Chart& c : others) html += render(c);
  const auto add = [&](std::string title, std::string_view key, auto format, bool from_zero = true) {
    html += render({.title = title,
                    .x_name = "step",
                    .series = {series(r, title, key)},
                    .format = format,
                    .from_zero = from_zero});
  };
  add("Learning rate", "learning_rate", plain);
  add("Gradient norm before clipping", "grad_norm", plain);
  add("Throughput, tokens/s", "tokens_per_second", plain);
  add("Peak memory of the process", "peak_memory_bytes", human_bytes);
  return html.empty() ? "" : "<h2>Curves</h2>\n<div class=\"charts\">\n" + html + "</div>\n";
}

std::string evaluation_table(const RunReport& r) {
  const std::vector<std::string> names = evaluations(r);
  if (names.empty()) return "";
  std::string html = "<h2>Evaluations</h2>\n<div class=\"scroll\"><table>\n<tr><th>step</th>";
  for (const std::string& name : names) html += fmt::format("<th>{}</th>", escape_html(name));
  html += "</tr>\n";
  for (const nlohmann::json& row : r.metrics) {
    const auto step = number(row, "step");
    const bool any = std::any_of(names.begin(), names.end(), [&](const auto& n) { return number(row, n); });
    if (!step || !any) continue;
    html += fmt::format("<tr><td>{:.10g}</td>", *step);
    for (const std::string& name : names) {
      const auto value = number(row, name);
      html += fmt::format("<td>{}</td>", value ? fmt::format("{:.4f}", *value) : "");
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string memory_table(const RunReport& r) {
  if (r.memory.empty()) return "";
  std::string html = "<h2>Memory, peak by purpose</h2>\n<div class=\"scroll\"><table>\n";
  for (const auto& [name, bytes] : r.memory)
    html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape_html(name), human_bytes(bytes));
  return html + "</table></div>\n";
}

std::string answer(std::string_view label, const std::optional<std::string>& text) {
  return fmt::format("<div class=\"answer\" dir=\"auto\"><b>{}</b>{}</div>\n", label,
                     text ? escape_html(*text) : "<span class=\"none\">not asked</span>");
}

std::string samples(const RunReport& r) {
  if (r.samples.empty()) return "";
  std::string html = "<h2>Samples</h2>\n";
  for (const SampleAnswers& s : r.samples)
    html += fmt::format(
        "<div class=\"sample\">\n<h3 dir=\"auto\">{}</h3>\n<div class=\"pair\">\n{}{}</div>\n</div>\n",
        escape_html(s.prompt), answer("before training", s.before), answer("after training", s.after));
  return html;
}

}  // namespace

std::string report_html(const RunReport& r) {
  std::string html(kHead);
  html += fmt::format("<title>{}</title>\n{}</head>\n<body>\n<h1>{}</h1>\n<p class=\"outcome\">{}</p>\n",
                      escape_html(r.title), kStyle, escape_html(r.title), escape_html(r.outcome));
  html += "<dl>\n";
  for (const auto& [key, value] : r.facts)
    html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(key), escape_html(value));
  html += "</dl>\n";
  html += charts(r) + evaluation_table(r) + samples(r) + memory_table(r);
  html += fmt::format("<h2>Configuration</h2>\n<pre>{}</pre>\n</body>\n</html>\n", escape_html(r.resolved));
  return html;
}

}  // namespace ft
