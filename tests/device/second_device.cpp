// A second device in the computer's own memory: the CPU does its work, but its tensors and the CPU's must not be mixed,
// as on a GPU, and it has no float64, as Apple's. PyTorch's name for a device from outside is PrivateUse1.
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

using at::IntArrayRef;
using at::Tensor;
using std::optional;
constexpr auto SECOND = c10::DeviceType::PrivateUse1;
const c10::DispatchKeySet KEY(c10::DispatchKey::PrivateUse1);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = std::malloc(bytes);
    return {memory, memory, &std::free, c10::Device(SECOND, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
} memory;

struct Guard final : c10::impl::NoOpDeviceGuardImpl<SECOND> {  // one device with one queue, whose work is always done
  c10::Device getDevice() const override { return {SECOND, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {SECOND, 0}; }
  c10::Stream getStream(c10::Device) const noexcept override { return queue; }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return queue; }
  const c10::Stream queue{c10::Stream::DEFAULT, {SECOND, 0}};
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};

at::ScalarType known(optional<at::ScalarType> type) {
  TORCH_CHECK(type != at::kDouble, "this device has no float64");
  return c10::dtype_or_default(type);
}

Tensor empty(IntArrayRef size, optional<at::ScalarType> type, optional<at::Layout>, optional<at::Device>,
             optional<bool>, optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, KEY, known(type), format);
}

Tensor empty_strided(IntArrayRef size, IntArrayRef stride, optional<at::ScalarType> type, optional<at::Layout>,
                     optional<at::Device>, optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, KEY, known(type));
}

Tensor on_cpu(const Tensor& x) {  // the same memory as a tensor of the CPU
  if (!x.defined() || x.is_cpu()) return x;
  return at::from_blob(x.data_ptr(), x.sizes(), x.strides(), [x](void*) {}, x.options().device(at::kCPU));
}

optional<Tensor> on_cpu(const optional<Tensor>& x) { return x ? optional<Tensor>(on_cpu(*x)) : x; }

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  return copy_from(from, to.resize_(from.sizes()), false);
}

Tensor convolution(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias, IntArrayRef stride,
                   IntArrayRef padding, IntArrayRef dilation, bool transposed, IntArrayRef more, int64_t groups) {
  TORCH_CHECK(x.device() == weight.device(), "a convolution of tensors on two devices");
  return at::convolution(on_cpu(x), on_cpu(weight), on_cpu(bias), stride, padding, dilation, transposed, more, groups)
      .to(x.device());
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, IntArrayRef stride, IntArrayRef padding,
    IntArrayRef dilation, bool transposed, IntArrayRef more, int64_t groups, std::array<bool, 3> mask) {
  std::vector<int64_t> bias{transposed ? weight.size(1) * groups : weight.size(0)};
  auto [gx, gw, gb] = at::convolution_backward(on_cpu(gradient), on_cpu(x), on_cpu(weight), bias, stride, padding,
                                               dilation, transposed, more, groups, mask);
  auto back = [&](const Tensor& y) { return y.defined() ? y.to(x.device()) : y; };
  return {back(gx), back(gw), back(gb)};
}

std::tuple<Tensor, Tensor, Tensor> batch_norm(
    const Tensor& x, const optional<Tensor>& weight, const optional<Tensor>& bias, const optional<Tensor>& mean,
    const optional<Tensor>& variance, bool training, double momentum, double epsilon) {
  auto [y, m, v] = at::native_batch_norm(on_cpu(x), on_cpu(weight), on_cpu(bias), on_cpu(mean), on_cpu(variance),
                                         training, momentum, epsilon);  // changes `mean` and `variance`
  return {y.to(x.device()), m.to(x.device()), v.to(x.device())};
}

void on_one_device(const c10::OperatorHandle& op, torch::jit::Stack* stack) {  // all other operations
  bool first = false, second = false;
  auto see = [&](const Tensor& x) {
    second |= x.defined() && x.device().type() == SECOND;
    first |= x.defined() && x.is_cpu() && x.dim() > 0;  // a CPU's scalar may join in, as on a GPU
  };
  for (const auto& value : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (value.isTensor()) see(value.toTensor());
    if (value.isTensorList()) for (const Tensor& x : value.toTensorVector()) see(x);
  }
  auto& name = op.schema().name();
  bool by_index = name == "aten::index" || name == "aten::_index_put_impl_";  // also a GPU takes the CPU's indices
  TORCH_CHECK(!first || !second || by_index, "Expected all tensors to be on the same device: ", name);
  at::native::cpu_fallback(op, stack);
}

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);
REGISTER_ALLOCATOR(SECOND, &memory);
const bool registered = (at::RegisterPrivateUse1HooksInterface(new Hooks), true);
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_one_device>()); }
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("resize_", at::native::resize_);
  m.impl("view", at::native::view);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("set_.source_Storage", at::native::set_);
  m.impl("set_.source_Storage_storage_offset", at::native::set_storage_cpu_);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
  m.impl("native_batch_norm", batch_norm);
}
