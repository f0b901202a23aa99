// br_crc16: one byte's step of the frames' checksum (combinational).
// Function       crc_o = CRC of the bytes so far and data_i, where crc_i is that of the bytes so far; x^16 + x^12 + x^5
//                + 1, most significant bit first. A frame that ends with its own CRC, high byte first, has the CRC 0
// Source         CRC-16/CCITT (ITU-T V.41); binascii.crc_hqx of Python computes the same
`default_nettype none

module br_crc16 (
  input  wire  [15:0] crc_i,
  input  wire  [ 7:0] data_i,
  output logic [15:0] crc_o
);

  always_comb begin
    crc_o = crc_i ^ {data_i, 8'h00};
    for (int i = 0; i < 8; i++) crc_o = {crc_o[14:0], 1'b0} ^ (crc_o[15] ? 16'h1021 : 16'h0000);
  end

endmodule

`default_nettype wire
