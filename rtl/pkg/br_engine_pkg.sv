// br_engine_pkg: the fields of a pass of br_engine, as bireal_hw/engine/program.py writes them.
`default_nettype none

package br_engine_pkg;

  typedef struct packed {
    logic        last;            // last pass of a frame
    logic        binary;          // products of bits
    logic        real_;           // products of 8-bit numbers; with neither a map is read
    logic        shortcut;        // a map is added
    logic        shortcut_input;  // it is the front's
    logic        shortcut_wide;   // 4 bytes a number, else 2
    logic        knee;            // it is parted at a limit
    logic        store;           // values are written
    logic        store_pool;      // pooled sums are
    logic        store_wide;      // 4 bytes a number, else 2
    logic        sign;            // bits are made
    logic        pool;            // sums over windows are made
    logic        pool_real;       // for the products of 8-bit numbers
    logic        out;             // values are the network's output
    logic [11:0] bands;           // times that all groups are computed
    logic [11:0] groups;          // of output channels
    logic [15:0] pixels;          // of a band
    logic [15:0] words;           // of weights of a group
    logic [3:0]  idle;            // cycles that a word of weights waits
    logic [3:0]  kernel;          // taps along a side
    logic [11:0] chunks;          // words of a pixel of the operand
    logic [11:0] columns;         // output pixels of a row
    logic [11:0] width;           // columns of the operand
    logic [11:0] height;          // rows of the operand
    logic [3:0]  stride;          // operand pixels between windows
    logic [3:0]  pad_top;         // rows of padding above
    logic [3:0]  pad_left;        // columns of padding on the left
    logic [11:0] band_rows;       // operand rows between bands
    logic [19:0] read_first;      // operand word of the first tap
    logic [19:0] step_pixel;      // words to the next window
    logic [19:0] step_row;        // to the next row's first window
    logic [19:0] step_line;       // from the last tap of a row to the next row's first
    logic [19:0] step_band;       // to the next band
    logic [11:0] slices;          // that hold channels in a pixel's last word
    logic [11:0] offset;          // added to twice the bits that agree, signed
    logic [11:0] offset_last;     // the same of a pixel's last word
    logic [31:0] limit;           // of what a knee leaves alone
    logic [5:0]  shift;           // right, of the affine
    logic [31:0] low;             // least value
    logic [31:0] high;            // largest value
    logic [19:0] bits_first;      // word of the bits
    logic [11:0] bits_chunks;     // words of a pixel of them
    logic [19:0] real_first;      // word of the pooled numbers
    logic [11:0] real_chunks;     // words of a pixel of them
    logic [11:0] pool_width;      // columns of a window
    logic [11:0] pool_height;     // rows of a window
    logic [31:0] pool_half;       // added to a sum
    logic [5:0]  pool_shift;      // right, of a sum
    logic [31:0] pool_low;        // least pooled number
    logic [31:0] pool_high;       // largest pooled number
    logic [31:0] shortcut_first;  // address of the map
    logic [23:0] shortcut_beats;  // of a group and band
    logic [31:0] shortcut_group;  // bytes between groups
    logic [31:0] shortcut_band;   // bytes between bands
    logic [31:0] store_first;     // address of the map
    logic [23:0] store_beats;     // of a group and band
    logic [31:0] store_group;     // bytes between groups
    logic [31:0] store_band;      // bytes between bands
    logic [15:0] channels;        // of the output
  } pass_t;

  /* verilator lint_off UNUSEDPARAM */  // by modules other than the engine's
  localparam int unsigned PassWidth = 834;
  /* verilator lint_on UNUSEDPARAM */

endpackage

`default_nettype wire
