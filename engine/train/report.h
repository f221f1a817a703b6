// report.html: what a run did, on one page that needs nothing else. No script, no picture, no font from
// anywhere: the page forbids them to itself, and every text of the user is escaped.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ft {

/// The answers to one prompt; nothing where there was no time to ask.
struct SampleAnswers {
  std::string prompt;
  std::optional<std::string> before = {}, after = {};
};

struct RunReport {
  std::string title;
  std::string outcome;                                          // one line: finished, interrupted …
  std::vector<std::pair<std::string, std::string>> facts = {};  // model, adapter, data …
  std::vector<nlohmann::json> metrics = {};                     // rows of metrics.jsonl
  std::vector<std::pair<std::string, double>> memory = {};      // peak bytes by class
  std::vector<SampleAnswers> samples = {};
  std::string resolved = {};  // resolved.yaml
};

/// The whole page. A row of `metrics` gives what it has: values that are missing or no numbers are left out.
std::string report_html(const RunReport& report);

}  // namespace ft
