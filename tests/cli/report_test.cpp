// report.html: the curves show what the metrics say, and no text of a user becomes markup.
#include "engine/train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/train/chart.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

TEST(Chart, EscapesEverythingThatIsMarkup) {
  EXPECT_EQ(escape_html("a < b & c > \"d\" 'e'"), "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(escape_html("zwei\nZeilen, 指令"), "zwei\nZeilen, 指令");
  EXPECT_EQ(escape_html(std::string("\x1b[31m\0\xff\n", 8)), "?[31m??\n");
  EXPECT_EQ(escape_html(""), "");
}

TEST(Chart, TicksAreRoundAndInside) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(axis_ticks(3.1, 3.1, 5), (std::vector<double>{3.1}));
  for (const double high : {1e-9, 0.37, 12.0, 7.7e12}) {
    const auto ticks = axis_ticks(0, high, 5);
    EXPECT_GE(ticks.size(), 3u) << high;
    EXPECT_LE(ticks.size(), 6u) << high;
    EXPECT_LE(ticks.back(), high * (1 + 1e-9));
  }
  EXPECT_EQ(axis_ticks(0, INFINITY, 5).size(), 1u);
  EXPECT_LE(axis_ticks(10.8, std::nextafter(10.8, 11), 5).size(), 11u);  // adding a step changes nothing here
  EXPECT_FALSE(std::signbit(axis_ticks(-0.1, 1, 5).front()));
}

TEST(Chart, ThinningKeepsEndsAndPeaks) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 100'000; ++i) points.emplace_back(i, std::sin(i * 0.01));
  points[54'321].second = 99;
  points[12'345].second = -99;
  const auto thin = thin_points(points, 1000);
  EXPECT_LE(thin.size(), 1001u);
  EXPECT_EQ(thin.front(), points.front());
  EXPECT_EQ(thin.back(), points.back());
  EXPECT_NE(std::find(thin.begin(), thin.end(), points[54'321]), thin.end());
  EXPECT_NE(std::find(thin.begin(), thin.end(), points[12'345]), thin.end());
  EXPECT_TRUE(std::is_sorted(thin.begin(), thin.end()));
  EXPECT_EQ(thin_points(points, 200'000), points);
}

TEST(Chart, PointsLieWhereTheirValuesSay) {
  Chart c{.title = "t",
          .x_name = "step",
          .format = [](double v) { return fmt::format("{:g}", v); },
          .from_zero = true};
  c.series.push_back({.name = "a", .points = {{0, 0}, {5, 50}, {10, 100}, {11, NAN}}});
  const std::string svg = render(c);
  // The x axis from 64 to 628 over 0 … 10; the y axis from 206 up to 10 over 0 … 105 (5 % of air).
  EXPECT_NE(svg.find("points=\"64.0,206.0 346.0,112.7 628.0,19.3 \""), std::string::npos) << svg;
  EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("legend"), std::string::npos);
  c.series.push_back({.name = "<b>", .points = {{3, 7}}});
  EXPECT_NE(render(c).find("&lt;b&gt;"), std::string::npos);
  c.series = {{.name = "flat", .points = {{1, 10.8}, {2, std::nextafter(10.8, 11)}}}};
  EXPECT_NE(render(c).find("<polyline"), std::string::npos);
  c.series = {{.name = "nothing", .points = {{1, NAN}}}};
  EXPECT_EQ(render(c), "");
}

TEST(ReportPage, IsSelfContainedAndEscapesWhatUsersWrote) {
  const std::string evil = "</pre><script src=\"http://x/y.js\"></script><img onerror='z'>";
  RunReport r{
      .title = evil, .outcome = evil, .facts = {{evil, evil}}, .memory = {{evil, 1e6}}, .resolved = evil};
  r.samples = {{.prompt = evil, .before = evil, .after = std::nullopt}};
  r.metrics = {{{"step", 1}, {"loss", 2.5}, {"learning_rate", 1e-4}},
               {{"step", 2}, {"loss", nullptr}},
               {{"step", 2}, {"eval_" + evil + "_loss", 2.0}, {"eval_f1", 0.5}},
               {{"step", evil}, {"loss", evil}},
               json::array({1, 2}),
               nullptr};
  const std::string html = report_html(r);
  for (const char* part : {"<script", "<img", "onerror='", "src=\"", "<link", "url(", "@import", "<iframe"})
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  EXPECT_EQ(count(html, "</pre>"), 1);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(html.find("prefers-color-scheme: dark"), std::string::npos);
  EXPECT_NE(html.find("not asked"), std::string::npos);
  EXPECT_NE(html.find("<td>2.0000</td>"), std::string::npos);
  for (const char* tag :
       {"html", "head", "body", "style", "dl", "figure", "svg", "table", "div", "pre", "h1"})
    EXPECT_EQ(count(html, std::string("<") + tag + ">") + count(html, std::string("<") + tag + " "),
              count(html, std::string("</") + tag + ">"))
        << tag;
}

TEST(ReportPage, OfARunHasItsCurvesSamplesAndConfiguration) {
  const TemporaryFolder folder;
  expect_success(ftengine({"make-tiny-model", "model"}, folder.path()));
  write_bytes(folder / "train.jsonl", "{\"prompt\": \"one\", \"completion\": \"eins\"}\n");
  write_bytes(
      folder / "exp.yaml",
      "model: {path: model}\n"
      "adapter: {peft_type: LORA, r: 2}\n"
      "data: {train: {path: train.jsonl, format: prompt_completion}, eval: {path: train.jsonl, format: "
      "prompt_completion}}\n"
      "training: {output_dir: out, max_steps: 4, save_strategy: steps, save_steps: 2}\n"
      "generation: {prompts: ['who <are> you?'], max_new_tokens: 5}\n");
  expect_success(ftengine({"run", "exp.yaml"}, folder.path()));
  const std::string html = read_bytes(folder / "out/report.html");
  for (const char* part : {"Loss", "Learning rate", "Throughput", "Peak memory", "<polyline",
                           "who &lt;are&gt; you?", "before training", "after training", "finished: 4 steps",
                           "LORA: trainable", "max_new_tokens: 5", "eval_loss", "optimizer"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("not asked"), std::string::npos);
  const json sample = read_jsonl(folder / "out/samples.jsonl").at(0);
  EXPECT_EQ(sample["prompt"], "who <are> you?");

  // A resumed run knows what was answered before the first one.
  fs::remove_all(folder / "out/checkpoint-4");
  expect_success(ftengine({"run", "exp.yaml", "--resume"}, folder.path()));
  EXPECT_EQ(read_jsonl(folder / "out/samples.jsonl").at(0)["before"], sample["before"]);
  EXPECT_EQ(read_bytes(folder / "out/report.html").find("not asked"), std::string::npos);
}

TEST(ReportPage, OfAnInterruptedRunSaysSo) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  const Outcome o = ftengine({"run", "exp.yaml", "--set", "training.max_steps=1000000"}, folder.path(),
                             {.interrupt_when = folder / "out/metrics.jsonl"});
  EXPECT_EQ(o.code, 130) << o.err;
  const std::string html = read_bytes(folder / "out/report.html");
  EXPECT_NE(html.find("interrupted after "), std::string::npos);
  EXPECT_NE(html.find("<svg"), std::string::npos);
}

}  // namespace
}  // namespace ft::cli
