// Line charts as inline SVG: text in, text out. Colours are classes (s0, s1, … a series; grid, axis, label),
// so that the page around them decides what they look like by day and by night.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ft {

/// `text` as it may stand in HTML and in attributes: markup escaped, malformed UTF-8 and control characters
/// but line ends replaced by '?'.
std::string escape_html(std::string_view text);

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points = {};  // x ascending; points that are not finite are left out
  bool marked = false;                                 // a dot a point: few and far between
};

struct Chart {
  std::string title;
  std::string x_name;
  std::vector<Series> series = {};
  std::function<std::string(double)> format = {};  // of values on the y axis
  bool from_zero = false;                          // the y axis starts at 0
};

/// A <figure> with caption, legend (for two series and more) and the picture; "" without a point. Long series
/// are thinned to some thousand points that keep every peak visible. O(points).
std::string render(const Chart& chart);

/// Round values in [low, high], some `count` of them: steps of 1, 2 or 5 times a power of ten.
std::vector<double> axis_ticks(double low, double high, int count);

/// At most about `limit` of the points: of each stretch the first, lowest and highest, in their order.
std::vector<std::pair<double, double>> thin_points(const std::vector<std::pair<double, double>>& points,
                                                   size_t limit);

}  // namespace ft
