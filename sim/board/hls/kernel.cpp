// A network's C++ behind the functions that br_hls_model calls: streams that outlive a call, as wires do.
#include "top.cpp"

namespace {

hls::stream<pixel_beat>& pixels() {
  static hls::stream<pixel_beat> stream("s_axis");
  return stream;
}
hls::stream<logit_beat>& logits() {
  static hls::stream<logit_beat> stream("m_axis");
  return stream;
}
pixel_beat pixel;
logit_beat beat;
int channel = 0, lane = 0;

}  // namespace

extern "C" {

void kernel_clear() {
  while (!pixels().empty()) pixels().read();
  while (!logits().empty()) logits().read();
  channel = lane = 0;
}

void kernel_push(int value, int last) {
  pixel.data.range(8 * channel + 7, 8 * channel) = value;
  ++channel;
  if (!last) return;
  channel = 0;
  pixel.keep = -1;
  pixel.strb = -1;
  pixel.last = 0;
  pixels().write(pixel);
}

void kernel_run(int frames) { bireal_top(pixels(), logits(), frames); }

int kernel_pop() {
  if (lane == 0) beat = logits().read();
  const int value = bireal::element<32>(beat.data, lane).to_int();
  lane = lane == logit_lanes - 1 ? 0 : lane + 1;
  return value;
}

}
