// EHXPLLL: the ECP5's PLL as a simulation needs it: its clocks are the input clock (test only).
// Function       LOCK rises after some cycles; parameters outside the range of the device stop the simulation
`default_nettype none

/* verilator lint_off DECLFILENAME */
module EHXPLLL #(
  parameter int CLKI_DIV = 1,
  parameter int CLKFB_DIV = 1,
  parameter int CLKOP_DIV = 8,
  parameter int CLKOS_DIV = 8,
  parameter int CLKOP_CPHASE = 0,
  parameter int CLKOS_CPHASE = 0,
  parameter FEEDBK_PATH = "CLKOP",
  parameter CLKOP_ENABLE = "ENABLED",
  parameter CLKOS_ENABLE = "ENABLED",
  parameter OUTDIVIDER_MUXA = "DIVA",
  parameter OUTDIVIDER_MUXB = "DIVB",
  parameter OUTDIVIDER_MUXC = "DIVC",
  parameter OUTDIVIDER_MUXD = "DIVD",
  parameter PLLRST_ENA = "DISABLED",
  parameter INTFB_WAKE = "DISABLED",
  parameter STDBY_ENABLE = "DISABLED",
  parameter DPHASE_SOURCE = "DISABLED"
) (
  input  wire  CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC,
  input  wire  ENCLKOP, ENCLKOS,
  output wire  CLKOP, CLKOS,
  output logic LOCK
);

  localparam int Vco = 25 * CLKOP_DIV * CLKFB_DIV / CLKI_DIV;  // MHz, from the ULX3S's 25

  initial begin
    LOCK = 1'b0;
    if (FEEDBK_PATH != "CLKOP" || Vco < 400 || Vco > 800 || CLKOS_DIV < 1 || CLKOS_DIV > 128) $fatal(1, "EHXPLLL");
  end

  logic [2:0] count = '0;

  assign CLKOP = CLKI;
  assign CLKOS = CLKI;

  always_ff @(posedge CLKI) begin
    if (count != '1) count <= count + 3'd1;
    else LOCK <= 1'b1;
  end

endmodule
/* verilator lint_on DECLFILENAME */

`default_nettype wire
