// br_ip_pkg: addresses and bits of the registers of br_ip.
// Written by `python -m bireal_hw.zynq.registers`; do not edit.
`default_nettype none

/* verilator lint_off UNUSEDPARAM */
package br_ip_pkg;

  localparam int unsigned AddrWidth = 7;  // of a byte
  localparam int unsigned RegisterCount = 22;
  localparam logic [15:0] MapVersion = 16'd1;
  localparam int unsigned ErrorCount = 9;

  // Numbers of the registers, four bytes each
  localparam int unsigned IdentityLowReg = 0;
  localparam int unsigned IdentityHighReg = 1;
  localparam int unsigned VersionReg = 2;
  localparam int unsigned ControlReg = 3;
  localparam int unsigned StatusReg = 4;
  localparam int unsigned ErrorsReg = 5;
  localparam int unsigned InterruptReg = 6;
  localparam int unsigned ImagesReg = 7;
  localparam int unsigned ImagesDoneReg = 8;
  localparam int unsigned CyclesReg = 9;
  localparam int unsigned FirstLogitReg = 10;
  localparam int unsigned BeatsInReg = 11;
  localparam int unsigned StallsInReg = 12;
  localparam int unsigned WaitsInReg = 13;
  localparam int unsigned BeatsOutReg = 14;
  localparam int unsigned StallsOutReg = 15;
  localparam int unsigned ImageBytesReg = 16;
  localparam int unsigned LogitsReg = 17;
  localparam int unsigned WeightsBaseReg = 18;
  localparam int unsigned MapsBaseReg = 19;
  localparam int unsigned BeatsReadReg = 20;
  localparam int unsigned BeatsWrittenReg = 21;

  // Bits of Version
  localparam int unsigned VersionMapBit = 0;
  localparam int unsigned VersionInputBytesBit = 16;
  localparam int unsigned VersionOutputBytesBit = 24;

  // Bits of Control
  localparam int unsigned ControlStartBit = 0;
  localparam int unsigned ControlResetBit = 1;

  // Bits of Status
  localparam int unsigned StatusIdleBit = 0;
  localparam int unsigned StatusDoneBit = 1;
  localparam int unsigned StatusErrorBit = 2;
  localparam int unsigned StatusResettingBit = 3;
  localparam int unsigned StatusTookAllBit = 4;
  localparam int unsigned StatusMemoryBusyBit = 5;

  // Bits of Errors
  localparam int unsigned ErrorsShortFrameBit = 0;
  localparam int unsigned ErrorsLongFrameBit = 1;
  localparam int unsigned ErrorsSparseBeatBit = 2;
  localparam int unsigned ErrorsStartWhileBusyBit = 3;
  localparam int unsigned ErrorsNoImagesBit = 4;
  localparam int unsigned ErrorsMemoryReadBit = 5;
  localparam int unsigned ErrorsMemoryWriteBit = 6;
  localparam int unsigned ErrorsWrongWeightsBit = 7;
  localparam int unsigned ErrorsNoBasesBit = 8;

  // Bits of Interrupt
  localparam int unsigned InterruptOnDoneBit = 1;
  localparam int unsigned InterruptOnErrorBit = 2;

endpackage
/* verilator lint_on UNUSEDPARAM */

`default_nettype wire
