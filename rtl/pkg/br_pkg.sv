// br_pkg: width and size functions shared by all modules.
// They are constant functions: use them for localparams only.
`default_nettype none

package br_pkg;

  // Bits of an index 0 .. n-1, at least 1 (an index over one element is a constant 0).
  function automatic int unsigned idx_width(input int unsigned n);
    return (n > 1) ? $unsigned($clog2(n)) : 1;
  endfunction

  // Bits of a count 0 .. n, at least 1.
  function automatic int unsigned cnt_width(input int unsigned n);
    return idx_width(n + 1);
  endfunction

  // Larger of two sizes.
  function automatic int unsigned max2(input int unsigned a, input int unsigned b);
    return (a > b) ? a : b;
  endfunction

  // Smaller of two sizes.
  function automatic int unsigned min2(input int unsigned a, input int unsigned b);
    return (a < b) ? a : b;
  endfunction

  // Output positions of a window along one side of the image; pad is the padding at both ends together.
  function automatic int unsigned out_size(input int unsigned size, input int unsigned kernel,
                                           input int unsigned stride, input int unsigned pad);
    return (size + pad - kernel) / stride + 1;
  endfunction

  // Whether constants are a br_dense (dense in bireal_hw/ir/encoding.py): where its words are nine times a power
  // of two they leave nearly half of their last block RAM empty, and this is the one that they can spare.
  function automatic bit is_dense(input int unsigned width, input int unsigned depth);
    return depth == 9 << $clog2(depth / 9) && depth > 512 && depth <= 4608 && width % 8 == 0 &&
        width * depth > (1 << 14);
  endfunction

  // Lines of a ROM of `depth` words in block RAM of 18 Kb (16K x 1, 8K x 2, .. 512 x 36): of the shapes that take fewest
  // blocks, with several words in a line if need be, the one with the fewest words in a line.
  function automatic int unsigned rom_lines(input int unsigned width, input int unsigned depth);
    int unsigned lines, unit, blocks, least;
    least = 0;
    rom_lines = depth;
    for (int unsigned bits = 14; bits >= 9; bits--) begin
      lines = 1 << bits;
      unit = (bits > 11) ? 1 << (14 - bits) : 9 << (11 - bits);
      blocks = ((depth + lines - 1) / lines * width + unit - 1) / unit;
      if (bits == 14 || blocks < least) begin
        least = blocks;
        rom_lines = min2(lines, depth);
      end
    end
  endfunction

endpackage

`default_nettype wire
