// br_gearbox: beats of one number of units into beats of another, whatever the two numbers are.
// Function       the units that come in go out in the same order, OutUnits a beat; a beat in may hold fewer than InUnits.
//                With tlast the rest leaves as a shorter beat, if there is one, and the next beat begins a new transfer
// Stream in      beat = s_axis_units units of UnitWidth bits, 0 to InUnits, the first in the low bits
// Stream out     beat = m_axis_units units, OutUnits but for the last beat of a transfer; what lies above them is 0; tlast
//                on the last beat. A transfer whose units fill its beats has no shorter one; an empty transfer gives none
// Parameters     InUnits and OutUnits at least 1: what divides both is best taken into the unit
// Latency        1 cycle
// Throughput     a beat a cycle of the wider side's pace; one cycle between transfers
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; holds up to InUnits + 2*OutUnits units
// Source         a register that is filled above what it holds and emptied from below
`default_nettype none

module br_gearbox #(
  parameter  int unsigned UnitWidth = 8,                           // bits of a unit
  parameter  int unsigned InUnits   = 4,                           // units in a beat in, at most
  parameter  int unsigned OutUnits  = 3,                           // units in a beat out
  localparam int unsigned InWidth   = br_pkg::cnt_width(InUnits),
  localparam int unsigned OutWidth  = br_pkg::cnt_width(OutUnits)
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [ InUnits*UnitWidth-1:0] s_axis_tdata,
  input  wire  [           InWidth-1:0] s_axis_units,
  input  wire                           s_axis_tvalid,
  output logic                          s_axis_tready,
  input  wire                           s_axis_tlast,
  output logic [OutUnits*UnitWidth-1:0] m_axis_tdata,
  output logic [          OutWidth-1:0] m_axis_units,
  output logic                          m_axis_tvalid,
  input  wire                           m_axis_tready,
  output logic                          m_axis_tlast
);

  if (UnitWidth < 1 || InUnits < 1 || OutUnits < 1) begin : gen_check
    $error("br_gearbox: UnitWidth=%0d, InUnits=%0d and OutUnits=%0d must be at least 1", UnitWidth, InUnits, OutUnits);
  end

  localparam int unsigned Capacity = InUnits + 2 * OutUnits;
  localparam int unsigned FillWidth = br_pkg::cnt_width(Capacity);
  localparam int unsigned PlaceWidth = br_pkg::cnt_width(2 * OutUnits);  // where a beat goes that is let in

  logic [Capacity*UnitWidth-1:0] held_q, kept, incoming;
  logic [FillWidth-1:0] fill_q, left;
  logic push, pop, ending_q;

  assign s_axis_tready = !ending_q && fill_q <= FillWidth'(2 * OutUnits);
  assign push          = s_axis_tvalid && s_axis_tready;

  assign m_axis_tvalid = fill_q >= FillWidth'(OutUnits) || (ending_q && fill_q != '0);
  assign m_axis_tlast  = ending_q && fill_q <= FillWidth'(OutUnits);
  assign m_axis_units  = fill_q >= FillWidth'(OutUnits) ? OutWidth'(OutUnits) : OutWidth'(fill_q);
  assign m_axis_tdata  = held_q[OutUnits*UnitWidth-1:0];
  assign pop           = m_axis_tvalid && m_axis_tready;

  // Above what is held the register is 0, so what comes in is or-ed into it.
  assign kept = pop ? held_q >> (OutUnits * UnitWidth) : held_q;
  assign left = pop ? fill_q - FillWidth'(m_axis_units) : fill_q;

  always_comb begin
    incoming = '0;
    for (int unsigned i = 0; i < InUnits; i++) begin
      if (i < 32'(s_axis_units)) incoming[i*UnitWidth+:UnitWidth] = s_axis_tdata[i*UnitWidth+:UnitWidth];
    end
  end

  always_ff @(posedge clk_i) begin
    held_q <= push ? kept | (incoming << (32'(PlaceWidth'(left)) * UnitWidth)) : kept;
    fill_q <= push ? left + FillWidth'(s_axis_units) : left;
    if (push && s_axis_tlast) ending_q <= 1'b1;
    else if (left == '0) ending_q <= 1'b0;
    if (!rst_ni) begin
      held_q   <= '0;
      fill_q   <= '0;
      ending_q <= 1'b0;
    end
  end

endmodule

`default_nettype wire
