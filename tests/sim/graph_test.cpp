// Captured streams: what they record, what they own, and what breaks them; and what counts as a wait of the
// host.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"

namespace ft::sim::test {
namespace {

class Graph : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cudaStreamCreate(&stream_), cudaSuccess); }
  void TearDown() override {
    cudaGetLastError();
    cudaStreamDestroy(stream_);
  }
  void begin() { ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess); }
  cudaGraphExec_t end() {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    return exec;
  }
  int value(const int* p) {
    int v = 0;
    EXPECT_EQ(cudaMemcpy(&v, p, sizeof v, cudaMemcpyDeviceToHost), cudaSuccess);
    return v;
  }
  cudaStream_t stream_ = nullptr;
};

TEST_F(Graph, RunsWhatWasRecordedAndOnlyThen) {
  int *a = nullptr, *b = nullptr, *pinned = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&a), 4), cudaSuccess);
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&b), 4), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), 4), cudaSuccess);
  ASSERT_EQ(cudaMemset(b, 0, 4), cudaSuccess);
  begin();
  EXPECT_EQ(cudaMemcpyAsync(a, pinned, 4, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(b, a, 4, cudaMemcpyDeviceToDevice, stream_), cudaSuccess);
  const cudaGraphExec_t exec = end();
  EXPECT_EQ(value(b), 0);
  for (const int v : {5, 9}) {  // pinned memory is read when the graph runs
    *pinned = v;
    EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
    EXPECT_EQ(value(b), v);
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  cudaFree(a);
  cudaFree(b);
  cudaFreeHost(pinned);
}

TEST_F(Graph, OwnsMemoryThatIsFreshAtEveryLaunch) {
  int* out = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&out), 4), cudaSuccess);
  begin();
  int* inside = nullptr;
  EXPECT_EQ(cudaMallocAsync(reinterpret_cast<void**>(&inside), 4, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(out, inside, 4, cudaMemcpyDeviceToDevice, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(inside, 0, 4, stream_), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(inside, stream_), cudaSuccess);
  const cudaGraphExec_t exec = end();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
    EXPECT_EQ(value(out), -1);  // not the zeros of the launch before
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaMemset(inside, 0, 4), cudaErrorInvalidValue);  // gone with the graph
  cudaFree(out);
}

TEST_F(Graph, RefusesASecondLaunchBeforeItsMemoryIsFreed) {
  begin();
  void* inside = nullptr;
  EXPECT_EQ(cudaMallocAsync(&inside, 4, stream_), cudaSuccess);
  const cudaGraphExec_t exec = end();
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

TEST_F(Graph, WaitingBreaksACapture) {
  int* p = nullptr;
  int host = 0;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&p), 4), cudaSuccess);
  const std::vector<std::function<cudaError_t()>> calls = {
      [&] { return cudaStreamSynchronize(stream_); }, [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMemcpy(&host, p, 4, cudaMemcpyDeviceToHost); },
      [&] { return cudaMemcpyAsync(p, &host, 4, cudaMemcpyHostToDevice, stream_); },
      [&] {
        void* more = nullptr;
        return cudaMalloc(&more, 4);
      }};
  for (const auto& call : calls) {
    begin();
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    cudaGetLastError();
  }
  begin();  // memory of before is not the graph's to free
  EXPECT_EQ(cudaFreeAsync(p, stream_), cudaErrorInvalidValue);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
  EXPECT_EQ(cudaFree(p), cudaSuccess);
}

TEST_F(Graph, WaitsAreCountedByName) {
  void *p = nullptr, *pinned = nullptr;
  int host = 0;
  ASSERT_EQ(cudaMallocHost(&pinned, 4), cudaSuccess);
  clear_host_waits();
  ASSERT_EQ(cudaMallocAsync(&p, 4, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(p, pinned, 4, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(pinned, p, 4, cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, stream_), cudaSuccess);
  EXPECT_TRUE(host_waits().empty());
  EXPECT_EQ(cudaMemcpyAsync(&host, p, 4, cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(p, stream_), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  const std::map<std::string, uint64_t> expected = {
      {"cudaMemcpyAsync of pageable memory", 1}, {"cudaStreamSynchronize", 2}, {"cudaFreeHost", 1}};
  EXPECT_EQ(host_waits(), expected);
}

}  // namespace
}  // namespace ft::sim::test
