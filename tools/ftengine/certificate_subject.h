// An experiment opened for its gradient certificate: the model with its adapters in one type on one device,
// and rows that are short enough for many passes.
#pragma once

#include <vector>

#include "adapters/stack.h"
#include "engine/config/experiment.h"
#include "engine/train/gradient_check.h"
#include "models/load.h"
#include "tools/ftengine/session.h"

namespace ft {

/// The first rows that have a target, each cut to a few tokens around its first one.
std::vector<DataRow> certificate_rows(const Experiment& experiment, const ModelFacts& facts);

class CertificateSubject {
 public:
  /// `compute`: of activations, float64 on the CPU or float32. Trained tensors that start at zero are moved
  /// away.
  CertificateSubject(const Experiment& experiment, Session& session, DType compute);

  Model& model() { return *loaded_.model; }
  const std::string& fingerprint() const { return loaded_.fingerprint; }
  const AdapterStack& adapters() const { return adapters_; }
  GradientSubject on(const std::vector<DataRow>& rows);

  /// Folds them in, in float32, and takes them from their sites. Last use of the adapters.
  void merge();

 private:
  const Experiment& experiment_;
  Session& session_;
  DType compute_;
  LoadedModel loaded_;
  AdapterStack adapters_;
};

}  // namespace ft
