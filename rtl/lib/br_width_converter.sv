// br_width_converter: changes the number of elements a beat carries.
// Function       splits a beat into InLanes/OutLanes beats, or joins OutLanes/InLanes beats into one; order is kept
// Stream in      beat = InLanes elements of ElemWidth bits, first element in the low bits
// Stream out     beat = OutLanes elements, first element in the low bits; tlast on the beat that ends with the last
//                element
// Parameters     InLanes divides OutLanes or OutLanes divides InLanes (checked); when joining, tlast may only stand on
//                every (OutLanes/InLanes)-th beat
// Latency        splitting: 1 cycle; joining: OutLanes/InLanes cycles; equal lanes: 0 (wires)
// Throughput     max(input beats, output beats) cycles, no bubbles: a new word is taken in the cycle in which the last
//                piece of the previous one leaves
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds one beat of the wider side
// Source         the order of elements is that of docs/architecture.md, section 3
`default_nettype none

module br_width_converter #(
  parameter int unsigned ElemWidth = 8,  // bits of an element
  parameter int unsigned InLanes   = 4,  // elements in a beat in; a multiple of OutLanes or a divisor
  parameter int unsigned OutLanes  = 2   // elements in a beat out
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [ InLanes*ElemWidth-1:0] s_axis_tdata,
  input  wire                           s_axis_tvalid,
  output logic                          s_axis_tready,
  input  wire                           s_axis_tlast,
  output logic [OutLanes*ElemWidth-1:0] m_axis_tdata,
  output logic                          m_axis_tvalid,
  input  wire                           m_axis_tready,
  output logic                          m_axis_tlast
);

  localparam int unsigned InBits = InLanes * ElemWidth;
  localparam int unsigned OutBits = OutLanes * ElemWidth;

  if (ElemWidth < 1) begin : gen_check_elem_width
    $error("br_width_converter: ElemWidth=%0d must be at least 1", ElemWidth);
  end
  if (InLanes < 1 || OutLanes < 1) begin : gen_check_lanes
    $error("br_width_converter: InLanes=%0d and OutLanes=%0d must be at least 1", InLanes, OutLanes);
  end
  if (InLanes % OutLanes != 0 && OutLanes % InLanes != 0) begin : gen_check_ratio
    $error("br_width_converter: InLanes=%0d and OutLanes=%0d: one must be a multiple of the other", InLanes, OutLanes);
  end

  if (InLanes == OutLanes) begin : gen_wires

    always_comb begin
      m_axis_tdata  = s_axis_tdata;
      m_axis_tvalid = s_axis_tvalid;
      m_axis_tlast  = s_axis_tlast;
      s_axis_tready = m_axis_tready;
    end

    wire unused = &{1'b0, clk_i, rst_ni};

  end else if (InLanes > OutLanes) begin : gen_split

    localparam int unsigned Ratio = InLanes / OutLanes;
    localparam int unsigned CntWidth = br_pkg::idx_width(Ratio);

    logic [  InBits-1:0] data_q;  // the next piece is in the low bits
    logic [CntWidth-1:0] left_q;  // pieces that follow the current one
    logic valid_q, last_q, last_piece;

    assign last_piece    = left_q == '0;
    assign s_axis_tready = !valid_q || (last_piece && m_axis_tready);
    assign m_axis_tdata  = data_q[OutBits-1:0];
    assign m_axis_tvalid = valid_q;
    assign m_axis_tlast  = last_q && last_piece;

    always_ff @(posedge clk_i) begin
      if (s_axis_tready) begin
        data_q <= s_axis_tdata;
        last_q <= s_axis_tlast;
        left_q <= CntWidth'(Ratio - 1);
      end else if (m_axis_tready) begin
        data_q <= data_q >> OutBits;
        left_q <= left_q - CntWidth'(1);
      end
      if (s_axis_tready) valid_q <= s_axis_tvalid;
      if (!rst_ni) valid_q <= 1'b0;
    end

  end else begin : gen_join

    localparam int unsigned Ratio = OutLanes / InLanes;
    localparam int unsigned CntWidth = br_pkg::idx_width(Ratio);

    logic [ OutBits-1:0] data_q;  // pieces enter at the top and move down
    logic [CntWidth-1:0] left_q;  // pieces that follow the next one
    logic full_q, last_q;

    assign s_axis_tready = !full_q || m_axis_tready;
    assign m_axis_tdata  = data_q;
    assign m_axis_tvalid = full_q;
    assign m_axis_tlast  = last_q;

    always_ff @(posedge clk_i) begin
      if (s_axis_tready) begin
        full_q <= 1'b0;
        if (s_axis_tvalid) begin
          data_q <= {s_axis_tdata, data_q[OutBits-1:InBits]};
          last_q <= s_axis_tlast;
          full_q <= left_q == '0;
          left_q <= (left_q == '0) ? CntWidth'(Ratio - 1) : left_q - CntWidth'(1);
        end
      end
      if (!rst_ni) begin
        full_q <= 1'b0;
        left_q <= CntWidth'(Ratio - 1);
      end
    end

  end

endmodule

`default_nettype wire
