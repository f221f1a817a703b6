// ftengine check --gradients: is the backward of this experiment (its own model, method, rows and device) the
// derivative of its forward? Three comparisons, each on a few short rows:
//   finite differences   the CPU's backward in double with central differences, for each trained tensor
//   the run's own        the backward in the type and on the device that the run uses with the same
//   differences composition          the loss with the adapter at its sites with that of weights that it was
//   folded into
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ft {

struct CertificateOptions {
  std::filesystem::path yaml;
  std::vector<std::string> overrides;
  std::filesystem::path out;  // empty: certificate.json in training.output_dir
  int threads = 0;
};

/// Writes certificate.json, whatever it says. Throws ft::Error that names the first tensor whose gradient is
/// wrong.
void certify_gradients(const CertificateOptions& options);

}  // namespace ft
